"""A campaign on the simulated shop goes the way of a real one: checked, rendered, handed to a channel, at its times."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron import understand
from patron.commands.simulated_campaign import play_campaign, simulated_policy, simulated_settings
from patron.commands.simulated_loop import ingest_events, seeded_workspace
from patron.run import stage_view
from patron.schema.segment_parser import parse_rule
from patron.schema.tables import BY_NAME, EVENTS, SEGMENTS
from patron.simulate.simulator import ShopSimulator
from patron.storage.campaign_file import Campaign
from patron.storage.campaign_tables import MESSAGES
from patron.storage.campaigns import campaign_of
from patron.storage.model_decisions import utc
from patron.storage.policy import Policy
from patron.storage.runs import Run
from patron.storage.segment_definitions import save_definition
from patron.storage.store import RUNS
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
    view.write("segments", pa.Table.from_pylist([one | known for one in ids], schema=SEGMENTS.schema()))
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    row = {"run_id": run.run_id, "as_of": run.as_of, "finished_at": run.as_of, "seconds": 1.0, "seed": run.seed}
    row |= {"policy_version": shop.policy.version, "table_versions": versions, "summary": {}}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row))


@pytest.fixture
def world_of(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    shop = seeded_workspace(tmp_path / "w", 3, {"name": "Trial", "currency": "USD", "time_zone": "UTC"})
    policy = Policy.model_validate(POLICY)
    shop.policy = simulated_policy(policy)
    world = ShopSimulator(simulated_settings(policy, 150, 0.3), 3)
    ingest_events(shop, world.history(90), received_at=world.now)
    with shop.store.begin() as connection:
        save_definition(connection, "everybody", parse_rule({"all": []}), saved_by="Ann", at=world.now)
    run_facts(shop, world.now)
    yield shop, world
    shop.close()


def campaign(body):
    content = {"name": "spring", "segment": "everybody", "topic": "offers", "offers": ["SAVE10"], "budget": 5_000.0}
    content |= {"holdout_share": 0.3, "start": "2024-03-01T09:00:00", "end": "2024-03-21T00:00:00"}
    return Campaign.of(content | {"template": {"en": {"subject": "Hi", "body": body, "format": "text"}}}, where="test")


def play(world_of, body):
    shop, world = world_of
    return play_campaign(shop, world, campaign(body), progress=lambda *_: None, run=run_facts)


def test_it_is_sent_as_a_shop_sends_it_and_what_was_sent_reaches_the_simulated_customers(world_of):
    played, (shop, _) = (
        play(world_of, "Hello {{ customer.first_name | default: 'you' }} {{ unsubscribe_url }}"),
        world_of,
    )
    with shop.store.begin() as connection:
        rows = connection.execute(sa.select(MESSAGES)).mappings().all()
    sent = [row for row in rows if row["state"] == "sent"]
    assert 0 < len(sent) == played.plan.message_count == played.result.message_counts["sent"]
    assert {(row["state"], row["reason"]) for row in rows} == {("sent", ""), ("skipped", "holdout")}
    assert {row["channel"] for row in rows} == {"email"}
    assert len({row["contact"] for row in sent}) == len(sent)
    hours = {utc(row["sent_at"]).hour for row in sent}
    assert len(hours) > 1
    assert not hours & {9, 10}
    steps = [one.step for one in campaign_of(shop.store, "spring").steps]
    assert steps == ["saved", "planned", "approved", "started", "ended", "measured"]
    stored = [one for one in shop.lake.read(EVENTS).to_pylist() if one["source"] == "patron"]
    assert sum(one["name"] == "Message Sent" for one in stored) == len(sent)
    assert max(one["occurred_at"] for one in stored) < datetime(2030, 1, 1, tzinfo=UTC)
    assert played.truth_total_cents == pytest.approx(played.truth_cents * played.plan.message_count)
