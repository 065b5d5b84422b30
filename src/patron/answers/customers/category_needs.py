"""What a customer is likely to need next, and where the shop's revenue of the next 90 days is expected, by category."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow.compute as pc

from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot

MAX_CATEGORIES = 10
"""Categories of the shop that are listed."""


@dataclass(frozen=True)
class CategoryNeed:
    """A category that a customer is likely to buy next."""

    rank: int
    category: str
    probability: float
    """Of a purchase in the next 30 days."""
    expected_cents: int | None
    """Net paid in it in the next 90 days; None without a forecast."""
    due_at: datetime | None
    """When half of such customers have bought it; None beyond 90 days."""
    usual_gap_days: float | None
    """Between the customer's own purchases of it; None with fewer than three."""
    last_bought_at: datetime | None
    reason: str


@dataclass(frozen=True)
class CategoryForecast:
    """One category, all customers together."""

    category: str
    expected_cents: int | None
    """Net paid in it in the next 90 days; None without a forecast."""
    expected_customers: float
    """Customers expected to buy it in the next 30 days."""
    due_customer_count: int
    """Customers who do so more likely than not."""


def customer_needs(view: Snapshot, customer_id: str) -> tuple[CategoryNeed, ...]:
    """The customer's likeliest categories, five at most; none in a shop without a forecast."""
    needs = view.customer_rows("category_needs", customer_id, is_of_run=True).sort_by("rank")
    if not needs.num_rows:
        return ()
    lines = view.customer_rows("order_lines", customer_id).filter(pc.field("ordered_at").is_valid())
    bought = lines.filter(~pc.field("is_refund")).sort_by("ordered_at")
    last_bought = dict(zip(bought["category"].to_pylist(), bought["ordered_at"].to_pylist(), strict=True))
    return tuple(
        CategoryNeed(
            row["rank"],
            row["category"],
            row["probability"],
            row["expected_cents"],
            due_at=None if row["days_until_due"] is None else view.run.as_of + timedelta(days=row["days_until_due"]),
            usual_gap_days=row["usual_gap_days"],
            last_bought_at=last_bought.get(row["category"]),
            reason=row["reason"],
        )
        for row in records(needs)
    )


def category_forecasts(view: Snapshot) -> tuple[CategoryForecast, ...]:
    """The categories with the most expected spend, ten at most; without such a forecast, with the most customers."""
    sql = f"""
select category, expected_cents, expected_customers, due_customer_count from this_category_forecasts
order by coalesce(expected_cents, 0) desc, expected_customers desc, category limit {MAX_CATEGORIES}"""
    return tuple(CategoryForecast(**row) for row in records(view.query(sql)))
