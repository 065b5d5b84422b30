"""Who did what with which item, and when: anybody's rows as whole numbers."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from patron.schema.errors import BadInteractions
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers, float_column

Codes = npt.NDArray[np.int64]
SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True, eq=False)
class Interactions:
    """Rows in order of time, on equal times as they came; users and items are numbered in the order of their ids."""

    users: pa.Array
    """Ids of the users, sorted, each once."""
    items: pa.Array
    """Ids of the items, sorted, each once."""
    user: Codes
    item: Codes
    day: Numbers
    """When, in days; 0 for all rows of a frame without times."""
    weight: Numbers
    """What a row counts, or the rating; 1 in a frame without weights."""
    event: Codes
    """Kind of event of each row, a place in `events`."""
    events: tuple[str, ...]

    @classmethod
    def of(cls, frame: Any) -> Self:
        """Read a frame with user_id and item_id, and where it has them `at`, `weight` and `event`.

        `at` is a time, a date or a number of seconds. Raises BadInteractions.
        """
        table = interaction_table(frame)
        days = days_of(table)
        order = np.argsort(days, kind="stable")
        users, items = (_ids(table, name) for name in ("user_id", "item_id"))
        names = table["event"].cast(pa.string()).fill_null("") if "event" in table.column_names else None
        events = names.unique().sort() if names is not None else pa.array([""])
        weight = weights_of(table)
        return cls(
            users,
            items,
            codes_of(table["user_id"], users)[order],
            codes_of(table["item_id"], items)[order],
            days[order],
            weight[order],
            codes_of(names, events)[order] if names is not None else np.zeros(len(order), dtype=np.int64),
            tuple(events.to_pylist()),
        )

    def __len__(self) -> int:
        """How many rows."""
        return len(self.user)

    def where(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Some of the rows; users and items keep their numbers."""
        columns = ("user", "item", "day", "weight", "event")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    @cached_property
    def end_day(self) -> float:
        """When the last row was."""
        return float(self.day.max())

    @cached_property
    def days_before_end(self) -> Numbers:
        """How old each row is at the end, days."""
        return self.end_day - self.day

    def matrix(self, values: Numbers | None = None) -> sp.csr_array:
        """Users x items, the sum of a value of each row; by default how many rows there are."""
        shape = len(self.users), len(self.items)
        ones = np.ones(len(self)) if values is None else values
        return sp.csr_array((ones, (self.user, self.item)), shape=shape)


def interaction_table(frame: Any) -> pa.Table:
    """The frame as an Arrow table with plain ids, checked. Raises BadInteractions."""
    try:
        table = table_without_index(frame)
    except TypeError as error:
        raise _bad(str(error), "Pass a frame of pandas, Polars, DuckDB or Arrow.") from error
    for name in ("user_id", "item_id"):
        if name not in table.column_names:
            raise _bad(f"there is no column {name}", f"Rename one of {', '.join(table.column_names)} to {name}.")
        table = table.set_column(table.column_names.index(name), name, _plain(table[name]))
    for name in ("user_id", "item_id", "at"):
        count = table[name].null_count if name in table.column_names else 0
        if count:
            raise _bad(f"{count} of {table.num_rows} rows have no {name}", "Leave these rows out, or fill them in.")
    return table


def codes_of(values: pa.Array | pa.ChunkedArray, known: pa.Array) -> Codes:
    """Place of each value among the known ones; -1 where it is not there."""
    places = pc.index_in(values.cast(known.type), known).fill_null(-1)
    return np.asarray(places, dtype=np.int64)


def codes_of_ids(ids: Any, known: pa.Array) -> Codes:
    """As `codes_of`, for ids in a list, an array or a column; those of another type are not known."""
    values = id_array(ids)
    try:
        return codes_of(values, known)
    except pa.ArrowException:
        return np.full(len(values), -1, dtype=np.int64)


def id_array(ids: Any) -> pa.Array:
    """One id, or several in a list, an array or a column, as an Arrow array. Raises BadInteractions."""
    if isinstance(ids, str | bytes | int):
        ids = [ids]
    try:
        column = ids if isinstance(ids, pa.ChunkedArray) else pa.chunked_array([pa.array(ids)])
        return _plain(column).combine_chunks()
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _bad(f"ids are needed, not {type(ids).__name__}: {error}", "Pass a list of ids.") from error


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of ids without dictionaries and 64-bit offsets."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column.cast(pa.string() if pa.types.is_large_string(kind) else kind)


def _ids(table: pa.Table, name: str) -> pa.Array:
    return pc.unique(table[name]).sort() if table.num_rows else pa.array([], table[name].type)


def days_of(table: pa.Table) -> Numbers:
    """When each row was, in days; 0 for all rows of a table without times. Raises BadInteractions."""
    if "at" not in table.column_names:
        return np.zeros(table.num_rows)
    column = table["at"]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        try:
            column = column.cast(pa.timestamp("us"))
        except pa.ArrowInvalid as error:
            raise _bad(f"at is no time: {error}", "Write times as 2024-03-01 or 2024-03-01T09:30:00.") from error
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_numpy() / (SECONDS_A_DAY * 1e6)
    try:
        return float_column(table, "at") / SECONDS_A_DAY
    except pa.ArrowException as error:
        raise _bad(f"at is no time: {column.type}", "Pass times, dates, or seconds as numbers.") from error


def weights_of(table: pa.Table) -> Numbers:
    """What each row counts; 1 in a table without weights. Raises BadInteractions."""
    if "weight" not in table.column_names:
        return np.ones(table.num_rows)
    try:
        weight = float_column(table, "weight", missing=np.nan)
    except pa.ArrowException as error:
        raise _bad(f"weight is no number: {table['weight'].type}", "Pass numbers.") from error
    if not np.isfinite(weight).all():
        raise _bad(f"{int((~np.isfinite(weight)).sum())} rows have no finite weight", "Leave these rows out.")
    return weight


def _bad(what: str, todo: str) -> BadInteractions:
    return BadInteractions(what, where="interactions", todo=todo)
