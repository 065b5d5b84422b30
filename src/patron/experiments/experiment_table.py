"""Rows of an experiment: the arm of each row and columns of numbers, read from any frame, or refused in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import BadExperiment, NotEnoughData
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers

Codes = npt.NDArray[np.int64]
MIN_ROWS = 2
"""Of an arm, for a variance."""


@dataclass(frozen=True, eq=False)
class Arms:
    """Arm of each row, as numbers."""

    names: tuple[Any, ...]
    """As in the table; the control is the first, the others are in their order."""
    code: Codes
    """A place in `names` for each row."""

    @property
    def control(self) -> Any:
        """Arm that the others are compared with."""
        return self.names[0]

    @property
    def counts(self) -> Codes:
        """Rows of each arm."""
        return np.bincount(self.code, minlength=len(self.names))


def read_table(table: Any) -> pa.Table:
    """Any frame as an Arrow table with at least one row. Raises BadExperiment, NotEnoughData."""
    try:
        rows = table_without_index(table)
    except TypeError as error:
        raise BadExperiment(
            str(error), where="table", todo="Pass a frame of pandas, Polars, DuckDB or Arrow."
        ) from error
    if not rows.num_rows:
        raise NotEnoughData("there are no rows", where="table")
    return rows


def read_arms(table: pa.Table, group: str, control: Any) -> Arms:
    """Arms of a table, with at least two rows each. Raises BadExperiment, NotEnoughData."""
    levels, code = read_levels(table, group)
    names = ", ".join(map(str, levels))
    if control not in levels:
        raise BadExperiment(f"no row is of the control {control!r}", where=group, todo=f"The arms are {names}.")
    if len(levels) == 1:
        what = f"all rows are of {names}"
        raise BadExperiment(what, where=group, todo="An effect needs rows of the control and of another arm.")
    place = levels.index(control)
    order = [place, *(index for index in range(len(levels)) if index != place)]
    arms = Arms(tuple(levels[one] for one in order), np.argsort(order)[code])
    for name, count in zip(arms.names, arms.counts, strict=True):
        if count < MIN_ROWS:
            raise NotEnoughData(f"{name} has one row; an arm needs {MIN_ROWS}", where=group)
    return arms


def read_levels(table: pa.Table, name: str) -> tuple[list[Any], Codes]:
    """Different values of a column in their order, and the place of each row's. Raises BadExperiment."""
    column = _column(table, name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # why: an empty or a many-chunk column stays chunked in some versions
        encoded = encoded.unify_dictionaries().chunk(0)
    code = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    values = np.empty(len(encoded.dictionary), dtype=object)
    values[:] = encoded.dictionary.to_pylist()
    present = np.flatnonzero(np.bincount(code, minlength=len(values)))
    order = sorted(present.tolist(), key=lambda place: values[place])
    rank = np.zeros(len(values), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return [values[place] for place in order], rank[code]


def read_numbers(table: pa.Table, name: str) -> Numbers:
    """A column of finite numbers. Raises BadExperiment."""
    column = _column(table, name)
    kind = column.type
    is_exact = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)
    if not (is_exact or pa.types.is_floating(kind)):
        raise BadExperiment(f"holds {kind}, no numbers", where=name, todo="Encode texts as numbers.")
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    numbers = column.to_numpy().astype(np.float64, copy=False)
    infinite = len(numbers) - int(np.isfinite(numbers).sum())
    if infinite:
        raise BadExperiment(f"{infinite:,} values are not finite", where=name, todo="Leave these rows out.")
    return numbers


def read_covariates(table: pa.Table, names: str | Sequence[str]) -> tuple[Numbers, ...]:
    """Columns of numbers, each with more than one value. Raises BadExperiment."""
    columns = (names,) if isinstance(names, str) else tuple(names)
    covariates = tuple(read_numbers(table, name) for name in columns)
    for name, values in zip(columns, covariates, strict=True):
        if values.min() == values.max():
            raise BadExperiment(
                f"all rows are {values[0]:g}", where=name, todo="A covariate that never changes explains nothing."
            )
    return covariates


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    count = table.column_names.count(name)
    if count != 1:
        what = "there is no such column" if not count else f"{count} columns have this name"
        raise BadExperiment(what, where=name, todo=f"The columns are {', '.join(table.column_names)}.")
    column = table[name]
    missing = column.null_count
    if pa.types.is_dictionary(column.type) and not missing:
        missing = pc.sum(pc.is_null(pc.cast(column, column.type.value_type))).as_py() or 0
    if missing:
        todo = "Leave these rows out, or fill them in: 0 for a customer who bought nothing."
        raise BadExperiment(f"{missing:,} of {len(column):,} values are missing", where=name, todo=todo)
    return column
