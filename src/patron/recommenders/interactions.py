"""Who did what with which item, and when: anybody's rows as whole numbers."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from patron.recommenders.ids import Codes, codes_of_ids, plain_ids, without_dictionary
from patron.recommenders.promotions import Promotions
from patron.recommenders.times import days_of
from patron.schema.errors import BadInteractions
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers, float_column

COLUMNS = ("user_id", "item_id", "at", "weight", "event", "category")


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
    has_times: bool
    """Whether rows are of different times; else they only have an order."""
    category: Codes
    """Category of each item, that of its newest row with one; 0 for all items of a frame without categories."""
    as_of: float | None = None
    """Day that ages are counted to; None is that of the newest row."""
    promotions: Promotions | None = None
    """The shop's plan, where it is known."""

    @classmethod
    def of(cls, frame: Any) -> Self:
        """Read a frame with user_id and item_id, and where it has them `at`, `weight`, `event` and `category`.

        `at` is a time, a date or a number of seconds. Raises BadInteractions.
        """
        table = interaction_table(frame)
        days = days_of(table)
        order = np.argsort(days, kind="stable")
        users, items = (_ids(table, name) for name in ("user_id", "item_id"))
        names = _labels(table, "event")
        events = names.unique().sort() if names is not None else pa.array([""])
        weight = weights_of(table)
        item = codes_of_ids(table["item_id"], items)[order]
        return cls(
            users,
            items,
            codes_of_ids(table["user_id"], users)[order],
            item,
            days[order],
            weight[order],
            codes_of_ids(names, events)[order] if names is not None else np.zeros(len(order), dtype=np.int64),
            tuple(events.to_pylist()),
            bool(np.ptp(days) > 0) if len(days) else False,
            _categories(table, order, item, len(items)),
        )

    def __len__(self) -> int:
        """How many rows."""
        return len(self.user)

    def where(self, rows: npt.NDArray[np.bool_] | Codes) -> Self:
        """Some of the rows, by flags or in the order of their places; users and items keep their numbers."""
        columns = ("user", "item", "day", "weight", "event")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def of_items(self, items: pa.Array) -> Self:
        """Rows of these items, which keep their numbers there, without categories; users without a row are left out."""
        item = codes_of_ids(self.items, items)[self.item]
        rows = self.where(item >= 0)
        users, user = np.unique(rows.user, return_inverse=True)
        ids = self.users.take(pa.array(users))
        places = {"user": user.astype(np.int64), "item": item[item >= 0]}
        return replace(rows, users=ids, items=items, category=np.zeros(len(items), dtype=np.int64), **places)

    @cached_property
    def end_day(self) -> float:
        """Day that ages are counted to."""
        return float(self.day.max()) if self.as_of is None else self.as_of

    @cached_property
    def days_before_end(self) -> Numbers:
        """How old each row is at the end, days."""
        return self.end_day - self.day

    @cached_property
    def last_day(self) -> Numbers:
        """Day of each user's newest row, by number; minus infinity of a user without rows."""
        last = np.full(len(self.users), -np.inf)
        np.maximum.at(last, self.user, self.day)
        return last

    @cached_property
    def days_before_last(self) -> Numbers:
        """How old each row is when its user's newest one comes, days."""
        return self.last_day[self.user] - self.day

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
    for name in COLUMNS:
        if table.column_names.count(name) > 1:
            raise _bad(f"{table.column_names.count(name)} columns are called {name}", "Keep one of them.")
    for name in ("user_id", "item_id"):
        if name not in table.column_names:
            raise _bad(f"there is no column {name}", f"Rename one of {', '.join(table.column_names)} to {name}.")
        table = table.set_column(table.column_names.index(name), name, _plain(table, name))
    for name in ("user_id", "item_id", "at"):
        count = _count_missing(table[name]) if name in table.column_names else 0
        if count:
            raise _bad(f"{count} of {table.num_rows} rows have no {name}", "Leave these rows out, or fill them in.")
    return table


def _plain(table: pa.Table, name: str) -> pa.ChunkedArray:
    try:
        return plain_ids(table[name])
    except (BadInteractions, pa.ArrowException) as error:
        raise _bad(f"{name} holds no ids: {table[name].type}", "Pass texts or whole numbers.") from error


def _count_missing(column: pa.ChunkedArray) -> int:
    """How many values are NULL, NaN or infinite."""
    values = without_dictionary(column)
    is_float = pa.types.is_floating(values.type)
    return values.null_count + (pc.sum(pc.invert(pc.is_finite(values))).as_py() or 0 if is_float else 0)


def _labels(table: pa.Table, name: str) -> pa.ChunkedArray | None:
    """Text of each row, "" where there is none; None for a table without the column. Raises BadInteractions."""
    if name not in table.column_names:
        return None
    try:
        return without_dictionary(table[name]).cast(pa.string()).fill_null("")
    except pa.ArrowException as error:
        todo = f"Pass the name of each row's {name}."
        raise _bad(f"{name} is not text: {table[name].type}", todo) from error


def _categories(table: pa.Table, order: Codes, item: Codes, count: int) -> Codes:
    """Category of each item, by number; that of its newest row that has one. Raises BadInteractions."""
    category, labels = np.zeros(count, dtype=np.int64), _labels(table, "category")
    if labels is not None:
        codes = codes_of_ids(labels, labels.unique().sort())[order]
        has_label = pc.not_equal(labels, "").to_numpy()[order]
        category[item[has_label]] = codes[has_label]
    return category


def _ids(table: pa.Table, name: str) -> pa.Array:
    return pc.unique(table[name]).sort() if table.num_rows else pa.array([], table[name].type)


def weights_of(table: pa.Table) -> Numbers:
    """What each row counts; 1 in a table without weights. Raises BadInteractions."""
    if "weight" not in table.column_names:
        return np.ones(table.num_rows)
    try:
        weight = float_column(table, "weight", missing=np.nan)
    except pa.ArrowException as error:
        raise _bad(f"weight is not a number: {table['weight'].type}", "Pass numbers.") from error
    if not np.isfinite(weight).all():
        raise _bad(f"{int((~np.isfinite(weight)).sum())} rows have no finite weight", "Leave these rows out.")
    return weight


def _bad(what: str, todo: str) -> BadInteractions:
    return BadInteractions(what, where="interactions", todo=todo)
