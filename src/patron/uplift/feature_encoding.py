"""Columns as one matrix of numbers: the same for every learner, learned from the rows of the fit."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import BadTrial
from patron.schema.numbers import Numbers

MAX_LEVELS = 30
MIN_ROWS = 20
"""A level of a text column gets a column of its own from this many rows on, at most `MAX_LEVELS` of them."""
MISSING = "(missing)"
SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class NumberColumn:
    """A number, centred and scaled; missing ones become the mean, marked in a column of their own."""

    name: str
    mean: float
    sd: float
    low: float
    high: float
    """Least and largest value of the fit: later rows are cut off there, nothing is extrapolated."""
    is_marked: bool
    """Whether values were missing in the fit, so that a second column says where."""
    is_flag: bool
    """Whether all values are 0 or 1."""


@dataclass(frozen=True)
class TextColumn:
    """A text: 0/1 for each frequent level; an unknown one is 0 everywhere."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class FeatureEncoding:
    """How a table's columns become a matrix."""

    numbers: tuple[NumberColumn, ...]
    texts: tuple[TextColumn, ...]

    @classmethod
    def of(cls, table: pa.Table, names: Iterable[str]) -> Self:
        """Learn from the rows of the fit. Raises BadTrial for a column that is missing or holds neither kind."""
        numbers: list[NumberColumn] = []
        texts: list[TextColumn] = []
        for name in names:
            column = _column(table, name)
            if is_text(column.type):
                texts.append(TextColumn(name, _frequent_levels(_texts(column))))
            else:
                numbers.append(_number_column(name, as_floats(column, name)))
        return cls(tuple(number for number in numbers if number.sd > 0 or number.is_marked), tuple(texts))

    @property
    def names(self) -> tuple[str, ...]:
        """What each column of the matrix holds, in words."""
        words: list[str] = []
        for number in self.numbers:
            words += [number.name, f"{number.name} is missing"] if number.is_marked else [number.name]
        return (*words, *(f"{text.name} is {level}" for text in self.texts for level in text.levels))

    def condition(self, column: int, threshold: float, *, is_above: bool) -> str:
        """In words, that a column of the matrix is above a threshold or not."""
        at = 0
        for number in self.numbers:
            if at == column and number.is_flag:
                return f"{number.name} is {1 if is_above else 0}"
            if at == column:
                return f"{number.name} {'above' if is_above else 'at most'} {threshold * number.sd + number.mean:.4g}"
            at += 2 if number.is_marked else 1
            if number.is_marked and at - 1 == column:
                return f"{number.name} is {'missing' if is_above else 'known'}"
        name = self.names[column]
        return name if is_above else name.replace(" is ", " is not ", 1)

    def matrix(self, table: pa.Table) -> Numbers:
        """One row per row, all finite. Raises BadTrial for a column that is missing or of another kind."""
        filled = np.empty((table.num_rows, len(self.names)), dtype=np.float64, order="F")
        at = 0
        for number in self.numbers:
            values = as_floats(_column(table, number.name), number.name)
            is_missing = np.isnan(values)
            scaled = (np.clip(values, number.low, number.high) - number.mean) / (number.sd or 1.0)
            filled[:, at] = np.where(is_missing, 0.0, scaled)
            at += 1
            if number.is_marked:
                filled[:, at] = is_missing
                at += 1
        for text in self.texts:
            codes, levels = _codes(_texts(_column(table, text.name)))
            for level in text.levels:
                filled[:, at] = codes == levels.index(level) if level in levels else 0.0
                at += 1
        return filled


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts, in a dictionary or not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def as_floats(column: pa.ChunkedArray, name: str) -> Numbers:
    """Numbers, truth values as 0/1, times as days since 1970; NaN is missing. Raises BadTrial for anything else."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if is_text(kind) and column.null_count < len(column):
        raise BadTrial("has texts where numbers are needed", where=name, todo="Give the column as it was in the fit.")
    try:
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            column = pc.divide(column.cast(pa.timestamp("s"), safe=False).cast(pa.int64()), float(SECONDS_A_DAY))
        elif pa.types.is_boolean(kind):
            column = column.cast(pa.int8())
        values = column.cast(pa.float64(), safe=False).combine_chunks().fill_null(np.nan)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadTrial(
            f"has {kind}, neither numbers nor texts", where=name, todo="Leave it out of features."
        ) from error
    floats = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.where(np.isfinite(floats), floats, np.nan)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise BadTrial(f"the table has no column {name}", where="features", todo="Add it, or fit without it.")
    return table[name]


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.large_string()).fill_null(MISSING)


def _codes(texts: pa.ChunkedArray) -> tuple[Any, list[str]]:
    encoded = texts.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def _frequent_levels(texts: pa.ChunkedArray) -> tuple[str, ...]:
    """Levels that get a column, most frequent first; of two levels one says it all."""
    codes, levels = _codes(texts)
    counts = np.bincount(codes, minlength=len(levels))
    order = sorted(range(len(levels)), key=lambda at: (-counts[at], levels[at]))
    if len(order) <= 2:
        order = order[1:]
    return tuple(levels[at] for at in order[:MAX_LEVELS] if counts[at] >= MIN_ROWS)


def _number_column(name: str, values: Numbers) -> NumberColumn:
    known = values[~np.isnan(values)]
    if not len(known):
        return NumberColumn(name, 0.0, sd=0.0, low=0.0, high=0.0, is_marked=False, is_flag=False)
    is_marked = len(known) < len(values)
    ends = float(known.min()), float(known.max())
    sd = float(known.std()) if ends[0] < ends[1] else 0.0
    return NumberColumn(
        name, float(known.mean()), sd, *ends, is_marked=is_marked, is_flag=bool(np.isin(known, (0.0, 1.0)).all())
    )
