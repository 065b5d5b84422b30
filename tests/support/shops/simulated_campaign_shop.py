"""A small simulated shop for campaigns: a history, facts alone instead of a whole run, and a segment of everybody."""

import pyarrow as pa
import sqlalchemy as sa

from patron import understand
from patron.commands.data.simulated_loop import ingest_events, seeded_workspace
from patron.commands.outreach.campaigns.simulated_campaign import simulated_policy, simulated_settings
from patron.run import stage_view
from patron.schema.tables import BY_NAME, SEGMENTS
from patron.segments.segment_parser import parse_rule
from patron.simulate.simulator import ShopSimulator
from patron.storage.offers.policy import Policy
from patron.storage.runs.runs import Run
from patron.storage.segments.segment_definitions import save_definition
from patron.storage.store.store import RUNS
from patron.understand.facts import build_facts

POLICY = {
    "offers": [{"id": "SAVE10", "discount_share": 0.1, "assumed_purchase_uplift": 0.3}],
    "messages": {"quiet_hours": ["09:00-11:00"]},
    "budget": {"amount": 100_000.0},
}


def run_facts(shop, as_of):
    """Facts alone, everybody active, and the row that completes a run."""
    run = Run.at(as_of)
    view = stage_view(shop, understand, run=run)
    build_facts(view)
    known = {"run_id": run.run_id, "as_of": run.as_of, "lifecycle_stage": "active"}
    known |= {"recency_score": 3, "frequency_score": 3, "monetary_score": 3, "persona_id": -1}
    ids = view.query("select distinct customer_id from orders where is_identified order by 1").to_pylist()
    view.write("segments", pa.Table.from_pylist([identifier | known for identifier in ids], schema=SEGMENTS.schema()))
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    row = {"run_id": run.run_id, "as_of": run.as_of, "finished_at": run.as_of, "seconds": 1.0, "seed": run.seed}
    row |= {"policy_version": shop.policy.version, "table_versions": versions, "summary": {}}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row))


def simulated_shop(folder):
    """An open shop, and its world at the end of its history."""
    shop = seeded_workspace(folder, 3, {"name": "Trial", "currency": "USD", "time_zone": "UTC"})
    policy = Policy.model_validate(POLICY)
    shop.policy = simulated_policy(policy)
    world = ShopSimulator(simulated_settings(policy, 150, 0.3), 3)
    ingest_events(shop, world.history(90), received_at=world.now)
    with shop.store.begin() as connection:
        save_definition(connection, "everybody", parse_rule({"all": []}), saved_by="Ann", at=world.now)
    run_facts(shop, world.now)
    return shop, world
