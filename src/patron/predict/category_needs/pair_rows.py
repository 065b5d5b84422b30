"""Features of a customer and a category at a cutoff, and what came: the rows that learners of categories take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import numpy as np
import pyarrow as pa

from patron.estimators.learner import LABEL
from patron.predict.category_needs.purchases import DatedAmounts, Integers, Purchases
from patron.predict.category_needs.rhythm import MAX_WINDOWS, WINDOW_DAYS, Rhythm, totals
from patron.predict.sampling import IS_DOUBLE, MAX_KEY, SAMPLE_KEY, keys_of_facts
from patron.schema.models.questions import CATEGORY_PURCHASE, CATEGORY_SPEND, CategoryQuestion
from patron.schema.numbers import Numbers
from patron.schema.table_definition import TIME

POPULAR_OTHERS = 5
"""Categories that a customer never bought and could begin with: the most popular ones."""
POPULAR_LOOKED_AT = 60
"""Of how many popular categories these are taken; who has bought all of them has no others."""
PRIOR_GAPS, PRIOR_WINDOWS, PRIOR_PURCHASES = 2.0, 2.0, 2.0
"""How many gaps, windows and purchases the category's mean is worth; larger shrinks more."""
FEATURE_VERSION = "1"
QUESTIONS = (CATEGORY_PURCHASE, CATEGORY_SPEND)
Columns = dict[str, Numbers]


@dataclass(frozen=True)
class CategoryPairs:
    """What is known of all customers and categories at a cutoff."""

    days: int
    """Days from the cutoff to the run."""
    purchases: Purchases
    lines: DatedAmounts
    """By customer and category, known at the cutoff."""
    pairs: Rhythm
    customer: Rhythm
    orders: DatedAmounts
    """By customer, known at the cutoff."""
    by_popularity: Integers
    """Categories, the most popular of the last 90 days first."""
    category: Mapping[str, Numbers]
    """Columns by category."""

    @property
    def candidate_count(self) -> int:
        """How many pairs there are at most."""
        return len(self.pairs.key) + POPULAR_OTHERS * len(self.customer.key)

    @classmethod
    def at(cls, purchases: Purchases, days: int) -> Self:
        """Count what was known some days before the run."""
        lines, orders = purchases.lines.known_before(days), purchases.orders.known_before(days)
        pairs, customer = Rhythm.of(lines), Rhythm.of(orders)
        count = max(len(purchases.categories), 1)
        category = pairs.key % count

        def summed(values: Numbers) -> Numbers:
            return np.bincount(category, weights=values, minlength=count).astype(np.float64)

        active = max(float((customer.days_90 > 0).sum()), 1.0)
        gaps, gap_days = summed(pairs.gap_count), summed(pairs.gap_days)
        gap = (gap_days + PRIOR_GAPS * _ratio(gap_days.sum(), gaps.sum(), 90.0)) / (gaps + PRIOR_GAPS)
        squared = (summed(pairs.squared_gaps) + PRIOR_GAPS * 2 * gap**2) / (gaps + PRIOR_GAPS)
        paid = np.bincount(lines.key % count, weights=lines.paid_cents, minlength=count)
        rate_30, rate_90 = (summed((one > 0).astype(np.float64)) / active for one in (pairs.days_30, pairs.days_90))
        columns = {
            "category_rate_30_days": rate_30,
            "category_rate_90_days": rate_90,
            "category_gap_days": gap,
            "category_gap_spread_days": np.sqrt(np.maximum(squared - gap**2, 1.0)),
            "category_paid_per_purchase": paid / np.maximum(summed(pairs.day_count), 1.0),
        }
        order = np.lexsort([np.arange(count), -summed(pairs.day_count), -rate_90])
        return cls(days, purchases, lines, pairs, customer, orders, order, columns)


def pair_table(
    market: CategoryPairs, as_of: datetime, *, share: float = 1.0, first: int = 0, end: int | None = None
) -> pa.Table:
    """Rows of all candidate pairs, or a share of them as good as drawn, of customers from `first` up to `end`.

    Candidates are the categories a customer has bought, and the five most popular others. In the order of customers'
    sample keys, then categories by name.
    """
    purchases, count = market.purchases, max(len(market.purchases.categories), 1)
    end = len(purchases.customers) if end is None else end
    lines = market.lines.between(first * count, end * count)
    if share < 1:
        lines = lines.where(_is_drawn(purchases, lines.key, share))
    pairs = Rhythm.of(lines)
    others = _popular_others(market, first, end)
    if share < 1:
        others = others[_is_drawn(purchases, others, share)]
    keys = np.sort(np.concatenate([pairs.key, others]))
    columns = _columns(market, pairs, lines, keys)
    customer = pa.array(keys // count)
    names = purchases.customers.take(customer).cast(pa.string())
    category = pa.DictionaryArray.from_arrays(pa.array((keys % count).astype(np.int32)), purchases.categories)
    moment = pa.scalar(as_of - timedelta(days=market.days), TIME)
    return pa.table(
        {
            "customer_id": names,
            "as_of": pa.repeat(moment, len(keys)),
            SAMPLE_KEY: pa.array(purchases.sample_key[keys // count]),
            "category": category,
            "feature_version": pa.repeat(FEATURE_VERSION, len(keys)),
            **{name: pa.array(values) for name, values in columns.items()},
            **{question.name: _outcomes(market, question, keys) for question in QUESTIONS},
        }
    )


def labelled_by(rows: pa.Table, question: CategoryQuestion) -> pa.Table:
    """The rows as learners of a question take them: its outcome as the label, no other outcome."""
    others = [one.name for one in QUESTIONS]
    return rows.append_column(LABEL, rows[question.name]).drop_columns(others)


def _outcomes(market: CategoryPairs, question: CategoryQuestion, keys: Integers) -> pa.Array:
    """What came of each pair within the horizon; NULL where that is not over by the run."""
    if market.days < question.horizon_days:
        return pa.nulls(len(keys), pa.float64())
    coming = market.purchases.lines.coming(market.days, question.horizon_days)
    if question is CATEGORY_SPEND:
        return pa.array(totals(coming, keys))
    return pa.array(np.isin(keys, coming.key[~coming.is_refund]).astype(np.float64))


def _columns(market: CategoryPairs, pairs: Rhythm, lines: DatedAmounts, keys: Integers) -> Columns:
    """The features of these pairs."""
    count = max(len(market.purchases.categories), 1)
    shared = {name: values[keys % count] for name, values in market.category.items()}
    shared |= _customer_columns(market, keys // count)
    return shared | _rhythm_columns(pairs, keys, shared) | _amount_columns(pairs, lines, keys, shared)


def _customer_columns(market: CategoryPairs, customer: Integers) -> Columns:
    rhythm = market.customer
    gaps, gap_days = (rhythm.at(customer, name, 0.0) for name in ("gap_count", "gap_days"))
    return {
        "days_since_order": rhythm.at(customer, "last_ago", np.nan),
        "days_since_first_order": rhythm.at(customer, "first_ago", np.nan),
        "order_days": rhythm.at(customer, "day_count", np.nan),
        "order_days_30_days": rhythm.at(customer, "days_30", np.nan),
        "order_days_90_days": rhythm.at(customer, "days_90", np.nan),
        "order_gap_days": np.where(gaps > 0, gap_days / np.maximum(gaps, 1.0), np.nan),
        "paid_cents_90_days": totals(market.orders, customer, 90),
    }


def _rhythm_columns(pairs: Rhythm, keys: Integers, shared: Columns) -> Columns:
    """How often and how regularly, shrunk to the category; `shared` are the columns of its customer and category."""
    days = pairs.at(keys, "day_count", 0.0)
    gaps, elapsed = np.maximum(days - 1, 0.0), pairs.at(keys, "last_ago", np.nan)
    usual, spread = shared["category_gap_days"], shared["category_gap_spread_days"]
    gap_days = pairs.at(keys, "gap_days", 0.0)
    gap = (gap_days + PRIOR_GAPS * usual) / (gaps + PRIOR_GAPS)
    squared = (pairs.at(keys, "squared_gaps", 0.0) + PRIOR_GAPS * (spread**2 + usual**2)) / (gaps + PRIOR_GAPS)
    windows = np.clip(np.nan_to_num(shared["days_since_first_order"]) // WINDOW_DAYS, 0, MAX_WINDOWS)
    with_purchase = np.minimum(pairs.at(keys, "window_count", 0.0), windows)
    share = (with_purchase + PRIOR_WINDOWS * shared["category_rate_30_days"]) / (windows + PRIOR_WINDOWS)
    return {
        "days_since_purchase": elapsed,
        "own_gap_days": np.where(gaps > 1, gap_days / np.maximum(gaps, 1.0), np.nan),
        "purchase_gap_days": np.where(days > 0, gap, np.nan),
        "purchase_gap_spread_days": np.where(days > 0, np.sqrt(np.maximum(squared - gap**2, 1.0)), np.nan),
        "elapsed_over_gap": elapsed / np.maximum(gap, 1.0),
        "days_until_usual": gap - elapsed,
        "rhythm_log_odds": np.where(days > 0, np.log(np.expm1(WINDOW_DAYS / np.maximum(gap, 1.0))), np.nan),
        "window_count": windows,
        "windows_with_purchase": with_purchase,
        "own_share_log_odds": _log_odds(share),
    }


def _amount_columns(pairs: Rhythm, lines: DatedAmounts, keys: Integers, shared: Columns) -> Columns:
    """How many days with a purchase, and what was paid on them."""
    days, days_90 = pairs.at(keys, "day_count", 0.0), pairs.at(keys, "days_90", 0.0)
    prior = PRIOR_PURCHASES * shared["category_paid_per_purchase"]
    return {
        "purchase_days": days,
        "purchase_days_30_days": pairs.at(keys, "days_30", 0.0),
        "purchase_days_90_days": days_90,
        "purchase_days_365_days": pairs.at(keys, "days_365", 0.0),
        "share_of_order_days": days / np.maximum(shared["order_days"], 1.0),
        "share_of_order_days_90_days": days_90 / np.maximum(shared["order_days_90_days"], 1.0),
        "paid_in_category_90_days": totals(lines, keys, 90),
        "paid_in_category_365_days": totals(lines, keys, 365),
        "paid_per_purchase": (totals(lines, keys) + prior) / (days + PRIOR_PURCHASES),
    }


def _popular_others(market: CategoryPairs, first: int, end: int) -> Integers:
    """Keys of the most popular categories that customers with an order have never bought."""
    count = max(len(market.purchases.categories), 1)
    popular = market.by_popularity[:POPULAR_LOOKED_AT]
    popular = popular[market.category["category_rate_90_days"][popular] > 0]
    known = market.customer.key[(market.customer.key >= first) & (market.customer.key < end)]
    if not len(popular) or not len(known):
        return np.zeros(0, np.int64)
    bought = np.zeros((len(known), len(popular)), bool)
    lines = market.lines.between(first * count, end * count)
    column = np.full(count, -1)
    column[popular] = np.arange(len(popular))
    mine = lines.where((column[lines.key % count] >= 0) & ~lines.is_refund)
    bought[np.searchsorted(known, mine.key // count), column[mine.key % count]] = True
    chosen = ~bought & (np.cumsum(~bought, axis=1) <= POPULAR_OTHERS)
    row, place = np.nonzero(chosen)
    return known[row] * count + popular[place]


def _is_drawn(purchases: Purchases, keys: Integers, share: float) -> np.ndarray:
    """Whether each pair is in a sample, the same at every cutoff."""
    count = max(len(purchases.categories), 1)
    columns = (purchases.sample_key[keys // count].astype(np.float64), (keys % count).astype(np.float64))
    return (keys_of_facts(columns) >> np.uint64(IS_DOUBLE)) <= np.uint64(int(share * MAX_KEY))


def _log_odds(chance: Numbers) -> Numbers:
    sure = np.clip(chance, 1e-3, 1 - 1e-3)
    return np.log(sure / (1 - sure))


def _ratio(part: float, whole: float, otherwise: float) -> float:
    return part / whole if whole > 0 else otherwise
