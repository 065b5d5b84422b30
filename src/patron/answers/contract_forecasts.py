"""A customer's running contracts, and how likely those that end soon are not renewed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from patron.schema.questions import CONTRACT_CHURN
from patron.storage.engine import timestamp
from patron.storage.last_run import records
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
    sql = f"""
select t.contract_id, t.term, t.ends_at, t.price_cents, t.cancelled_at is not null as is_cancelled,
  t.ends_at < {timestamp(soon)} as ends_soon, f.probability
from (
  select c.*, row_number() over (partition by c.contract_id order by c.term desc) as place
  from contracts c join customer a on a.customer_id = c.customer_id) t
left join contract_forecasts f on f.run_id = '{view.run.run_id}' and f.customer_id = t.customer_id
  and f.contract_id = t.contract_id
where t.place = 1 and t.ends_at >= {timestamp(view.run.as_of)} order by t.ends_at, t.contract_id"""
    return tuple(CustomerContract(**row) for row in records(view.query_customer(customer_id, sql)))


def has_contracts(view: Snapshot) -> bool:
    """Whether any customer of the shop ever had a contract."""
    return view.query("select count(*) > 0 as has_any from contracts")["has_any"][0].as_py()
