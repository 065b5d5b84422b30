"""Journeys from a file to their result, on a workspace in which a run has finished."""

import json
import shutil
import tomllib
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from patron.answers.outreach.journey_list import list_journeys, show_journey
from patron.commands.outreach.campaigns.campaign_steps import approve, take_step
from patron.commands.outreach.journeys.advance_journeys import advance_journeys
from patron.commands.outreach.journeys.journey_examples import EXAMPLES, example_of, journey_text, write_example
from patron.commands.outreach.journeys.journey_replay import simulate_path
from patron.commands.outreach.journeys.measure_journey import measure_journey
from patron.commands.outreach.journeys.plan_journey import plan_journey
from patron.commands.outreach.journeys.save_journey import save_journey
from patron.commands.segments.save_segment import delete_segment, save_segment
from patron.decide.holdout import HOLDOUT, arm_of
from patron.engage.message_queue import journey_message_id
from patron.engage.templates.message_template import MessageTemplates
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.interfaces.i18n import LOCALES
from patron.schema.errors import BadJourney, BadSegment, BadTemplate, NotFound
from patron.storage.offers.policy import Policy
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, JOURNEY_ENTRIES, MESSAGES
from patron.storage.outreach.journey_file import JOURNEY, Journey, Send
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
NOW = datetime(2024, 5, 30, tzinfo=UTC)
GOOD = {"en": {"subject": "Hello", "body": "Hello {{ unsubscribe_url }}", "format": "text"}}
SEND = {"do": "send", "template": GOOD}
DAY = {"do": "wait", "days": 1}
OFFER = {"id": "ten", "kind": "reminder", "contact_cost_cents": 50, "assumed_purchase_uplift": 0.4}


@pytest.fixture(scope="module")
def shop(finished, tmp_path_factory):
    home = tmp_path_factory.mktemp("journeys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        shutil.copytree(finished, home, dirs_exist_ok=True)
        shop = Shop.open(home / "w")
        shop.policy = Policy.model_validate({"consent": {"unknown": "allow"}, "offers": [OFFER]})
        save_segment(RequestContext.from_name(shop, "Ann", now=NOW), {"name": "all", "rule": {"all": []}})
        yield shop
        shop.close()


def written(**changes):
    content = {
        "name": "after order",
        "trigger": {"event": "Order Completed"},
        "exit_on": [],
        "topic": "offers",
        "monthly_budget": 50.0,
        "holdout_share": 0.4,
        "steps": [DAY, SEND],
    }
    return Journey.of(content | changes, where="test")


@pytest.fixture
def saved(shop, request):
    """Save a journey under the name of the test."""

    def save(by="Ann", **changes):
        return save_journey(
            RequestContext.from_name(shop, by, now=NOW), written(name=request.node.name[:90].strip(), **changes)
        )

    return save


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_ready_made_journey_is_saved_and_planned_as_it_is(shop, tmp_path, name):
    *segment, file = write_example(name, tmp_path, NOW)
    for path in segment:
        save_segment(RequestContext.from_name(shop, "Ann", now=NOW), tomllib.loads(path.read_text("utf-8")))
    saved = save_journey(RequestContext.from_name(shop, "Ann", now=NOW), Journey.load(file))
    assert saved.state == "draft"
    assert saved.content == Journey.of(tomllib.loads(journey_text(name, NOW)), where="text")
    plan = plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), saved.name)
    assert plan.findings
    with pytest.raises(BadJourney, match="is there already"):
        write_example(name, tmp_path, NOW)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("locale", LOCALES)
def test_the_messages_of_a_ready_made_journey_are_in_the_language_of_the_shop(name, locale):
    journey = Journey.of(tomllib.loads(journey_text(name, NOW, locale)), where=name)
    templates = [step.template for step in journey.steps if isinstance(step, Send)]
    assert templates
    for template in templates:
        assert list(template) == [locale]
        MessageTemplates.of(template, locale).require_known_names()
        is_chinese = any("\u4e00" <= one <= "\u9fff" for one in template[locale].subject)
        assert is_chinese == (locale == "zh_CN")


def test_an_unknown_example_is_refused_with_the_one_that_was_meant():
    with pytest.raises(NotFound, match="Did you mean price_drop"):
        example_of("price_dorp")


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"topic": "ofers"}, BadJourney, r"topic: policy.toml has no topic 'ofers'.*offers"),
        ({"channel": "emial"}, BadJourney, "no channel 'emial'. Did you mean email"),
        ({"steps": [DAY, SEND | {"channel": "pigeon"}]}, BadJourney, "step 2: there is no channel 'pigeon'"),
        ({"steps": [SEND | {"id": "hi", "offer": "elven"}]}, BadJourney, "step hi: policy.toml has no offer 'elven'"),
        ({"trigger": {"enters": "al"}}, BadJourney, "trigger: there is no segment 'al'. Did you mean all"),
        ({"trigger": {"event": "Order Completed", "segment": "vip"}}, BadJourney, "no segment 'vip'"),
        ({"trigger": {"event": "Order Complete"}}, BadJourney, "event 'Order Complete'. Did you mean Order Completed"),
        ({"exit_on": ["Ordered by owl"]}, BadJourney, "exit_on: neither the catalogue nor this shop has an event"),
        ({"trigger": {"product": "price_drop", "after": ["Viewd"]}}, BadJourney, "has an event 'Viewd'"),
        ({"steps": [{"do": "wait_for", "event": "Pge", "days": 1}, SEND]}, BadJourney, "step 1: .* event 'Pge'"),
        (
            {"steps": [{"do": "branch", "rule": {"field": "value_dcile", "op": ">=", "value": 8}}, SEND]},
            BadJourney,
            "step 1: .*value_dcile.*value_decile",
        ),
        (
            {"steps": [SEND | {"template": GOOD | {"zh_CN": {"subject": "a", "body": "b"}}}]},
            BadTemplate,
            "step 1, .*zh",
        ),
    ],
)
def test_what_does_not_exist_is_refused_when_it_is_saved(shop, saved, request, changes, error, reason):
    with pytest.raises(error, match=reason):
        saved(**changes)
    with pytest.raises(NotFound):
        JOURNEY.saved_in(shop.store, request.node.name[:90].strip())


def test_a_segment_is_kept_while_a_journey_names_it(shop, saved):
    branch = {"do": "branch", "rule": {"any": [{"segment": "used"}, {"field": "value_decile", "op": ">=", "value": 8}]}}
    for name in ("used", "of trigger"):
        save_segment(RequestContext.from_name(shop, "Ann", now=NOW), {"name": name, "rule": {"all": []}})
    first = saved(trigger={"enters": "of trigger"}, steps=[branch, SEND])
    assert first.content.segments == {"used", "of trigger"}
    for name in ("used", "of trigger"):
        with pytest.raises(BadSegment, match=f"is used by journey '{first.name[:20]}"):
            delete_segment(RequestContext.from_name(shop, "Ann", now=NOW), name)
    saved()
    for name in ("used", "of trigger"):
        delete_segment(RequestContext.from_name(shop, "Ann", now=NOW), name)


def test_a_plan_replays_who_would_have_entered_and_left(shop, saved):
    # why: of the shop's customers u19 ordered twice in these 28 days, and each of the 19 others once
    once = plan_journey(
        RequestContext.from_name(shop, "Ann", now=NOW), saved(steps=[DAY, SEND | {"offer": "ten"}]).name
    ).replay
    assert (once.customer_count, once.entry_count, once.left_count) == (20, 20, 0)
    assert once.message_count + once.holdout_count == 20
    assert once.sends[0].cost_cents == 50 * once.message_count
    assert once.monthly_messages == pytest.approx(once.message_count * 30 / 28)
    again = plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), saved(reenter_after_days=1.0).name).replay
    assert (again.customer_count, again.entry_count) == (20, 21)
    leaving = saved(exit_on=["Order Completed"], steps=[{"do": "wait", "days": 25}, SEND])
    left = plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), leaving.name).replay
    assert (left.entry_count, left.left_count) == (20, 1)
    assert left.later_count > 0
    first = plan_journey(
        RequestContext.from_name(shop, "Ann", now=NOW),
        saved(trigger={"event": "Order Completed", "is_first": True}).name,
    )
    assert first.replay is None
    assert "Nobody would have entered" in first.findings[0]
    json.dumps(JOURNEY.saved_in(shop.store, leaving.name).last("planned").details)


def test_a_plan_says_what_cannot_be_known_what_is_too_dear_and_who_may_not_be_contacted(shop, saved):
    policy, steps = shop.policy, [DAY, SEND | {"offer": "ten"}]
    small = plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), saved(monthly_budget=1.0, steps=steps).name)
    assert any("The budget ends after" in finding for finding in small.findings)
    assert any("can" in finding and "detected" in finding for finding in small.findings)
    without = plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), saved(holdout_share=0.0).name)
    assert any("without a holdout" in finding for finding in without.findings)
    shop.policy = Policy.model_validate({"consent": {"unknown": "refuse"}, "offers": [OFFER]})
    nobody = plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), saved().name)
    shop.policy = policy
    assert (nobody.replay.not_contactable_count, nobody.replay.message_count) == (20, 0)
    members = plan_journey(
        RequestContext.from_name(shop, "Ann", now=NOW), saved(trigger={"enters": "all", "includes_members": True}).name
    )
    assert members.replay.customer_count == 20
    assert members.replay.monthly_messages == members.replay.message_count
    over = saved(start="2024-05-01T00:00:00", end="2024-05-02T00:00:00")
    with pytest.raises(BadJourney, match="was over at"):
        plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), over.name)


def test_plan_and_sender_count_the_same_cost_of_a_message(shop, saved):
    policy, coupon = shop.policy, {"id": "off", "kind": "discount", "discount_share": 0.1, "valid_days": 14}
    offer = coupon | {"contact_cost_cents": 5, "assumed_purchase_uplift": 0.04}
    shop.policy = Policy.model_validate({"consent": {"unknown": "allow"}, "offers": [offer]})
    name = saved(steps=[DAY, SEND | {"offer": "off"}], channel="file", holdout_share=0.0).name
    plan = plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), name).replay
    approve(RequestContext.from_name(shop, "Bo", now=NOW), JOURNEY, name)
    customers = last_run(shop).query("select customer_id from customers order by 1")["customer_id"].to_pylist()
    advance_journeys(shop, clock=lambda: NOW)
    enter(shop, name, [(customer, NOW) for customer in customers], state="active", is_sent=False)
    assert advance_journeys(shop, clock=lambda: NOW) == (None, [])
    table = MESSAGES.c
    with shop.store.begin() as connection:
        sent = sa.select(sa.func.count(), sa.func.sum(table.expected_cost_cents)).where(table.campaign == name)
        count, cents = connection.execute(sent).one()
    shop.policy = policy
    assert count == plan.sends[0].message_count == 20
    assert cents == pytest.approx(plan.sends[0].cost_cents)
    # why: these customers order about twice in 14 days or less, so that not every message costs a discount
    assert 20 * 5 < cents < 20 * (5 + 0.1 * 1050)


def test_another_person_than_the_author_approves_and_each_step_is_on_record(shop, saved):
    name = saved(by="Ann").name
    with pytest.raises(BadJourney, match="is a draft and cannot be approved"):
        approve(RequestContext.from_name(shop, "Bo", now=NOW), JOURNEY, name)
    plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), name)
    with pytest.raises(BadJourney, match="Ann wrote version 1"):
        approve(RequestContext.from_name(shop, " ann", now=NOW), JOURNEY, name)
    assert approve(RequestContext.from_name(shop, "Bo", now=NOW), JOURNEY, name, version=1).state == "approved"
    assert (
        take_step(RequestContext.from_name(shop, "Bo", now=NOW), JOURNEY, name, "paused", reason="typo").state
        == "paused"
    )
    assert take_step(RequestContext.from_name(shop, "Bo", now=NOW), JOURNEY, name, "resumed").state == "approved"
    assert take_step(RequestContext.from_name(shop, "Bo", now=NOW), JOURNEY, name, "withdrawn").state == "withdrawn"
    with pytest.raises(BadJourney, match="is withdrawn and cannot be saved"):
        saved(monthly_budget=1.0)
    actions = [
        entry.action for entry in audit_log.entries(shop.store) if json.loads(entry.details).get("journey") == name
    ]
    assert actions == [f"journey {one}" for one in ("saved", "planned", "approved", "paused", "resumed", "withdrawn")]


def enter(shop, name, entries, *, state="finished", reason="", is_sent=True):
    """Write entries as the engine would; a message for each outside the holdout where it `is_sent`."""
    rows, assigned, messages = [], [], []
    for customer, at in entries:
        is_holdout = arm_of(name, customer, 0.4) == HOLDOUT
        row = {"entry_id": f"{name}/{customer}/{at}", "journey": name, "version": 1, "customer_id": customer}
        row |= {"is_holdout": is_holdout, "entered_at": at, "reached_at": at, "due_at": at, "step": 1, "state": state}
        rows.append(row | {"reason": reason})
        about = {"campaign": name, "customer_id": customer}
        more = {"is_holdout": is_holdout, "assigned_at": at, "version": 1, "is_planned": not is_holdout, "offer": ""}
        assigned.append(about | more)
        if is_sent and not is_holdout:
            message = {
                "message_id": journey_message_id(name, row["entry_id"], "2", "email"),
                "channel": "email",
                "topic": "offers",
                "state": "sent",
            }
            message |= {"reason": "", "offer": "ten", "consent_basis": "consent", "attempt_count": 1}
            messages.append(about | message | {"written_at": at, "sent_at": at})
    with shop.store.begin() as connection:
        for table, values in ((JOURNEY_ENTRIES, rows), (ASSIGNMENTS, assigned), (MESSAGES, messages)):
            if values:  # why: all of a few may be in the holdout
                connection.execute(sa.insert(table), values)
    return len(messages)


@pytest.mark.parametrize("over", ["ended", "withdrawn"])
def test_the_result_counts_everybody_who_entered_in_a_window_of_their_own(shop, saved, over):
    name = saved(window_days=7, steps=[DAY, SEND | {"offer": "ten"}]).name
    plan_journey(RequestContext.from_name(shop, "Ann", now=NOW), name)
    with pytest.raises(BadJourney, match="nobody has entered"):
        measure_journey(RequestContext.from_name(shop, "Ann", now=AS_OF), name)
    approve(RequestContext.from_name(shop, "Bo", now=NOW), JOURNEY, name)
    with pytest.raises(BadJourney, match="nobody had entered"):
        measure_journey(RequestContext.from_name(shop, "Ann", now=AS_OF), name)
    customers = last_run(shop).query("select customer_id from customers order by 1")["customer_id"].to_pylist()
    # why: ids are random, and the first 14 must be some of either arm
    customers.sort(key=lambda one: arm_of(name, one, 0.4) != HOLDOUT)
    customers = customers[::2] + customers[1::2]
    early, late = datetime(2024, 5, 3, tzinfo=UTC), datetime(2024, 5, 28, tzinfo=UTC)
    days = {customer: early + timedelta(days=n) for n, customer in enumerate(customers[:14])}
    sent = enter(shop, name, days.items()) + enter(
        shop, name, [(customer, late) for customer in customers[14:]], state="active"
    )
    with shop.store.begin() as connection:
        JOURNEY.take_step(connection, name, "started", 1, "patron", NOW)
    so_far = measure_journey(RequestContext.from_name(shop, "Ann", now=AS_OF), name)
    assert (so_far.state, so_far.is_final, so_far.entered_count, so_far.open_count) == ("running", False, 20, 6)
    assert so_far.entry_counts == {"active": 6, "finished": 14}
    assert so_far.waiting_counts == {"version 1, step 2": 6}
    assert so_far.message_counts == so_far.steps[0].message_counts == {"sent": sent}
    assert so_far.learned.startswith("So far")
    assert {effect.method for effect in so_far.effects} >= {"raw"}
    arms = {arm: one.customers for arm, one in so_far.arms.items()}
    assert arms == {
        "holdout": sum(arm_of(name, day, 0.4) == HOLDOUT for day in days),
        "treated": sum(arm_of(name, day, 0.4) != HOLDOUT for day in days),
    }
    assert so_far.spend.sending_cents == 50 * arms["treated"]
    lines = last_run(shop).query("select customer_id, ordered_at, paid_cents from order_lines").to_pylist()
    paid = sum(
        one["paid_cents"]
        for one in lines
        if one["customer_id"] in days
        and days[one["customer_id"]] <= one["ordered_at"] < days[one["customer_id"]] + timedelta(days=7)
    )
    assert sum(arm.paid_cents for arm in so_far.arms.values()) == paid > 0
    detail, line = show_journey(shop, name), next(journey for journey in list_journeys(shop) if journey.name == name)
    assert (detail.assigned_count, detail.entries.total, line.entry_count, line.active_count) == (20, 20, 20, 6)
    assert (line.sent_messages, line.trigger) == (sent, "Order Completed")
    with shop.store.begin() as connection:
        connection.execute(
            sa.update(JOURNEY_ENTRIES)
            .where(JOURNEY_ENTRIES.c.journey == name, JOURNEY_ENTRIES.c.state == "active")
            .values(state="left", reason="exit_event", entered_at=early)
        )
        JOURNEY.take_step(connection, name, over, 1, "patron", NOW)
    final = measure_journey(RequestContext.from_name(shop, "Ann", now=AS_OF), name)
    assert (final.state, final.is_final, final.open_count) == ("measured", True, 0)
    assert final.exit_counts == {"exit_event": 6}
    assert show_journey(shop, name).result["learned"] == final.learned


def test_a_walk_waits_branches_and_leaves_as_the_steps_say():
    at = datetime(2024, 5, 1, tzinfo=UTC)
    hour = timedelta(hours=1)
    wait_for = {"do": "wait_for", "event": "Page", "hours": 5, "then": "late", "otherwise": "end"}
    steps = [
        {"do": "branch", "rule": {"all": []}, "then": "wait"},
        SEND,
        wait_for | {"id": "wait"},
        SEND | {"id": "late"},
    ]
    journey = written(steps=steps, exit_on=["Order Completed"])

    def places(*, member=False, page=None, order=None):
        came = (("Page", page), ("Order Completed", order))
        events = sorted((at + hours * hour, name) for name, hours in came if hours)
        way = simulate_path(journey, "c", at, events, lambda *_: member)
        return [(place, (when - at) / hour) for place, when in way.sends], way.has_left

    assert places() == ([(1, 0.0)], False)
    assert places(page=3) == ([(1, 0.0), (3, 3.0)], False)
    assert places(member=True, page=5) == ([(3, 5.0)], False)
    assert places(member=True, page=6) == ([], False)
    assert places(page=3, order=2) == ([(1, 0.0)], True)
    assert places(member=True, page=3, order=4) == ([(3, 3.0)], False)
