"""The five likeliest categories of each customer, never above what is forecast of the customer as a whole."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.category_needs.rhythm import WINDOW_DAYS
from patron.predict.sampling import keys_of
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import NEED_REASONS

MAX_NEEDS = 5
"""Rows of a customer."""
LAST_DAYS = 90
"""Beyond these days nothing is said of when a purchase is due."""
MIN_PURCHASES = 3
"""Purchases from which on a customer has a rhythm of their own."""
OFTEN = 0.5
"""Share of months with a purchase from which on a category is bought often."""
MIN_CHANCE = 1e-12


@dataclass(frozen=True)
class CustomerLimits:
    """What the run forecasts of each customer: customer_id and value, in order of customer_id."""

    order_probability: pa.Table
    """Of an order in the next 30 days."""
    value: pa.Table
    """Net paid in the next 90 days, cents."""


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of pairs of customer and category, one per row."""

    probability: Numbers
    """Of a purchase in the next 30 days."""
    spend: Numbers | None
    """Net paid in the next 90 days, cents; None without a model."""


@dataclass(frozen=True)
class RankedNeeds:
    """The best rows of each customer, and sums by category of all."""

    needs: pa.Table
    totals: pa.Table


def ranked_needs(rows: pa.Table, forecasts: Forecasts, limits: CustomerLimits) -> RankedNeeds:
    """Rank the categories of each customer; of `pair_table`'s rows, all pairs of a customer together."""
    chance = np.minimum(forecasts.probability, _of_customers(limits.order_probability, rows))
    cents = None if forecasts.spend is None else spend_within(rows, forecasts.spend, _of_customers(limits.value, rows))
    due, gap = days_until_due(chance), float_column(rows, "own_gap_days", np.nan)
    category = rows["category"].cast(pa.string()).combine_chunks()
    all_rows = pa.table(
        {
            "customer_id": rows["customer_id"],
            "category": category,
            "probability": pa.array(chance),
            "expected_cents": pa.nulls(len(chance), pa.int64()) if cents is None else pa.array(cents),
            "days_until_due": pa.array(due, mask=due > LAST_DAYS),
            "usual_gap_days": pa.array(gap, mask=np.isnan(gap)),
            "reason": pa.array(reasons(rows)),
        }
    )
    order, rank = best_first(keys_of(rows), chance, cents)
    is_shown = rank <= MAX_NEEDS
    needs = all_rows.take(pa.array(order[is_shown])).append_column("rank", pa.array(rank[is_shown]))
    sums = {"category": category, "expected_customers": pa.array(chance)}
    sums |= {"due_customer_count": pa.array((due <= WINDOW_DAYS).astype(np.int64))}
    return RankedNeeds(needs, pa.table(sums | {"expected_cents": all_rows["expected_cents"]}))


def best_first(customer: np.ndarray, chance: Numbers, cents: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Places of rows by customer, the likeliest first, then the dearest, then as given; and ranks from 1."""
    size = np.zeros(len(chance)) if cents is None else cents
    order = np.lexsort([np.arange(len(chance)), -size, -chance, customer])
    ordered = customer[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else order
    counts = np.diff(np.append(starts, len(order)))
    return order, np.arange(len(order)) - np.repeat(starts, counts) + 1


def spend_within(rows: pa.Table, spend: Numbers, value: Numbers) -> np.ndarray:
    """Whole cents, scaled down where a customer's categories together are above the value forecast."""
    least = np.maximum(spend, 0.0)
    _, customer = np.unique(keys_of(rows), return_inverse=True)
    total = np.bincount(customer, weights=least)[customer] if len(least) else least
    limit = np.maximum(value, 0.0)
    factor = np.where(total > limit, limit / np.maximum(total, MIN_CHANCE), 1.0)
    # why floor: the sum of rounded cents could be above the limit
    return np.floor(least * factor).astype(np.int64)


def days_until_due(chance: Numbers) -> Numbers:
    """Days by which half of such customers have bought, at a constant hazard; infinite where nobody does."""
    hazard = -np.log1p(-np.clip(chance, 0.0, 1 - MIN_CHANCE)) / WINDOW_DAYS
    return np.divide(np.log(2.0), hazard, out=np.full(len(chance), np.inf), where=hazard > 0)


def reasons(rows: pa.Table) -> np.ndarray:
    """Why each category is there: the customer's own rhythm, habit, or that it is popular."""
    names = ("purchase_days", "days_since_purchase", "own_gap_days", "window_count", "windows_with_purchase")
    days, elapsed, gap, windows, bought = (float_column(rows, name, np.nan) for name in names)
    has_rhythm = days >= MIN_PURCHASES
    conditions = (
        has_rhythm & (elapsed > gap),
        has_rhythm & (elapsed + WINDOW_DAYS >= gap),
        (windows > 0) & (bought >= OFTEN * windows),
        days > 0,
    )
    is_popular_only = np.full(len(days), fill_value=True)
    place = np.argmax(np.column_stack([*conditions, is_popular_only]), axis=1)
    return np.asarray(NEED_REASONS)[place]


def _of_customers(limit: pa.Table, rows: pa.Table) -> Numbers:
    """The limit of each row's customer; 0 for whom nothing is forecast."""
    place = pc.index_in(rows["customer_id"], limit["customer_id"].combine_chunks())
    values = limit["value"].take(place)
    return np.asarray(values.fill_null(0.0).to_numpy(zero_copy_only=False), dtype=np.float64)
