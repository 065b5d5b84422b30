"""The table of a comparison: its label, its columns, and how it may be cut."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.errors import BadComparison, NotEnoughData
from patron.schema.numbers import Numbers
from patron.tabular.columns import ColumnKinds, Columns, Index, missing_count, refuse_repeated_names, value_codes
from patron.tabular.labels import read_label
from patron.tabular.splits import FILL, MIN_CLASS_ROWS, Layout, Split, TimeOrder

MIN_ROWS = 40
MAX_TEST_SHARE = 0.5


@dataclass(frozen=True)
class Roles:
    """Which columns are not learned from, and why."""

    label: str
    time: str | None
    group: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(name for name in (self.label, self.time, self.group) if name is not None)

    def refuse_missing(self, table: pa.Table) -> None:
        """Raise BadComparison for one that the table does not have."""
        for name in self.names:
            if name not in table.column_names:
                shown = ", ".join(table.column_names[:20])
                raise BadComparison(f"there is no column {name!r}", todo=f"The table has {shown}.")


@dataclass(frozen=True, eq=False)
class ComparedTable:
    """The rows with a known label."""

    table: pa.Table
    roles: Roles
    kinds: ColumnKinds
    columns: Columns
    label: Numbers
    layout: Layout
    positive: str
    """The label's value that counts as positive, as it is printed."""
    unlabelled_count: int

    @classmethod
    def of(cls, table: pa.Table, roles: Roles, *, positive: Any, seed: int) -> "ComparedTable":
        """Read label, time, group and columns. Raises BadComparison, NotEnoughData."""
        refuse_repeated_names(table)
        roles.refuse_missing(table)
        label, is_known, positive_text = read_label(table[roles.label], roles.label, positive)
        if not is_known.all():
            table, label = table.filter(pa.array(is_known)), label[is_known]
        kinds = ColumnKinds.of(table, roles.names)
        if not kinds.kinds:
            raise BadComparison("no column can be learned from", todo="Give a table with more columns.")
        time = None if roles.time is None else TimeOrder.of(table[roles.time], roles.time)
        groups = None if roles.group is None else group_codes(table[roles.group], roles.group)
        layout = Layout(label, time, groups, seed)
        unlabelled = int((~is_known).sum())
        return cls(table, roles, kinds, kinds.read(table), label, layout, positive_text, unlabelled)

    def cut(self, test_share: float) -> Split:
        """Training and test rows. Raises BadComparison, NotEnoughData."""
        if not 0 <= test_share <= MAX_TEST_SHARE:
            todo = f"Give one from 0 to {MAX_TEST_SHARE}."
            raise BadComparison(f"{test_share} is not a share to test on", where="test_share", todo=todo)
        rows = np.arange(len(self.label))
        fewest = self._rarer(rows)
        if len(rows) < MIN_ROWS or fewest < 2 * MIN_CLASS_ROWS:
            what = f"{len(rows)} rows, {fewest} of the rarer class: too few to compare models on"
            todo = f"Give at least {MIN_ROWS} rows with {2 * MIN_CLASS_ROWS} of each class."
            raise NotEnoughData(what, where=self.roles.label, todo=todo)
        if test_share and test_share * fewest < 1:
            what = f"a share of {test_share} leaves nobody of the rarer class to test on"
            raise NotEnoughData(what, where="test_share", todo="Give a larger share, or more rows.")
        split = self.layout.cut(rows, test_share) if test_share else Split(rows, rows[:0])
        for part, side in (("training", split.training), ("test", split.judged)):
            if (test_share or part == "training") and not self._rarer(side):
                what = f"the {part} rows are all of one class"
                raise NotEnoughData(what, where=self.roles.label, todo="Cut the table elsewhere, or give more rows.")
        return split

    def folds(self, split: Split, count: int) -> list[Split]:
        """Parts of the training rows that are judged in turn. Raises BadComparison, NotEnoughData."""
        if count < 2:
            raise BadComparison(f"{count} folds cannot be judged in turn", where="folds", todo="Give 2 or more.")
        groups = count if self.layout.groups is None else len(np.unique(self.layout.groups[split.training]))
        return self.layout.folds(split.training, max(2, min(count, self._rarer(split.training), groups)))

    def units(self, rows: Index) -> npt.NDArray[np.int64]:
        """What is resampled: whole groups, or rows."""
        if self.layout.groups is None:
            return np.arange(len(rows), dtype=np.int64)
        return np.unique(self.layout.groups[rows], return_inverse=True)[1].astype(np.int64)

    def cut_in_words(self, split: Split) -> str:
        """How the rows were cut, and how many rows each side has."""
        counts = f"{len(split.training):,} rows to learn from, {len(split.judged):,} to test on"
        outside = len(self.label) - len(split.training) - len(split.judged)
        left = f"; {outside:,} rows of groups on both sides are left out" if outside else ""
        group = f", each {self.roles.group} on one side" if self.roles.group else ""
        time = self.layout.time
        if not len(split.judged):
            return f"{counts}{left}"
        if time is None:
            return f"{counts}, cut at random{group}{left}"
        first = time.text_of(int(time.places[split.judged].min()))
        return f"{counts}, cut in time: tested on {self.roles.time} from {first} on{group}{left}"

    def _rarer(self, rows: Index) -> int:
        """How many rows the rarer class has."""
        positives = int(self.label[rows].sum())
        return min(positives, len(rows) - positives)


def group_codes(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.int64]:
    """A number for each group. Raises BadComparison where a row has none."""
    empty = missing_count(column)
    if empty:
        raise BadComparison(f"{empty} rows have no group", where=name, todo=FILL)
    return value_codes(column)[0]
