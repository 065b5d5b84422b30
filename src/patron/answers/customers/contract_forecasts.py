"""A customer's running contracts, and how likely those that end soon are not renewed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter

from patron.schema.models.questions import CONTRACT_CHURN
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class CustomerContract:
    """A contract that runs at the run's cutoff, as was known then."""

    contract_id: str
    term: int
    """Number of the running term, from 1."""
    ends_at: datetime
    price_cents: int | None
    is_cancelled: bool
    ends_soon: bool
    """Whether it ends within the 30 days that are forecast."""
    probability: float | None
    """Of not being renewed; None where it does not end soon, or the run had too few contracts."""


def customer_contracts(view: Snapshot, customer_id: str) -> tuple[CustomerContract, ...]:
    """The customer's running contracts, the next to end first."""
    soon = view.run.as_of + timedelta(days=CONTRACT_CHURN.ends_within_days)
    terms = records(view.customer_rows("contracts", customer_id).sort_by("term"))
    latest = {term["contract_id"]: term for term in terms}.values()
    running = [one for one in latest if one["ends_at"] is not None and one["ends_at"] >= view.run.as_of]
    if not running:
        return ()
    forecasts = records(view.customer_rows("contract_forecasts", customer_id, is_of_run=True))
    probabilities = {row["contract_id"]: row["probability"] for row in forecasts}
    return tuple(
        CustomerContract(
            one["contract_id"],
            one["term"],
            one["ends_at"],
            one["price_cents"],
            is_cancelled=one["cancelled_at"] is not None,
            ends_soon=one["ends_at"] < soon,
            probability=probabilities.get(one["contract_id"]),
        )
        for one in sorted(running, key=itemgetter("ends_at", "contract_id"))
    )


def has_contracts(view: Snapshot) -> bool:
    """Whether any customer of the shop ever had a contract."""
    return view.query("select count(*) > 0 as has_any from contracts")["has_any"][0].as_py()
