"""What customers bought, by category and day, numbered for arithmetic: read once for all cutoffs of a run.

A day is counted back from the run: 0 is the 24 hours before it. Cutoffs are whole days before the run, so that the
same numbers say what was known at each.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.sampling import FACTS, OF_CUSTOMERS, SAMPLE_KEY, sample_keys
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

HISTORY_DAYS = 1_095
"""Older purchases say little about the next one, and are not read."""
SECONDS_A_DAY = 86_400
AGO = "cast(floor(({end} - 1 - seconds_of({time})) / 86400.0) as bigint)"
LINES = """
select customer_id, category, {ordered} as ordered_ago, {known} as known_ago, is_refund,
    cast(sum(paid_cents) as bigint) as paid_cents
from order_lines
where is_identified and category is not null and ordered_at < {now} and ordered_at >= {since}
    and known_at < {now} and category_known_at < {now}
group by 1, 2, 3, 4, 5"""
ORDER_DAYS = """
select customer_id, {ordered} as ordered_ago, {known} as known_ago, false as is_refund,
    cast(sum(paid_cents) as bigint) as paid_cents
from orders where is_identified and occurred_at < {now} and occurred_at >= {since} and known_at < {now}
group by 1, 2, 3"""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DatedAmounts:
    """Amounts by key and day, sorted by key, then the earliest first."""

    key: Integers
    ordered_ago: Integers
    """Days from the order to the run."""
    known_ago: Integers
    """Days from when it was known to the run."""
    is_refund: npt.NDArray[np.bool_]
    paid_cents: Integers

    def where(self, mask: npt.NDArray[np.bool_] | slice) -> "DatedAmounts":
        """Some of the rows."""
        days = self.ordered_ago[mask], self.known_ago[mask]
        return DatedAmounts(self.key[mask], *days, self.is_refund[mask], self.paid_cents[mask])

    def known_before(self, days: int) -> "DatedAmounts":
        """What was known some days before the run, days counted from there."""
        known = self.where((self.ordered_ago >= days) & (self.known_ago >= days))
        return DatedAmounts(
            known.key,
            known.ordered_ago - days,
            known_ago=known.known_ago - days,
            is_refund=known.is_refund,
            paid_cents=known.paid_cents,
        )

    def coming(self, days: int, horizon: int) -> "DatedAmounts":
        """What was ordered in the horizon after some days before the run, and known by its end."""
        end = days - horizon
        return self.where((self.ordered_ago < days) & (self.ordered_ago >= end) & (self.known_ago >= end))

    def between(self, first: int, end: int) -> "DatedAmounts":
        """The rows of keys from `first` up to `end`."""
        return self.where(slice(*np.searchsorted(self.key, [first, end])))


@dataclass(frozen=True)
class Purchases:
    """Purchases of all customers: the key of a purchase is customer times categories plus category."""

    customers: pa.Array
    """Ids, in the order of their sample keys: a customer's number is the position here."""
    sample_key: Integers
    categories: pa.Array
    """Names, in the order of the alphabet: a category's number is the position here."""
    lines: DatedAmounts
    """By customer and category."""
    orders: DatedAmounts
    """Order days by customer, also of products without a category."""


def read_purchases(view: StageView) -> Purchases:
    """What was known before the run, of identified customers."""
    as_of = view.run.as_of
    end = int(as_of.timestamp())
    times = {"now": timestamp(as_of), "since": timestamp(as_of - timedelta(days=HISTORY_DAYS))}

    def ago(time: str) -> str:
        return AGO.format(end=end, time=time)

    known = ago("greatest(known_at, category_known_at)")
    lines = view.query(LINES.format(ordered=ago("ordered_at"), known=known, **times))
    orders = view.query(ORDER_DAYS.format(ordered=ago("occurred_at"), known=ago("known_at"), **times))
    facts = view.query(FACTS.format(facts=OF_CUSTOMERS.format(now=timestamp(as_of))))
    keys = sample_keys(facts, facts.select(["customer_id"]).slice(0, 0))
    keys = keys.take(pa.array(np.argsort(keys[SAMPLE_KEY].to_numpy(), kind="stable")))
    customers = keys["customer_id"].combine_chunks()
    lines = lines.filter(pc.is_in(lines["customer_id"], customers))
    categories = pc.unique(lines["category"])
    categories = categories.take(pc.array_sort_indices(categories))
    buyer, category = _numbers(lines["customer_id"], customers), _numbers(lines["category"], categories)
    return Purchases(
        customers,
        keys[SAMPLE_KEY].to_numpy().astype(np.int64),
        categories=categories,
        lines=_sorted(buyer * max(len(categories), 1) + category, lines),
        orders=_sorted(_numbers(orders["customer_id"], customers), orders),
    )


def _numbers(column: pa.ChunkedArray, names: pa.Array) -> Integers:
    """The position of each value among the names, all of which are there."""
    encoded = column.combine_chunks().dictionary_encode()
    places = pc.index_in(encoded.dictionary, names).to_numpy(zero_copy_only=False).astype(np.int64)
    return places[encoded.indices.to_numpy(zero_copy_only=False)] if len(places) else np.zeros(0, np.int64)


def _sorted(key: Integers, rows: pa.Table) -> DatedAmounts:
    ordered, known, paid = (
        rows[name].combine_chunks().to_numpy().astype(np.int64) for name in ("ordered_ago", "known_ago", "paid_cents")
    )
    is_refund = rows["is_refund"].combine_chunks().to_numpy(zero_copy_only=False).astype(np.bool_)
    order = np.lexsort([paid, is_refund, -known, -ordered, key])
    return DatedAmounts(
        key[order], ordered[order], known_ago=known[order], is_refund=is_refund[order], paid_cents=paid[order]
    )
