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
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, StratifiedShuffleSplit

from patron.schema.errors import BadComparison, NotEnoughData
from patron.schema.numbers import Numbers
from patron.tabular.columns import Index, is_text, missing_count, text_values, value_codes

Integers = npt.NDArray[np.int64]
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ENOUGH = 0.9
"""The last values are cut off where they hold at least this share of the rows that were asked for."""
MAX_CUT_OFF = 0.5
FILL = "Fill it, or leave these rows out."
MIN_CLASS_ROWS = 5
MIN_FOLD_ROWS = 2
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
        empty = missing_count(column)
        if empty:
            raise BadComparison(f"{empty} rows have no time", where=name, todo=FILL)
        values, places = _ordered(column, name)
        return cls(places.astype(np.int64), tuple(values))

    def text_of(self, place: int) -> str:
        """A value as people write it: a day without its midnight."""
        return str(self.values[place]).removesuffix(" 00:00:00")


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
            return self._without_both_sides(rows, _is_late(self.time.places[rows], share))
        if self.groups is None:
            splitter = StratifiedShuffleSplit(1, test_size=share, random_state=self.seed)
            training, judged = next(splitter.split(rows, self.label[rows]))
            return Split(np.sort(rows[training]), np.sort(rows[judged]))
        folds = self._random_folds(rows, max(2, round(1 / share)))
        return next((fold for fold in folds if self._has_both(fold.training) and self._has_both(fold.judged)), folds[0])

    def folds(self, rows: Index, count: int) -> list[Split]:
        """Parts of the training rows that are judged in turn; with time, always by what came before them."""
        if self.time is None:
            splits = self._random_folds(rows, count)
        else:
            places, splits = self.time.places[rows], []
            for first, end in _blocks(places, count):
                within = rows[places < end]
                splits.append(self._without_both_sides(within, self.time.places[within] >= first))
        kept = [split for split in splits if self._has_both(split.training) and self._has_both(split.judged)]
        if len(kept) >= min(2, len(splits)) > 0:
            return kept
        if self.time is not None and len(np.unique(self.time.places[rows])) < 2:
            what = "before the test rows there is one time value only, and folds are judged by what came before them"
            raise BadComparison(what, todo="Give a finer time, or compare without one.")
        what = "the training rows have too few of one class in each part to compare models on"
        raise NotEnoughData(what, todo="Give more rows, or fewer folds.")

    def _has_both(self, rows: Index) -> bool:
        positives = self.label[rows].sum()
        return min(positives, len(rows) - positives) >= MIN_FOLD_ROWS

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
    large = np.flatnonzero((shares >= ENOUGH * share) & (shares <= MAX_CUT_OFF))
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
    """Places of labels in time: dates, months of one year, one number after equal words, or the order of the rows."""
    texts = [str(level).strip() for level in levels]
    in_row_order = bool((np.diff(value_codes(text_values(column))[0]) >= 0).all())
    for read in (_day, _period, _single_number, _month_name):
        keys = [read(text) for text in texts]
        if all(key is not None for key in keys) and len(set(keys)) == len(keys):
            if read is _month_name and in_row_order and _is_over_new_year([int(key[0]) for key in keys if key]):
                break
            return sorted(range(len(levels)), key=lambda at: keys[at] or ())
    if in_row_order:
        return list(range(len(levels)))
    todo = "Give dates such as 2026-11-30, sort the rows by time, or give labels as an ordered category."
    raise BadComparison(f"the order of {', '.join(texts[:4])} is not known", where=name, todo=todo)


def _is_over_new_year(months: Sequence[int]) -> bool:
    """Whether months follow each other from one year into the next."""
    steps = [(later - earlier) % 12 for earlier, later in pairwise(months)]
    return sum(steps) < 12 and months[-1] < months[0]


def _day(text: str) -> tuple[float, ...] | None:
    """A date or time that begins with the year."""
    parts = [float(part) for part in re.findall(r"\d+(?:\.\d+)?", text)]
    is_day = re.match(r"^\d{4}[-/.]?\d{1,2}([-/.]\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?)?$", text)
    return tuple(parts) if is_day and "." not in text[:8] else None


def _period(text: str) -> tuple[float, ...] | None:
    """A quarter, week or month of a year, whichever of the two is first."""
    first = re.match(r"^(\d{4})[- ]?[QqWwKkMm]+\.? ?(\d{1,2})$", text)
    last = re.match(r"^(?:[A-Za-z]+\.? ?)?(\d{1,2})[-/ .](\d{4})$", text)
    if first:
        return float(first[1]), float(first[2])
    return (float(last[2]), float(last[1])) if last else None


def _single_number(text: str) -> tuple[float, ...] | None:
    """A number, alone or after a word: 12, week 9."""
    match = re.match(r"^(?:[^\d\W]+[ _]?)?(-?\d+(?:\.\d+)?)$", text)
    return (float(match[1]),) if match else None


def _month_name(text: str) -> tuple[float, ...] | None:
    """A month of one year by its English name."""
    short = text.lower()[:3]
    return (float(MONTHS.index(short)),) if short in MONTHS and text.isalpha() else None
