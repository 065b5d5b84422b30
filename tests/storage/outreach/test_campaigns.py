"""The life of a campaign: versions, steps and states."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron.schema.errors import BadCampaign, NotFound, SettingsError
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.versioned_drafts import STATES, STEPS, state_in_words
from patron.storage.store.store import Store

AT = datetime(2024, 3, 1, 9, tzinfo=UTC)
STEP_NAMES = tuple(name for name in STEPS if name != "saved")


def written(**changes):
    content = {
        "name": "win back",
        "segment": "everybody",
        "topic": "offers",
        "budget": 100.0,
        "start": "2024-03-02T09:00:00",
        "end": "2024-03-15T00:00:00",
        "template": {"en": {"subject": "Hello", "body": "Hi"}},
    }
    return Campaign.of(content | changes, where="test")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}", key=b"k" * 32)
    store.upgrade()
    yield store
    store.close()


def save(store, campaign, by="Ann", at=AT):
    with store.begin() as connection:
        return CAMPAIGN.save(connection, campaign, by, at)


def take(store, name, step, *, version=1, by="Ann", **details):
    with store.begin() as connection:
        return CAMPAIGN.take_step(connection, name, step, version, by, AT, details)


def test_each_step_is_kept_with_who_when_and_what_it_found(store):
    save(store, written(name="kept"))
    take(store, "kept", "planned", by="Bo", audience=7)
    saved = CAMPAIGN.saved_in(store, "kept")
    assert (saved.state, saved.version, saved.saved_by, saved.saved_at) == ("planned", 1, "Ann", AT)
    assert [(step.entry, step.step, step.taken_by, step.taken_at) for step in saved.steps] == [
        (1, "saved", "Ann", AT),
        (2, "planned", "Bo", AT),
    ]
    assert saved.last("planned").details == {"audience": 7}
    assert saved.last("approved") is None


def test_a_changed_campaign_is_a_draft_again_and_an_unchanged_one_stays(store):
    first = written(name="changed")
    save(store, first)
    take(store, "changed", "planned")
    assert save(store, first, by="Bo").state == "planned"
    saved = save(store, written(name="changed", budget=200.0), by="Bo")
    assert (saved.state, saved.version, saved.saved_by) == ("draft", 2, "Bo")
    with pytest.raises(BadCampaign, match=r"version 1 .* is not the newest"):
        take(store, "changed", "planned", version=1)


def test_a_paused_campaign_resumes_where_it_was(store):
    save(store, written(name="paused"))
    for step in ("planned", "approved", "started", "paused"):
        take(store, "paused", step)
    assert take(store, "paused", "resumed").state == "running"
    take(store, "paused", "paused")
    assert take(store, "paused", "withdrawn").state == "withdrawn"
    with pytest.raises(BadCampaign, match="is withdrawn and cannot be resumed"):
        take(store, "paused", "resumed")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEP_NAMES), max_size=8), number=st.uuids())
def test_only_the_steps_of_the_table_change_the_state(store, steps, number):
    name = f"random {number}"
    state = save(store, written(name=name)).state
    for step in steps:
        count = len(CAMPAIGN.saved_in(store, name).steps)
        if state in STEPS[step].needs:
            state = take(store, name, step).state
        else:
            with pytest.raises(BadCampaign, match=f"is {state_in_words(state)} and cannot be {step}"):
                take(store, name, step)
            assert len(CAMPAIGN.saved_in(store, name).steps) == count
        assert state in STATES
        assert CAMPAIGN.saved_in(store, name).state == state


def test_campaigns_are_listed_by_name_in_their_newest_version(store):
    save(store, written(name="zz 1"))
    save(store, written(name="zz 1", goal="orders"), at=AT + timedelta(hours=1))
    save(store, written(name="zz 0"))
    listed = [(one.name, one.version) for one in CAMPAIGN.all_saved_in(store) if one.name.startswith("zz")]
    assert listed == [("zz 0", 1), ("zz 1", 2)]


def test_names_that_do_not_exist_and_people_without_one_are_refused(store):
    with pytest.raises(NotFound, match="no campaign 'nothing'"):
        CAMPAIGN.saved_in(store, "nothing")
    with pytest.raises(SettingsError, match="printable characters"):
        save(store, written(name="unsigned"), by=" ")
