"""Twenty simulated campaigns: forecast against result, and effect against the truth.

    python benchmarks/campaigns/truth_of_campaigns.py [WORLDS [CUSTOMERS]] [--facts]

With --facts the runs make facts alone, and lifecycle stages by the days since the last order: without forecasts spend
is expected to be last year's, and a study takes a tenth of the time.

Each world is a simulated shop that opens with so many customers, with five campaigns one after the other: another
offer, segment and goal each. Printed per campaign, in money of the whole campaign: the forecast with the 80 % interval
of what will be measured, the measured effect with its 95 % interval, and the truth; then how often the forecast's
interval held the result (asked of the project: 13 of 20) and the effect's interval the truth (17 of 20).
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pyarrow as pa
import sqlalchemy as sa

from patron import understand
from patron.commands.data.simulated_loop import ingest_events, seeded_workspace, write_rules
from patron.commands.outreach.campaigns.simulated_campaign import (
    PlayedCampaign,
    play_campaign,
    simulated_policy,
    simulated_settings,
)
from patron.run import run_loop, stage_view
from patron.schema.table_definition import TIME
from patron.schema.tables import BY_NAME
from patron.schema.tables import SEGMENTS as SEGMENTS_TABLE
from patron.segments.segment_parser import parse_rule
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.offers.policy import Policy
from patron.storage.outreach.campaign_file import Campaign
from patron.storage.runs.runs import Run
from patron.storage.segments.segment_definitions import save_definition
from patron.storage.shop import POLICY_FILE, Shop
from patron.storage.store.store import RUNS
from patron.understand.facts import build_facts

WORLDS, CUSTOMERS, HISTORY_DAYS = 4, 1_000, 240
SEGMENTS = {
    "everybody": {"all": []},
    "leaving": {"field": "lifecycle_stage", "op": "in", "value": ["at_risk", "lapsed"]},
    "buyers": {"field": "frequency_score", "op": ">=", "value": 2},
}
STAGES = """
select customer_id, 3 as recency_score, least(order_count, 5) as frequency_score, 3 as monetary_score, -1 as persona_id,
  case when days < 60 then 'active' when days < 120 then 'at_risk' else 'lapsed' end as lifecycle_stage
from (select customer_id, count(*) as order_count, (select max(local_day) from orders) - max(local_day) as days
  from orders where is_identified group by customer_id) o
"""
CAMPAIGNS = (
    {"segment": "everybody", "offers": ["SAVE10"], "goal": "profit"},
    {"segment": "leaving", "offers": ["SAVE20"], "goal": "reactivated"},
    {"segment": "everybody", "offers": [], "goal": "profit"},
    {"segment": "buyers", "offers": ["SAVE10", "SAVE20"], "goal": "orders"},
    {"segment": "everybody", "offers": ["SAVE10"], "goal": "profit"},
)


def campaign(number: int, about: dict[str, object]) -> Campaign:
    content: dict[str, object] = {
        "name": f"campaign {number}",
        "topic": "offers",
        "budget": 20_000.0,
        "holdout_share": 0.3,
        "start": "2024-03-01T09:00:00",
        "end": "2024-03-29T00:00:00",
        "template": {"en": {"subject": "Hello", "body": "Hello {{ unsubscribe_url }}", "format": "text"}},
    }
    return Campaign.of(content | about, where="benchmark")


def run_facts(shop: Shop, as_of: datetime) -> None:
    """Facts, lifecycle stages by rhythm, and the row that completes a run."""
    run = Run.at(as_of)
    view = stage_view(shop, understand, run=run)
    build_facts(view)
    people = view.query(STAGES)
    rows = people.append_column("run_id", pa.repeat(run.run_id, people.num_rows))
    rows = rows.append_column("as_of", pa.repeat(pa.scalar(run.as_of, TIME), people.num_rows))
    missing = [column for column in SEGMENTS_TABLE.columns if column.name not in rows.column_names]
    for one in missing:
        rows = rows.append_column(one.name, pa.nulls(rows.num_rows, one.type))
    view.write("segments", rows.select([column.name for column in SEGMENTS_TABLE.columns]))
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    row = {
        "run_id": run.run_id,
        "as_of": run.as_of,
        "finished_at": run.as_of,
        "seconds": 1.0,
        "seed": run.seed,
        "policy_version": shop.policy.version,
        "table_versions": versions,
        "summary": {},
    }
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row))


def play_world(seed: int, customers: int, run: Callable[[Shop, datetime], object]) -> Iterator[PlayedCampaign]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "shop"
        seeded_workspace(folder, seed, {"name": "Bench", "currency": "USD", "time_zone": "UTC"}).close()
        write_rules(folder, DEFAULT_SHOP, budget_cents=10_000_000)
        shop = Shop.open(folder)
        policy = Policy.load(folder / POLICY_FILE)
        settings = simulated_settings(policy, customers, shop.settings.shop.margin_share)
        shop.policy = simulated_policy(policy)
        world = ShopSimulator(settings, seed)
        ingest_events(shop, world.history(HISTORY_DAYS), received_at=world.now)
        with shop.store.begin() as connection:
            for name, rule in SEGMENTS.items():
                save_definition(connection, name, parse_rule(rule), saved_by="bench", at=world.now)
        run(shop, world.now)
        for number, about in enumerate(CAMPAIGNS):
            yield play_campaign(shop, world, campaign(number, about), progress=lambda *_: None, run=run)
        shop.close()


def main() -> None:
    numbers = [int(one) for one in sys.argv[1:] if one != "--facts"]
    worlds, customers = (*numbers, *(WORLDS, CUSTOMERS)[len(numbers) :])
    run = run_facts if "--facts" in sys.argv else run_loop
    within = covered = of_truth = count = 0
    start = time.process_time()
    print(
        "world campaign  written  factor   forecast [80 % of measured]          measured [95 %]                  truth"
    )
    for seed in range(1, worlds + 1):
        for number, played in enumerate(play_world(seed, customers, run)):
            plan, best = played.plan, played.result.effects[-1]
            forecast, total = plan.forecast, played.truth_total_cents
            against = played.result.against_forecast
            assert against is not None
            assert forecast.measured_low_cents is not None
            assert forecast.measured_high_cents is not None
            is_within = against.is_within
            is_covered = best.low_cents <= played.truth_cents <= best.high_cents
            within, covered, count = within + is_within, covered + is_covered, count + 1
            of_truth += forecast.low_cents <= total <= forecast.high_cents
            print(
                f"{seed:5} {number:8} {plan.message_count:8,} {forecast.gain_factor:7.2f}"
                f" {forecast.margin_cents / 100:10,.0f} [{forecast.measured_low_cents / 100:9,.0f},"
                f"{forecast.measured_high_cents / 100:9,.0f}]{'*' if is_within else ' '}"
                f" {best.total_cents / 100:10,.0f} [{best.total_low_cents / 100:9,.0f},"
                f"{best.total_high_cents / 100:9,.0f}]{'*' if is_covered else ' '} {total / 100:9,.0f}",
                flush=True,
            )
    print(
        f"forecast's 80 % interval held the result in {within} of {count}, and the truth in {of_truth};"
        f" the effect's 95 % interval held the truth in {covered} of {count}"
    )
    print(f"{time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()
