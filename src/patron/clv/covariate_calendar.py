"""What the days were like: a calendar of periods and their covariates, and its sums over each customer's orders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.clv.distinct_histories import Indices, arrow, distinct_rows, finite_column
from patron.clv.rfm_summary import MICROSECONDS_A_DAY, UNIT_DAYS, customer_codes, summary_unit, timestamps_us
from patron.schema.numbers import Numbers

FIRST = "first_day"
"""Column of a summary: the time of the first order in days since 1970; with whole days the end of its day."""
ENDS = ("from", "until")


def at_orders_column(name: str) -> str:
    """Column of a summary: the sum of a covariate over the repeat orders."""
    return f"{name}_at_orders"


@dataclass(frozen=True)
class Calendar:
    """Periods that follow each other without a gap, and the covariates of each."""

    bounds: tuple[float, ...]
    """Days since 1970 at which each period begins, and at which the last one ends."""
    values: Mapping[str, tuple[float, ...]]
    """Of each covariate, its value in each period."""

    @classmethod
    def of(cls, table: Any) -> Self:
        """Read a table, in any order, with the dates `from` and `until` (a day of the period too) and covariates.

        Days that no period has, between the first and the last one, have covariates of 0: a list of promotions is a
        calendar. Covariates are numbers, best about 0 and of size 1.

        Raises ValueError for a missing column, periods that end before they begin, and periods that overlap.
        """
        periods = arrow(table)
        missing = [name for name in ENDS if name not in periods.column_names]
        if missing:
            known = ", ".join(periods.column_names)
            raise ValueError(f"the calendar has no column {', '.join(missing)}; it has {known}")
        if periods.num_rows == 0:
            raise ValueError("the calendar has no period")
        begins, ends = (timestamps_us(periods[name], "periods") // MICROSECONDS_A_DAY for name in ENDS)
        ends = ends + 1
        order = np.argsort(begins, kind="stable")
        begins, ends = begins[order], ends[order]
        _check_periods(begins, ends)
        bounds = np.unique(np.concatenate([begins, ends]))
        place = np.searchsorted(begins, bounds[:-1], side="right") - 1
        is_covered = bounds[:-1] < ends[place]
        values = {
            name: tuple(np.where(is_covered, finite_column(periods, name)[order][place], 0.0).tolist())
            for name in periods.column_names
            if name not in ENDS
        }
        return cls(tuple(bounds.astype(np.float64).tolist()), values)

    @property
    def date_range(self) -> str:
        """First and last day, in words."""
        first, last = (np.datetime64(int(day), "D") for day in (self.bounds[0], self.bounds[-1] - 1))
        return f"{first} to {last}"

    def table(self, names: Sequence[str]) -> Numbers:
        """Covariates, a row a period. Raises ValueError for one that the calendar does not have."""
        missing = [name for name in names if name not in self.values]
        if missing:
            known = ", ".join(self.values) or "none"
            raise ValueError(f"the calendar has no covariate {', '.join(missing)}; it has {known}")
        return np.array([self.values[name] for name in names]).reshape(len(names), len(self.bounds) - 1).T

    def period_at(self, day: Numbers) -> Indices:
        """Period of each time, in days since 1970."""
        return np.clip(np.searchsorted(np.array(self.bounds), day, side="right") - 1, 0, len(self.bounds) - 2)

    def check_coverage(self, first: Numbers, last: Numbers) -> None:
        """Reject spans of time, in days since 1970, that the calendar does not cover. Raises ValueError."""
        if len(first) == 0 or (first.min() > self.bounds[0] - 1e-6 and last.max() < self.bounds[-1] + 1e-6):
            return
        begins, ends = np.floor(first.min() + 1e-6), np.ceil(last.max() - 1e-6) - 1
        needed = " to ".join(str(np.datetime64(int(day), "D")) for day in (begins, ends))
        raise ValueError(f"the calendar covers {self.date_range}, and {needed} is needed")


def _check_periods(begins: Indices, ends: Indices) -> None:
    backwards, overlapping = int((ends <= begins).sum()), int((begins[1:] < ends[:-1]).sum())
    if backwards:
        raise ValueError(f"the calendar: {backwards} periods end before they begin")
    if overlapping:
        raise ValueError(f"the calendar: {overlapping} periods begin before the one before ends")


def with_calendar(  # noqa: PLR0913 - as rfm, which the orders are read as
    summary: Any,
    orders: Any,
    calendar: Calendar,
    *,
    customer: str = "customer_id",
    time: str = "ordered_at",
    value: str | None = "value",
    whole_days: bool = True,
) -> pa.Table:
    """The summary that `rfm` made of these orders, with what a seasonal model needs more.

    New columns: first_day, the time of the first order in days since 1970; and for each covariate x of the calendar
    x_at_orders, the sum of its values at the repeat orders. With whole days an order comes at the end of its day, so
    that the days after it are those it is waited for. The names of columns and `whole_days` are as they were for `rfm`.

    Raises ValueError for a missing column, orders that are not those of the summary, and days outside the calendar.
    """
    table, order_table = arrow(summary), arrow(orders)
    for name, has in ((customer, order_table), (time, order_table), ("first_at", table), ("customer_id", table)):
        if name not in has.column_names:
            raise ValueError(f"no column {name} in {', '.join(has.column_names)}")
    if value is not None:  # why: a refund is not an order
        order_table = order_table.filter(pa.array(finite_column(order_table, value) >= 0))
    step = MICROSECONDS_A_DAY if whole_days else 1
    day = MICROSECONDS_A_DAY // step
    first = timestamps_us(table["first_at"]) // step
    last = first + np.round(finite_column(table, "T") * unit_days(summary_unit(table)) * day).astype(np.int64)
    row, at = _repeats(
        _rows_of(order_table[customer], table["customer_id"]), timestamps_us(order_table[time]) // step, first, last
    )
    wrong = int((np.bincount(row, minlength=len(first)) != finite_column(table, "frequency")).sum())
    if wrong:
        raise ValueError(f"{wrong} customers have another number of repeat orders in the orders than in the summary")
    begun, ended = (one.astype(np.float64) / day + whole_days for one in (first, last))
    calendar.check_coverage(begun, ended)
    place = calendar.period_at((at + 0.5 * whole_days) / day)
    added = {FIRST: begun}
    for name, values in calendar.values.items():
        added[at_orders_column(name)] = np.bincount(row, np.array(values)[place], len(first)).astype(np.float64)
    table = table.drop_columns([name for name in added if name in table.column_names])
    for name, column in added.items():
        table = table.append_column(name, pa.array(column))
    return table


def _rows_of(customers: pa.ChunkedArray, known: pa.ChunkedArray) -> Indices:
    """Row of the summary of each order's customer, -1 where there is none."""
    codes, ids = customer_codes(customers)
    row = pc.index_in(ids, value_set=known.combine_chunks().cast(ids.type)).fill_null(-1)
    return row.to_numpy(zero_copy_only=False).astype(np.int64)[codes]


def _repeats(row: Indices, at: Indices, first: Indices, last: Indices) -> tuple[Indices, Indices]:
    """Row and time of each repeat order until its customer was last seen; orders of one time are one."""
    is_repeat = (row >= 0) & (at > first[row]) & (at <= last[row])
    row, at = row[is_repeat], at[is_repeat]
    kept, _ = distinct_rows(row.astype(np.float64), at.astype(np.float64))
    return row[kept], at[kept]


def unit_days(unit: str) -> float:
    """Days of a unit of time. Raises ValueError when a summary has none."""
    if unit not in UNIT_DAYS:
        raise ValueError("the summary has no unit of time, which a calendar needs: use the summary that rfm returns")
    return UNIT_DAYS[unit]
