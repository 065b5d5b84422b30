"""The planner's forecast against what happened: the last three campaigns of Complete Journey that end with its data.

    python benchmarks/campaigns/complete_journey.py

Each campaign is planned as of its start, by a run that knows nothing later, for the households that it was sent to, as
a message alone until its coupons end. Printed: orders expected with it and orders that came, households expected to
order and those that did, with an 80 % interval of the forecast (orders come by chance, and the whole may be off by as
much as it was in the same window before), what they were expected to spend and spent, and the size of an order. There
was no control group, so that no effect can be known.
"""

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa

from patron.commands.data.import_files import import_files
from patron.commands.data.init_workspace import create
from patron.commands.outreach.campaigns.campaign_forecast import Assumptions
from patron.commands.outreach.campaigns.campaign_policy_terms import evidence_of, message_alone
from patron.decide.campaign_selection import CampaignTerms, select_campaign_offers
from patron.decide.candidates import audience_rows
from patron.decide.eligibility import Supply
from patron.measure.campaign_outcomes import campaign_outcomes_query
from patron.run import run_loop
from patron.storage.offers.policy import Policy
from patron.storage.runs.last_run import last_run
from patron.storage.shop import POLICY_FILE, Shop, Snapshot

DATA_END = datetime(2018, 1, 1, tzinfo=UTC)
MIN_COUNT, LAST = 50, 3
CAMPAIGNS = """
select i.campaign_id, min(i.occurred_at) as sent_at, max(i.valid_days) as valid_days,
  count(distinct i.customer_id) as household_count, max(i.message_type) as message_type
from interactions i where i.kind = 'message_sent' and i.campaign_id is not null group by i.campaign_id
having count(distinct i.customer_id) >= {fewest} order by sent_at desc, i.campaign_id
"""


@dataclass(frozen=True)
class Window:
    """A campaign of the data."""

    campaign: str
    message_type: str
    start: datetime
    end: datetime
    households: pa.Table


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        create(Path(folder) / "w")
        policy = Path(folder) / "w" / POLICY_FILE
        text = policy.read_text(encoding="utf-8").replace('unknown = "refuse"', 'unknown = "allow" ')
        policy.write_text(text.replace('ranking = "learned" ', 'ranking = "counts" '), encoding="utf-8")
        shop = Shop.open(Path(folder) / "w")
        import_files(shop, [], "completejourney", progress=lambda *_: None, now=datetime.now(UTC))
        shop.reload_settings()
        run_loop(shop, DATA_END)
        windows = last_windows(shop)
        print(
            "| campaign | households | days | orders forecast [80 %] | orders | ordering households forecast | they |"
            " spend forecast | spent | order forecast | order |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        for window in windows:
            print(row_of(shop, window), flush=True)
        shop.close()


def last_windows(shop: Shop) -> list[Window]:
    """The last three campaigns whose coupons end before the data does, the latest last."""
    snapshot = last_run(shop)
    windows = []
    for row in snapshot.query(CAMPAIGNS.format(fewest=MIN_COUNT)).to_pylist():
        end = row["sent_at"] + timedelta(days=float(row["valid_days"]))
        if end > DATA_END or len(windows) == LAST:
            continue
        sql = "select distinct customer_id from interactions where kind = 'message_sent' and campaign_id = $name"
        rows = snapshot.query(sql + " order by customer_id", parameters={"name": row["campaign_id"]})
        windows.append(Window(row["campaign_id"], row["message_type"], row["sent_at"], end, rows))
    return windows[::-1]


def row_of(shop: Shop, one: Window) -> str:
    """Forecast and actual of one campaign."""
    margin = shop.settings.shop.margin_share
    run_loop(shop, one.start.astimezone(ZoneInfo(shop.settings.shop.time_zone)))
    then = shop.snapshot_of(one.start)
    assert then is not None
    about = assumptions(shop, then, one)
    days = one.end - one.start
    outcomes, earlier = (
        last_run(shop).query(
            campaign_outcomes_query(start, start + days, margin, ()),
            assigned=one.households.append_column("offer", pa.nulls(one.households.num_rows, pa.string())),
        )
        for start in (one.start, one.start - days)
    )
    actual, before = (table["order_count"].to_numpy() for table in (outcomes, earlier))
    spend, spent = (about.orders * about.margin_per_order).sum() / margin, outcomes["paid_cents"].to_numpy().sum()
    orders, response = about.orders + about.added, about.response(1.0)
    drift = abs(before.sum() / max(orders.sum(), 1.0) - 1)
    reach = 1.2816 * np.sqrt(orders.sum() + (drift * orders.sum()) ** 2)
    covers = "yes" if abs(actual.sum() - orders.sum()) <= reach else "no"
    return (
        f"| {one.campaign} ({one.message_type}) | {one.households.num_rows:,} | {days.days} |"
        f" {orders.sum():,.0f} [{orders.sum() - reach:,.0f}, {orders.sum() + reach:,.0f}] {covers} | {actual.sum():,} |"
        f" {response.sum():,.0f} | {(actual > 0).sum():,} | {spend / 100:,.0f} | {spent / 100:,.0f} |"
        f" {spend / about.orders.sum() / 100:.2f} | {spent / actual.sum() / 100:.2f} |"
    )


def assumptions(shop: Shop, then: Snapshot, one: Window) -> Assumptions:
    """What the planner expects of everybody who was written to."""
    policy: Policy = shop.policy.model_copy(
        update={"offers": (message_alone(shop.policy, (one.end - one.start).days),)}
    )
    rows = audience_rows(then, policy, one.households)
    terms = CampaignTerms("orders", 1e12, message_cents=0.0, gain_factor=1.0)
    is_held_out = np.zeros(rows.num_rows, dtype=np.bool_)
    supply = Supply(one.start.date())
    selection = select_campaign_offers(rows, is_held_out, policy, evidence_of(shop, then), terms, supply)
    days = np.full(rows.num_rows, (one.end - one.start) / timedelta(days=1))
    return Assumptions.of(selection, ~is_held_out, days, shop.settings.shop.margin_share)


if __name__ == "__main__":
    main()
