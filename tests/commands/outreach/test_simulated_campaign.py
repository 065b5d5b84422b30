"""A campaign on the simulated shop goes the way of a real one: checked, rendered, handed to a channel, at its times."""

from datetime import UTC, datetime

import msgspec
import pytest
import sqlalchemy as sa
from tests.support.shops.simulated_campaign_shop import run_facts, simulated_shop

from patron.commands.outreach.campaigns.simulated_campaign import play_campaign
from patron.commands.outreach.campaigns.try_campaign import CampaignTrial
from patron.schema.tables import EVENTS
from patron.storage.models.model_decisions import utc
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import MESSAGES


@pytest.fixture
def world_of(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    shop, world = simulated_shop(tmp_path / "w")
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
    steps = [step.step for step in CAMPAIGN.saved_in(shop.store, "spring").steps]
    assert steps == ["saved", "planned", "approved", "started", "ended", "measured"]
    stored = [one for one in shop.lake.read(EVENTS).to_pylist() if one["source"] == "patron"]
    assert sum(one["name"] == "Message Sent" for one in stored) == len(sent)
    assert max(one["occurred_at"] for one in stored) < datetime(2030, 1, 1, tzinfo=UTC)
    assert played.truth_total_cents == pytest.approx(played.truth_cents * played.plan.message_count)
    figures = msgspec.to_builtins(CampaignTrial("spring", 300, 0, played, ()).figures)  # as the row of a job keeps them
    assert (figures["message_count"], figures["truth_cents"]) == (len(sent), played.truth_total_cents)
    assert figures["measured"]["low_cents"] < figures["measured"]["cents"] < figures["measured"]["high_cents"]
