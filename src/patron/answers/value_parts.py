"""What a customer is worth, part by part: what they paid and will pay, whom they referred, less what they cost."""

from dataclasses import dataclass

from patron.schema.questions import VALUE
from patron.storage.last_run import records
from patron.storage.missing_forecasts import missing_forecasts
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class ValueParts:
    """Parts of a customer's value until 90 days from the run, cents, costs below zero; and their sum."""

    first_order_cents: int
    """Paid on the first order, before returns."""
    repeat_cents: int
    """Paid on later orders until the run, before returns."""
    expected_cents: int
    """Expected to be paid in the next 90 days, before returns."""
    referral_cents: int
    """A stated share of what the people they referred are expected to pay in the next 90 days."""
    returns_cents: int
    """Refunded, and expected to be."""
    service_cents: int
    """Service of orders so far and expected."""
    marketing_cents: int
    """Messages and offers sent."""
    total_cents: int
    """All parts together."""


def value_parts(view: Snapshot, customer_id: str) -> ValueParts | None:
    """Parts of one customer's value; None without a forecast of it."""
    if any(one.question == VALUE.name for one in missing_forecasts(view)):
        return None
    sql = f"""
select v.first_order_cents, v.repeat_cents, v.expected_cents, v.referral_cents, v.returns_cents, v.service_cents,
  v.marketing_cents, v.total_cents
from value_parts v join customer c on c.customer_id = v.customer_id where v.run_id = '{view.run.run_id}'"""
    rows = records(view.query_customer(customer_id, sql))
    return ValueParts(**rows[0]) if rows else None
