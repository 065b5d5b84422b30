"""What offers use up: the period's budget, stocks and customers' caps; runs, campaigns and journeys count together.

Offers count from when they are reserved: those of a run that were handed over and neither expired nor were withdrawn,
those that a campaign or journey sent, and those that a campaign plans to send.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from patron.schema.table_definition import TEXT
from patron.storage.engine import literal, timestamp
from patron.storage.offers.budget_period import Period, spent_query
from patron.storage.offers.deliveries import Deliveries
from patron.storage.outreach.campaign_offers import campaigns_spent_cents, offers_by_customer, offers_issued
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import Store

if TYPE_CHECKING:
    from patron.storage.runs.snapshot import Snapshot


class Reader(Protocol):
    """What reads `decisions` and `exposures`: a stage's view or a snapshot."""

    @property
    def deliveries(self) -> Deliveries:
        """What became of the offers of each run."""
        ...

    def query(self, sql: str, **tables: pa.Table) -> pa.Table:
        """Run a SELECT."""
        ...


def runs_spent_cents(reader: Reader, period: Period, *, without_run: str = "", cost: str = "cost_cents") -> float:
    """Expected cost of the decisions of all runs in a period but one, cents; `cost` is the column that is summed."""
    left_out = [without_run, *reader.deliveries.freed]
    return float(reader.query(spent_query(period, without=left_out, cost=cost))["cents"][0].as_py())


def spent_cents(
    reader: Reader,
    store: Store | DeclaredStore,
    period: Period,
    *,
    without_run: str = "",
    without_campaign: str = "",
    with_plans: bool = True,
) -> float:
    """Expected cost of all offers and messages in a period but those of one run and campaign, cents."""
    of_runs = runs_spent_cents(reader, period, without_run=without_run)
    return of_runs + campaigns_spent_cents(
        store, period.since, period.until, with_plans=with_plans, without=without_campaign
    )


def issued_offers(
    reader: Reader,
    store: Store | DeclaredStore,
    period: Period,
    *,
    without_run: str = "",
    without_campaign: str = "",
    with_plans: bool = True,
) -> Counter[str]:
    """How many of each offer were issued in a period but by one run and campaign."""
    issued = reader.query(f"""
select action, count(*) as offer_count from exposures
where run_id <> {literal(without_run)}
  and exposed_at >= {timestamp(period.since)} and exposed_at < {timestamp(period.until)}
group by action order by action""")
    counts = Counter({row["action"]: row["offer_count"] for row in issued.to_pylist()})
    counts.update(offers_issued(store, period.since, period.until, with_plans=with_plans, without=without_campaign))
    return counts


def offered(
    reader: Reader,
    store: Store | DeclaredStore,
    since: datetime,
    until: datetime,
    *,
    without_run: str = "",
    without_campaign: str = "",
) -> pa.Table:
    """How many offers each customer had after `since` and before `until`, but of one run and campaign.

    Columns: customer_id, offer_count; who had none is left out.
    """
    by_campaigns = offers_by_customer(store, since, until, without=without_campaign)
    planned = pa.table(
        {
            "customer_id": pa.array(list(by_campaigns), TEXT),
            "offer_count": pa.array(list(by_campaigns.values()), pa.int64()),
        }
    )
    return reader.query(
        f"""
select customer_id, cast(sum(offer_count) as bigint) as offer_count from (
  select customer_id, count(*) as offer_count from exposures
  where run_id <> {literal(without_run)} and exposed_at < {timestamp(until)} and exposed_at > {timestamp(since)}
  group by customer_id
  union all select customer_id, offer_count from of_campaigns) c
group by customer_id order by customer_id""",
        of_campaigns=planned,
    )


def offered_lately(snapshot: "Snapshot", *, without_run: str = "", without_campaign: str = "") -> pa.Table:
    """How many offers each customer has within the days of the policy's cap around the run; columns as `offered`."""
    as_of, days = snapshot.run.as_of, timedelta(days=snapshot.policy.caps.within_days)
    left_out = {"without_run": without_run, "without_campaign": without_campaign}
    return offered(snapshot, snapshot.store, as_of - days, as_of + days, **left_out)
