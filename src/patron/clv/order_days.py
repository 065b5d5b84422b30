"""Days on which each customer ordered, and features of them at a cutoff besides frequency and recency."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from patron.clv.distinct_histories import Indices, finite_column
from patron.clv.order_times import timestamps_us
from patron.clv.rfm_summary import MICROSECONDS_A_DAY, check_order_columns, customer_codes, rfm
from patron.schema.frames import arrow
from patron.schema.numbers import Numbers

WINDOWS = (28, 56, 91, 182)
"""Days of late in which orders are counted."""
NEVER = -1.0


@dataclass(frozen=True)
class OrderDays:
    """One entry for each customer and day with an order, by customer and then by day."""

    ids: pa.Array
    who: Indices
    """Place of the customer in `ids`."""
    day: Indices
    """Days since 1970."""
    paid: Numbers
    first: Indices
    """Day of the first order of each customer, by place in `ids`."""

    @classmethod
    def of(cls, orders: Any, end: int, *, customer: str, time: str, value: str | None) -> Self:
        """Read orders until the end of a day, without refunds: on earlier days nobody knew of them.

        Raises ValueError for missing columns or orders of nobody.
        """
        return cls._read(orders, end, (customer, time, value), of_refunded=False)

    @classmethod
    def of_everybody(cls, orders: Any, end: int, *, customer: str, time: str, value: str | None) -> Self:
        """As `of`, with those too who have nothing but refunds: an order worth nothing on the day of their first one.

        They bought before these orders begin, or a day's refunds were taken from its order.
        """
        return cls._read(orders, end, (customer, time, value), of_refunded=True)

    @classmethod
    def _read(cls, orders: Any, end: int, names: tuple[str, str, str | None], *, of_refunded: bool) -> Self:
        customer, time, value = names
        table = arrow(orders)
        check_order_columns(table, customer=customer, time=time, value=value)
        who, ids = customer_codes(table[customer])
        day = timestamps_us(table[time]) // MICROSECONDS_A_DAY
        paid = finite_column(table, value) if value is not None else np.ones(table.num_rows)
        known = (day <= end) & (paid >= 0)
        if of_refunded:
            is_refunded = (day <= end) & ~np.bincount(who[known], minlength=len(ids)).astype(bool)[who]
            opened = np.full(len(ids), np.iinfo(np.int64).max)
            np.minimum.at(opened, who[is_refunded], day[is_refunded])
            known |= is_refunded & (day == opened[who])
            paid = np.maximum(paid, 0.0)
        earliest = int(day.min()) if len(day) else 0
        width = end - earliest + 1
        keys, place = np.unique(who[known] * width + (day[known] - earliest), return_inverse=True)
        total = np.bincount(place, paid[known], len(keys)).astype(np.float64)
        buyers, days = keys // width, keys % width + earliest
        first = np.full(len(ids), np.iinfo(np.int64).max)
        np.minimum.at(first, buyers, days)
        return cls(ids, buyers, days, total, first)

    def span(self, end: int) -> int:
        """Days from the first order of anybody to the end of a day."""
        return end - int(self.day.min()) + 1 if len(self.day) else 0

    def summary(self, cutoff: int, unit: str, *, holdout_day: int) -> pa.Table:
        """As `rfm` at the end of a day, with places for ids and the orders until the end of another."""
        times = pa.array(self.day * MICROSECONDS_A_DAY).cast(pa.timestamp("us"))
        table = pa.table({"customer_id": self.who, "ordered_at": times, "value": self.paid})
        ends = [np.datetime64(int(one), "D").astype(object) for one in (cutoff, holdout_day)]
        return rfm(table, until=ends[0], holdout_until=ends[1], unit=unit)

    def features(self, summary: pa.Table, cutoff: int) -> Numbers:
        """What was known of each customer of a summary at the end of a day: a row each."""
        places = summary["customer_id"].to_numpy()
        known = self.day <= cutoff
        who = self.who[known]
        day = self.day[known]
        paid = self.paid[known]
        size = len(self.ids)
        counts = [np.bincount(who[day > cutoff - back], minlength=size)[places] for back in WINDOWS]
        orders = np.bincount(who, minlength=size)
        largest = np.zeros(size)
        newest = np.zeros(size)
        oldest = np.zeros(size)
        np.maximum.at(largest, who, paid)
        newest[who] = paid  # why: entries are by day, so the last one stays
        oldest[who[::-1]] = paid[::-1]
        mean = np.bincount(who, paid, size) / np.maximum(orders, 1)
        frequency, recency, age, gaps = (summary[name].to_numpy() for name in ("frequency", "recency", "T", "log_gaps"))
        gap = np.where(frequency > 0, recency / np.maximum(frequency, 1), NEVER)
        quiet = age - recency
        columns = [frequency, recency, age, quiet, gap, gaps, quiet / np.where(frequency > 0, gap + 1, 20.0)]
        columns += [summary["monetary_value"].to_numpy(), *counts]
        return np.column_stack([*columns, *(one[places] for one in (mean, largest, newest, oldest))])

    def ages(self, end: int) -> Numbers:
        """Days since the first order, of each customer who has one."""
        return (end - self.first[self.first <= end]).astype(np.float64)

    def repeats(self, end: int) -> Numbers:
        """Days from the first order to each later one."""
        since = self.day - self.first[self.who]
        return since[(since > 0) & (self.day <= end)].astype(np.float64)

    def late(self, end: int, days: int) -> int:
        """Repeat orders of the last days."""
        return int(((self.day > end - days) & (self.day > self.first[self.who])).sum())
