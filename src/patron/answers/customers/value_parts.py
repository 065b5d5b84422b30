"""What a customer is worth, part by part: what they paid and will pay, whom they referred, less what they cost."""

from dataclasses import dataclass, fields

from patron.schema.models.questions import VALUE
from patron.storage.models.missing_forecasts import missing_forecasts
from patron.storage.runs.last_run import records
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
    parts = [field_.name for field_ in fields(ValueParts)]
    rows = records(view.customer_rows("value_parts", customer_id, is_of_run=True).select(parts))
    return ValueParts(**rows[0]) if rows else None
