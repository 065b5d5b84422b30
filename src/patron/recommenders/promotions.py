"""The shop's plan: which items are on promotion when, and since when that is known."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders.ids import Codes, codes_of_ids, plain_ids, without_dictionary
from patron.recommenders.times import days_of
from patron.schema.errors import BadInteractions
from patron.schema.frames import table_without_index
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers, float_column

MOST_KINDS = 4
"""Kinds of promotions that are told apart, those with the most rows; others count as promotions of no kind."""
NO_KIND = -1


@dataclass(frozen=True, eq=False)
class Promotions:
    """Promotions in order of items, then of starts; days are counted as those of the interactions."""

    items: pa.Array
    """Ids of the items, sorted, each once."""
    item: Codes
    start_day: Numbers
    end_day: Numbers
    """The first day after it; infinite where no end is planned."""
    known_day: Numbers
    """Since when it is planned: no cutoff before that day knows of it."""
    price_cut: Numbers
    """Share of the price that is taken off, 0 to 1; NaN where it is not known."""
    reach: Numbers
    """Share of the shop, such as of its branches, 0 to 1."""
    kind: Codes
    """A place in `kinds`; -1 of another one, or of none."""
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, frame: Any) -> Self:
        """Read a frame with item_id, starts and ends, and where it has them known_at, kind, price_cut and reach.

        A promotion ends before `ends`, and lasts where that is NULL. It is known since `known_at`, by default since it
        starts. Raises BadInteractions.
        """
        try:
            table = table_without_index(frame)
        except TypeError as error:
            raise _bad(str(error), "Pass a frame of pandas, Polars, DuckDB or Arrow.") from error
        for name in ("item_id", "starts", "ends"):
            if name not in table.column_names:
                raise _bad(f"there is no column {name}", "Name the columns item_id, starts and ends.")
        ids = plain_ids(table["item_id"])
        items = pc.unique(ids).drop_null().sort() if len(ids) else pa.array([], ids.type)
        item, starts = codes_of_ids(ids, items), _days(table, "starts")
        ends, known = _days(table, "ends"), _days(table, "known_at")
        missing = int(((item < 0) | np.isnan(starts)).sum())
        if missing:
            raise _bad(f"{missing} of {table.num_rows} rows have no item_id or no start", "Leave these rows out.")
        if (ends < starts).any():
            raise _bad(f"{int((ends < starts).sum())} promotions end before they start", "Fix starts and ends.")
        kind, kinds = _kinds(table)
        order = np.lexsort((starts, item))
        columns = [
            item,
            starts,
            np.where(np.isnan(ends), np.inf, ends),
            np.where(np.isnan(known), starts, known),
            _shares(table, "price_cut", np.nan),
            _shares(table, "reach", 1.0),
            kind,
        ]
        return cls(items, *[one[order] for one in columns], kinds=kinds)

    def __len__(self) -> int:
        """How many promotions."""
        return len(self.item)

    def where(self, rows: npt.NDArray[np.bool_] | Codes) -> Self:
        """Some of the promotions; items and kinds keep their numbers."""
        columns = ("item", "start_day", "end_day", "known_day", "price_cut", "reach", "kind")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def known_by(self, day: float) -> Self:
        """Those that were planned by a day, with the kinds that they are of."""
        known = self.where(self.known_day <= day)
        places, kind = np.unique(np.append(NO_KIND, known.kind), return_inverse=True)
        return replace(known, kind=kind[1:] - 1, kinds=tuple(self.kinds[place] for place in places[1:]))

    def of_kinds(self, kinds: tuple[str, ...]) -> Self:
        """The same promotions; those of other kinds count as of none."""
        places = [kinds.index(one) if one in kinds else NO_KIND for one in self.kinds]
        return replace(self, kind=np.array([*places, NO_KIND], dtype=np.int64)[self.kind], kinds=kinds)

    def of_items(self, items: pa.Array) -> Self:
        """Those of these items, which keep their numbers there."""
        item = codes_of_ids(self.items, items)[self.item]
        order = np.argsort(item, kind="stable")
        kept = replace(self.where(order), items=items, item=item[order])
        return kept.where(kept.item >= 0)

    def share_of_days(self, start_day: float, end_day: float) -> Numbers:
        """Share of a stretch of days in which each promotion runs, times its reach."""
        overlap = np.minimum(self.end_day, end_day) - np.maximum(self.start_day, start_day)
        return self.reach * np.clip(overlap / (end_day - start_day), 0.0, 1.0)

    def share_by_item(self, start_day: float, end_day: float, kind: int | None = None) -> Numbers:
        """Share of a stretch of days in which each item is on promotion, 1 at most; of one kind, or of any."""
        share = self.share_of_days(start_day, end_day)
        if kind is not None:
            share = share * (self.kind == kind)
        return np.minimum(np.bincount(self.item, share, len(self.items)), 1.0)

    def share_at(self, items: Codes, days: Numbers) -> Numbers:
        """Share of the shop in which each item is on promotion on a day of its own, 1 at most."""
        starts = np.searchsorted(self.item, np.arange(len(self.items) + 1))
        return _share_at(items, days, starts, self.start_day, self.end_day, self.reach)


def _days(table: pa.Table, name: str) -> Numbers:
    """A column of times in days, NaN where there is none. Raises BadInteractions."""
    days = np.full(table.num_rows, np.nan)
    if name in table.column_names and table[name].null_count < table.num_rows:
        column = without_dictionary(table[name])
        has_time = np.asarray(column.is_valid())
        days[has_time] = days_of(pa.table({"at": column.drop_null()}))
    return days


def _shares(table: pa.Table, name: str, missing: float) -> Numbers:
    """A column of shares. Raises BadInteractions."""
    if name not in table.column_names:
        return np.full(table.num_rows, missing)
    try:
        shares = float_column(table, name, missing=missing)
    except pa.ArrowException as error:
        raise _bad(f"{name} is not a number: {table[name].type}", "Pass shares from 0 to 1.") from error
    is_wrong = (shares < 0) | (shares > 1)
    if is_wrong.any():
        raise _bad(f"{name} is {shares[is_wrong][0]:g} in {int(is_wrong.sum())} rows", "It is a share from 0 to 1.")
    return shares


def _kinds(table: pa.Table) -> tuple[Codes, tuple[str, ...]]:
    """Number of each promotion's kind, and their names: the most frequent ones, ties by name."""
    if "kind" not in table.column_names:
        return np.full(table.num_rows, NO_KIND, dtype=np.int64), ()
    try:
        kinds = without_dictionary(table["kind"]).cast(pa.string())
    except pa.ArrowException as error:
        raise _bad(f"kind is not text: {table['kind'].type}", "Pass names such as leaflet.") from error
    counts = sorted((-one["counts"].as_py(), one["values"].as_py()) for one in kinds.drop_null().value_counts())
    names = tuple(sorted(name for _, name in counts[:MOST_KINDS]))
    return codes_of_ids(kinds, pa.array(names, pa.string())), names


@kernel()
def _share_at(items, days, starts, start_day, end_day, reach):  # noqa: ANN001, ANN202
    shares = np.zeros(len(items))
    for row in range(len(items)):
        for at in range(starts[items[row]], starts[items[row] + 1]):
            if start_day[at] > days[row]:
                break
            if days[row] < end_day[at]:
                shares[row] += reach[at]
        shares[row] = min(shares[row], 1.0)
    return shares


def _bad(what: str, todo: str) -> BadInteractions:
    return BadInteractions(what, where="promotions", todo=todo)
