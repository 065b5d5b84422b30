"""What is learned from and what is judged on: a cut in time or by whole groups, and folds made the same way."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from patron.schema.errors import BadComparison, NotEnoughData
from patron.schema.numbers import Numbers
from patron.tabular.columns import Index, is_text, text_values, value_codes

Integers = npt.NDArray[np.int64]
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DATE = r"^\d{4}-\d{1,2}(-\d{1,2})?([T ].*)?$"
ENOUGH = 0.9
"""The last values are cut off where they hold at least this share of the rows that were asked for."""
MOST_CUT_OFF = 0.5
FILL = "Fill it, or leave these rows out."
FEWEST_OF_A_CLASS = 5
"""Rows of each class that a part needs to be learned from or judged on."""


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge on; a row may be in neither."""

    training: Index
    judged: Index


@dataclass(frozen=True)
class TimeOrder:
    """The time of each row as its place among the ordered values."""

    places: Integers
    values: tuple[Any, ...]
    """As they are printed, the earliest first."""

    @classmethod
    def of(cls, column: pa.ChunkedArray, name: str) -> "TimeOrder":
        """Order a column of dates, numbers or labels. Raises BadComparison where no order is known."""
        if column.null_count:
            raise BadComparison(f"{column.null_count} rows have no time", where=name, todo=FILL)
        values, places = _ordered(column, name)
        return cls(places.astype(np.int64), tuple(values))


@dataclass(frozen=True)
class Layout:
    """What cuts must respect: the time of each row, and what must not be on both sides."""

    label: Numbers
    time: TimeOrder | None
    groups: Integers | None
    seed: int

    def cut(self, rows: Index, share: float) -> Split:
        """Cut off the rows to judge on: the latest whole values, whole groups, or else a random `share` of each class.

        Of groups with rows on both sides of a cut in time, half keep the earlier rows and half the later ones.
        """
        if self.time is not None:
            is_judged = _is_late(self.time.places[rows], share)
            return self._without_both_sides(rows, is_judged)
        parts = max(2, round(1 / share)) if share else 2
        folds = self._random_folds(rows, parts)
        return folds[0]

    def folds(self, rows: Index, count: int) -> list[Split]:
        """Parts of the training rows that are judged in turn; with time, always by what came before them."""
        if self.time is None:
            return self._random_folds(rows, count)
        places = self.time.places[rows]
        splits = []
        for first, end in _blocks(places, count):
            within = rows[places < end]
            splits.append(self._without_both_sides(within, self.time.places[within] >= first))
        kept = [one for one in splits if self._has_both(one.training) and self._has_both(one.judged)]
        if not kept:
            what = "before the test rows there are too few rows of one class to compare models on"
            raise NotEnoughData(what, todo="Give more rows, or compare without a time.")
        return kept

    def _has_both(self, rows: Index) -> bool:
        positives = self.label[rows].sum()
        return min(positives, len(rows) - positives) >= FEWEST_OF_A_CLASS

    def _random_folds(self, rows: Index, count: int) -> list[Split]:
        label = self.label[rows]
        if self.groups is None:
            splitter = StratifiedKFold(count, shuffle=True, random_state=self.seed)
            pairs = splitter.split(label, label)
        else:
            groups = len(np.unique(self.groups[rows]))
            if groups < count:
                what = f"{groups} groups cannot be divided into {count} parts"
                raise BadComparison(what, todo="Give rows of more groups, or compare without a group.")
            splitter = StratifiedGroupKFold(count, shuffle=True, random_state=self.seed)
            pairs = splitter.split(label, label, self.groups[rows])
        return [Split(rows[training], rows[judged]) for training, judged in pairs]

    def _without_both_sides(self, rows: Index, is_judged: npt.NDArray[np.bool_]) -> Split:
        training, judged = rows[~is_judged], rows[is_judged]
        if self.groups is None:
            return Split(training, judged)
        both = np.intersect1d(self.groups[training], self.groups[judged])
        later = np.random.default_rng(self.seed).permutation(both)[: (len(both) + 1) // 2]
        earlier = np.setdiff1d(both, later)
        return Split(training[~np.isin(self.groups[training], later)], judged[~np.isin(self.groups[judged], earlier)])


def _is_late(places: Integers, share: float) -> npt.NDArray[np.bool_]:
    """The latest whole values with about `share` of the rows, never more than half if fewer are possible."""
    values, counts = np.unique(places, return_counts=True)
    if len(values) < 2:
        what = "the time has one value only: there is nothing later to test on"
        raise BadComparison(what, todo="Compare without a time.")
    shares = np.cumsum(counts[::-1])[::-1][1:] / len(places)  # of each cut, from the earliest to the latest
    large = np.flatnonzero((shares >= ENOUGH * share) & (shares <= MOST_CUT_OFF))
    at = int(large[-1]) if len(large) else int(np.argmin(np.abs(shares - share)))
    return places >= values[at + 1]


def _blocks(places: Integers, count: int) -> list[tuple[int, int]]:
    """Spans of whole values that are judged, after a first one that is only learned from: (first place, end)."""
    values, counts = np.unique(places, return_counts=True)
    at = np.cumsum(counts) - counts / 2
    block = np.minimum((at / len(places) * (count + 1)).astype(np.int64), count)
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    edges = [*values[starts].tolist(), int(values[-1]) + 1]
    return list(pairwise(edges[1:]))


def _ordered(column: pa.ChunkedArray, name: str) -> tuple[Sequence[Any], Integers]:
    kind = column.type
    if pa.types.is_dictionary(kind) and kind.ordered:
        encoded = column.combine_chunks()
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        return _present(encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False))
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    levels = pc.unique(column)
    order = _text_order(levels.to_pylist(), column, name) if is_text(kind) else pc.sort_indices(levels).to_pylist()
    values = levels.take(pa.array(order))
    return values.to_pylist(), pc.index_in(column, values).to_numpy(zero_copy_only=False)


def _present(levels: Sequence[Any], codes: Integers) -> tuple[Sequence[Any], Integers]:
    used, places = np.unique(codes, return_inverse=True)
    return [levels[at] for at in used], places


def _text_order(levels: Sequence[str], column: pa.ChunkedArray, name: str) -> list[int]:
    """Places of labels in time: dates, months of one year, numbers after equal words, or the order of the rows."""
    short = [str(level).strip().lower()[:3] for level in levels]
    if set(short) <= set(MONTHS) and len(set(short)) == len(levels):
        return sorted(range(len(levels)), key=lambda at: MONTHS.index(short[at]))
    if all(re.match(DATE, str(level).strip()) for level in levels):
        padded = [re.sub(r"-(\d)(?!\d)", r"-0\1", str(level).strip()) for level in levels]
        return sorted(range(len(levels)), key=lambda at: padded[at])
    numbers = [tuple(int(part) for part in re.findall(r"\d+", str(level))) for level in levels]
    words = {re.sub(r"\d+", "#", str(level).strip()) for level in levels}
    if len(words) == 1 and all(numbers) and not re.match(r"^#[./]#[./]#", words.copy().pop()):
        return sorted(range(len(levels)), key=lambda at: numbers[at])
    codes, _ = value_codes(text_values(column))
    if (np.diff(codes) >= 0).all():
        return list(range(len(levels)))
    todo = "Give dates such as 2026-11-30, sort the rows by time, or give labels as an ordered category."
    raise BadComparison(f"the order of {', '.join(map(str, levels[:4]))} is not known", where=name, todo=todo)
