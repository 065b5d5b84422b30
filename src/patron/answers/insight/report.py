"""Everything the report says about the last run, as plain facts."""

from dataclasses import dataclass
from datetime import datetime

from patron.answers.customers.customer_profile import CustomerCard, customer_card
from patron.answers.data.data_quality import DataQuality, data_quality_of
from patron.answers.data.later_refunds import later_refunds
from patron.answers.insight.brief import Brief, brief_of
from patron.answers.insight.overview import Overview, overview_of
from patron.answers.insight.revenue import cohorts
from patron.answers.models.models import Models, models_of
from patron.answers.models.repeat_purchase import RepeatPurchaseModel, repeat_purchase_model
from patron.schema.customers.cohort import Cohort
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot


@dataclass(frozen=True)
class Coverage:
    """What the data covers, and what it lacks."""

    first_order_at: datetime | None
    last_order_at: datetime | None
    order_count: int
    customer_count: int
    line_count: int
    visit_count: int
    message_count: int
    has_products: bool
    has_prices: bool
    has_refunds: bool
    """Whether refunds are known, counted or not: also those that became known after the cutoff."""
    has_anonymous: bool
    has_delivered_offers: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """Codes of the kinds of data that are missing."""
        available = {
            "clickstream": self.visit_count > 0,
            "messages": self.message_count > 0,
            "products": self.has_products,
            "prices": self.has_prices,
            "refunds": self.has_refunds,
            "delivered_offers": self.has_delivered_offers,
            "long_history": bool(
                self.first_order_at and self.last_order_at and (self.last_order_at - self.first_order_at).days >= 700
            ),
        }
        return tuple(code for code, is_available in available.items() if not is_available)


@dataclass(frozen=True)
class Report:
    """The facts of one report."""

    overview: Overview
    brief: Brief
    cohorts: tuple[Cohort, ...]
    models: Models
    repeat_purchase_model: RepeatPurchaseModel | None
    """For the matrix of P(alive) by history; None where dropout is not confirmed."""
    quality: DataQuality
    coverage: Coverage
    example: CustomerCard | None
    """A customer at risk with its recommendations, as an example."""


def report(shop: Shop) -> Report:
    """Facts of the report on the last finished run. Raises NoRunYet."""
    view = last_run(shop)
    summary = overview_of(view)
    return Report(
        overview=summary,
        brief=brief_of(view),
        cohorts=cohorts(view),
        models=models_of(view),
        repeat_purchase_model=repeat_purchase_model(shop),
        quality=data_quality_of(view),
        coverage=coverage(view),
        example=_example(shop, view, summary),
    )


def coverage(view: Snapshot) -> Coverage:
    """Count what the data holds at one run."""
    sql = """
select o.*, l.*, i.*, x.* from (
  select min(occurred_at) as first_order_at, max(occurred_at) as last_order_at,
    count(distinct customer_id || ' ' || order_id) as order_count,
    count(distinct case when is_identified then customer_id end) as customer_count,
    coalesce(bool_or(not is_identified), false) as has_anonymous from orders) o
cross join (
  select count(*) as line_count, coalesce(bool_or(product_id is not null), false) as has_products,
    coalesce(bool_or(has_price), false) as has_prices, coalesce(bool_or(is_refund), false) as has_refunds
  from order_lines) l
cross join (
  select coalesce(sum(case when kind in ('view', 'click', 'search', 'cart_add') then 1 else 0 end), 0) as visit_count,
    coalesce(sum(case when kind like 'message%' then 1 else 0 end), 0) as message_count from interactions) i
cross join (select coalesce(bool_or(is_delivered), false) as has_delivered_offers from exposures) x"""
    counts = records(view.query(sql))[0]
    has_refunds = counts["has_refunds"] or later_refunds(view) is not None
    whole = {"visit_count": int(counts["visit_count"]), "message_count": int(counts["message_count"])}
    return Coverage(**{**counts, **whole, "has_refunds": has_refunds})


def _example(shop: Shop, view: Snapshot, summary: Overview) -> CustomerCard | None:
    if summary.watch_list:
        return customer_card(shop, summary.watch_list[0].customer_id)
    sql = "select min(customer_id) as customer_id from this_recommendations"
    chosen = records(view.query(sql))[0]["customer_id"]
    return customer_card(shop, chosen) if chosen else None
