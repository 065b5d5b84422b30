"""How long each customer was observed, in periods, and whether the end was an event or the end of observation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import BadComparison, NotEnoughData
from patron.schema.numbers import Numbers
from patron.tabular.columns import ColumnKinds, Index, is_text, missing_count, refuse_repeated_names, text_values
from patron.tabular.labels import POSITIVE_TEXTS

Flags = npt.NDArray[np.bool_]
NEGATIVE_TEXTS = frozenset({"0", "0.0", "false", "f", "no", "n"})
MAX_PERIODS = 100_000
ROUNDING = 1e-9
"""Periods within which a duration counts as a whole number of them."""


@dataclass(frozen=True)
class HazardRoles:
    """Which columns say how long a customer was observed and how it ended; `duration` or `period` is one of them."""

    event: str
    duration: str | None = None
    start: str | None = None
    period: str | None = None
    """Of a table with a row a customer and period: the number of the period, 1 the first."""
    id: str | None = None
    period_length: float = 1.0
    """In the unit of the duration."""

    @property
    def has_landmarks(self) -> bool:
        """Whether features are as of `start`, so that how long ago they were taken counts next to the time active."""
        return self.start is not None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that there are; none of them is learned from."""
        every = (self.event, self.duration, self.start, self.period, self.id)
        return tuple(name for name in every if name is not None)

    def check(self, table: pa.Table) -> None:
        """Raise BadComparison for a column that is missing or a length that is none."""
        refuse_repeated_names(table)
        for name in self.names:
            if name not in table.column_names:
                shown = ", ".join(table.column_names[:20])
                raise BadComparison(f"there is no column {name!r}", todo=f"The table has {shown}.")
        if not 0 < self.period_length < np.inf:
            raise BadComparison(f"{self.period_length} is not the length of a period", todo="Give a number above 0.")


@dataclass(frozen=True, eq=False)
class Lifetimes:
    """Each customer's periods under observation: those after `entered`, up to `last`.

    Period k is the time from (k - 1) lengths, excluded, to k lengths after the beginning. `last` is the period in which
    the customer left, or the last one observed, in part or whole. With a start, periods are counted from it, and the
    time before is rounded down to whole periods: what happens in the first period ahead is in one row.
    """

    rows: Index
    """The customers' places in their table: those without any time under observation are left out."""
    entered: Index
    last: Index
    is_event: Flags
    last_share: Numbers
    """Share of the last period that is under observation; 1 where the customer left in it."""
    notes: tuple[str, ...] = ()

    @property
    def period_counts(self) -> Index:
        """Periods under observation."""
        return self.last - self.entered

    @property
    def whole_periods(self) -> Index:
        """Periods from the start of observation to the one in which the customer left, or whole ones survived."""
        return self.last - self.entered - (~self.is_event & (self.last_share < 1 - ROUNDING))

    @classmethod
    def of(cls, table: pa.Table, roles: HazardRoles) -> Self:
        """Read durations, events and starts. Raises BadComparison."""
        roles.check(table)
        duration = _times(table, str(roles.duration)) / roles.period_length
        started = np.zeros(len(duration))
        if roles.start is not None:
            started = _times(table, roles.start) / roles.period_length
        is_event = read_event(table[roles.event], roles.event)
        too_early = is_event & (duration <= started) & (started > 0)
        if too_early.any():
            what = f"{too_early.sum():,} customers left before they came under observation"
            raise BadComparison(what, where=roles.start or "", todo="Leave them out, or correct their start.")
        is_at_once = is_event & (duration == 0)
        entered, observed = np.floor(started + ROUNDING), duration - started
        count = np.maximum(np.ceil(observed - ROUNDING), is_at_once)
        last = entered + count
        if len(last) and last.max() > MAX_PERIODS:
            what = f"durations reach {last.max():,.0f} periods"
            raise BadComparison(what, where=str(roles.duration), todo="Give `period`, the length of a period.")
        is_observed = count > 0
        notes = _notes(int(is_at_once.sum()), int((~is_observed).sum()))
        last_share = np.where(is_event, 1.0, np.minimum(observed - (count - 1), 1.0))
        rows = np.flatnonzero(is_observed)
        whole = entered.astype(np.intp)[rows], last.astype(np.intp)[rows]
        return cls(rows, *whole, is_event[rows], last_share[rows], notes)

    def refuse_without_events(self, name: str) -> None:
        """Raise NotEnoughData where nobody left."""
        if not self.is_event.any():
            what = (
                f"none of {len(self.rows):,} customers left while they were observed, and a hazard is learned of those"
            )
            raise NotEnoughData(what, where=name, todo="Observe customers for longer, or give more of them.")


def _notes(left_at_once: int, unobserved: int) -> tuple[str, ...]:
    notes: Sequence[tuple[int, str]] = (
        (left_at_once, "left after a duration of 0 and count as leaving in the first period."),
        (unobserved, "have no time under observation and were left out."),
    )
    return tuple(f"{count:,} customers {words}" for count, words in notes if count)


def read_event(column: pa.ChunkedArray, name: str) -> Flags:
    """Whether each customer left. Raises BadComparison for a missing value or one that is neither yes nor no."""
    missing = missing_count(column)
    if missing:
        what = f"{missing:,} rows do not say whether the customer left"
        raise BadComparison(what, where=name, todo="1 is a customer who left, 0 one who was still active: fill it.")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type):
        return column.to_numpy().astype(bool)
    if is_text(column.type):
        texts = pc.utf8_lower(pc.utf8_trim_whitespace(text_values(column)))
        values = set(pc.unique(texts).to_pylist())
        if values <= POSITIVE_TEXTS | NEGATIVE_TEXTS:
            return np.asarray(pc.is_in(texts, pa.array(sorted(POSITIVE_TEXTS), texts.type)).to_numpy(), dtype=bool)
        shown = min(values - POSITIVE_TEXTS - NEGATIVE_TEXTS)
    else:
        numbers = read_numbers(column, name)
        other = numbers[(numbers != 0) & (numbers != 1)]
        if not len(other):
            return numbers == 1
        shown = f"{other[0]:g}"
    raise BadComparison(
        f"has {shown}", where=name, todo="An event is 1 for a customer who left, 0 for one who did not."
    )


def _times(table: pa.Table, name: str) -> Numbers:
    numbers = read_numbers(table[name], name)
    unknown, negative = int(np.isnan(numbers).sum()), int((numbers < 0).sum())
    if unknown or negative:
        what = f"{unknown or negative:,} rows are {'missing or infinite' if unknown else 'negative'}"
        raise BadComparison(what, where=name, todo="Correct them, or leave these customers out.")
    return numbers


def read_numbers(column: pa.ChunkedArray, name: str) -> Numbers:
    """Numbers; NaN is missing or infinite. Raises BadComparison for anything else."""
    kinds = ColumnKinds({name: "number"}, {})
    if not pa.types.is_temporal(column.type):
        try:
            return kinds.read(pa.table({name: column})).numbers[name]
        except BadComparison:
            pass
    raise BadComparison(f"has {column.type}", where=name, todo="Give numbers: periods or days.")
