"""Journeys share tables, names and life with campaigns, and keep every version."""

from datetime import UTC, datetime

import pytest

from patron.schema.errors import BadCampaign, BadJourney, NotFound
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.store.store import Store

AT = datetime(2024, 3, 1, 9, tzinfo=UTC)
TEMPLATE = {"en": {"subject": "Hello", "body": "Hi", "format": "text"}}


def journey(**changes):
    content = {
        "name": "abandoned cart",
        "trigger": {"event": "Product Added"},
        "topic": "offers",
        "monthly_budget": 100.0,
        "steps": [{"do": "wait", "hours": 1}, {"do": "send", "template": TEMPLATE}],
    }
    return Journey.of(content | changes, where="test")


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", key=b"k" * 32)
    store.upgrade()
    yield store
    store.close()


def test_a_changed_journey_is_a_draft_again_and_its_older_version_can_still_be_read(store):
    changed = journey(steps=[{"do": "wait", "hours": 2}, {"do": "send", "template": TEMPLATE}])
    with store.begin() as connection:
        JOURNEY.save(connection, journey(), "Ann", AT)
        for step in ("planned", "approved", "started"):
            JOURNEY.take_step(connection, "abandoned cart", step, 1, "Bo", AT)
        assert JOURNEY.save(connection, journey(), "Cy", AT).state == "running"
        assert JOURNEY.save(connection, changed, "Cy", AT).state == "draft"
        assert JOURNEY.version(connection, "abandoned cart", 1) == journey()
        assert JOURNEY.version(connection, "abandoned cart", 2) == changed
        with pytest.raises(NotFound, match="no version 3"):
            JOURNEY.version(connection, "abandoned cart", 3)
    assert [(one.name, one.version, one.saved_by) for one in JOURNEY.all_saved_in(store)] == [
        ("abandoned cart", 2, "Cy")
    ]
    with store.begin() as connection, pytest.raises(BadJourney, match="is a draft and cannot be approved") as raised:
        JOURNEY.take_step(connection, "abandoned cart", "approved", 2, "Bo", AT)
    assert "patron journey plan" in raised.value.todo


def test_a_name_is_of_a_campaign_or_of_a_journey_and_never_of_both(store):
    campaign = Campaign.of(
        {
            "name": "win back",
            "segment": "everybody",
            "topic": "offers",
            "budget": 1.0,
            "start": "2024-03-02T09:00:00",
            "end": "2024-03-15T00:00:00",
            "template": TEMPLATE,
        },
        where="test",
    )
    with store.begin() as connection:
        CAMPAIGN.save(connection, campaign, "Ann", AT)
        JOURNEY.save(connection, journey(), "Ann", AT)
        with pytest.raises(BadJourney, match="a campaign has the name 'win back'"):
            JOURNEY.save(connection, journey(name="win back"), "Ann", AT)
        with pytest.raises(BadCampaign, match="a journey has the name 'abandoned cart'"):
            CAMPAIGN.save(connection, campaign.model_copy(update={"name": "abandoned cart"}), "Ann", AT)
    assert [one.name for one in CAMPAIGN.all_saved_in(store)] == ["win back"]
    with pytest.raises(NotFound, match="no campaign") as raised:
        CAMPAIGN.saved_in(store, "abandoned cart")
    assert raised.value.todo == "It is a journey: see `patron journey show`."
    with pytest.raises(NotFound, match="no journey 'abandoned card'") as raised:
        JOURNEY.saved_in(store, "abandoned card")
    assert "Did you mean abandoned cart?" in raised.value.todo
