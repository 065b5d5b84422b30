"""What a customer is likely to need next, and where the shop's revenue of the next 90 days is expected, by category."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from patron.storage.last_run import records
from patron.storage.shop import Snapshot

MOST_CATEGORIES = 10
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
    sql = f"""
with bought as (
  select l.category, max(l.ordered_at) as last_at from order_lines l join customer a on a.customer_id = l.customer_id
  where not l.is_refund group by l.category)
select n.rank, n.category, n.probability, n.expected_cents, n.days_until_due, n.usual_gap_days, n.reason,
  b.last_at as last_bought_at
from category_needs n join customer a on a.customer_id = n.customer_id
left join bought b on b.category = n.category
where n.run_id = '{view.run.run_id}' order by n.rank"""
    needs = []
    for row in records(view.query_customer(customer_id, sql)):
        days = row.pop("days_until_due")
        needs.append(CategoryNeed(**row, due_at=None if days is None else view.run.as_of + timedelta(days=days)))
    return tuple(needs)


def category_forecasts(view: Snapshot) -> tuple[CategoryForecast, ...]:
    """The categories with the most expected spend, ten at most; without such a forecast, with the most customers."""
    sql = f"""
select category, expected_cents, expected_customers, due_customer_count from category_forecasts
where run_id = '{view.run.run_id}'
order by coalesce(expected_cents, 0) desc, expected_customers desc, category limit {MOST_CATEGORIES}"""
    return tuple(CategoryForecast(**row) for row in records(view.query(sql)))
