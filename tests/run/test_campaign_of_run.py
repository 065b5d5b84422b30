"""Offers of a run that a campaign sends: from the reservation to messages, caps, budget, effects and result."""

from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa

from patron import measure
from patron.answers.offers.offer_results import decision_summary
from patron.commands.offers.confirm_offers import confirm_offers
from patron.commands.offers.withdraw_offers import withdraw_offers
from patron.commands.outreach.campaigns.campaign_steps import approve, take_step
from patron.commands.outreach.campaigns.measure_campaign import measure_campaign
from patron.commands.outreach.campaigns.offers_of_run import offers_of_run
from patron.commands.outreach.campaigns.plan_campaign import plan_campaign
from patron.commands.outreach.campaigns.save_campaign import save_campaign
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.engage.outbox_offers import SENT, hold_back_offers
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.measure.effect_measurement import measured_outcomes
from patron.offer_delivery import settle_when_free
from patron.run import run_loop, stage_view
from patron.schema.access.access_rights import Actor, Grant, Role, rights_of_user
from patron.schema.errors import BadCampaign, WorkspaceError
from patron.segments.segment_parser import parse_rule
from patron.storage.offers.budget_period import budget_period
from patron.storage.offers.deliveries import DeliveryState, delivery_of
from patron.storage.offers.offer_usage import issued_offers, offered_lately, spent_cents
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.runs.last_run import last_run
from patron.storage.runs.runs import Run
from patron.storage.segments.segment_definitions import save_definition

pytestmark = pytest.mark.xdist_group("one run")  # with others that go on from the same workspace
DAY = timedelta(days=1)
NAME = "tonight"


def context(shop, at, by="Ann"):
    return RequestContext.from_name(shop, by, now=at)


def content(shop, run_given, /, **changes):
    run = run_given
    start = run.as_of.replace(tzinfo=None) + timedelta(hours=9)
    base = {"name": NAME, "run": run.run_id, "offers": offers_of_run(shop, run.run_id).offers, "topic": "offers"}
    base |= {"channel": "file", "budget": 1_000.0, "start": start, "end": start + timedelta(days=10)}
    template = {
        "en": {"subject": "{{ offer.name }}", "body": "{{ offer.name }} {{ unsubscribe_url }}", "format": "text"}
    }
    return base | {"template": template} | changes


def planned(shop, run_given, /, **changes):
    run = run_given
    now = run.as_of + timedelta(hours=1)
    save_campaign(context(shop, now), Campaign.of(content(shop, run, **changes), where="test"))
    return plan_campaign(context(shop, now), changes.get("name", NAME))


def approved(shop, run_given, /, **changes):
    run = run_given
    plan = planned(shop, run, **changes)
    approve(context(shop, run.as_of + timedelta(hours=2), by="Bo"), CAMPAIGN, changes.get("name", NAME))
    return plan


def decided(shop, run):
    rows = shop.newest_snapshot().query(
        f"select customer_id, action from decisions where run_id = '{run.run_id}' and action <> 'none'"
    )
    return {row["customer_id"]: row["action"] for row in rows.to_pylist()}


def usage(shop, run):
    """What runs and campaigns use up: cents, offers given, and customers at their cap."""
    view, period = last_run(shop), budget_period(run.as_of, "month", shop.settings.shop.time_zone)
    lately = {row["customer_id"]: row["offer_count"] for row in offered_lately(view).to_pylist()}
    return spent_cents(view, shop.store, period), sum(issued_offers(view, shop.store, period).values()), lately


def rows(shop, table):
    with shop.store.begin() as connection:
        chosen = sa.select(table).where(table.c.campaign == NAME)
        return {row["customer_id"]: dict(row) for row in connection.execute(chosen).mappings()}


def test_each_customer_is_sent_what_the_run_decided_and_nobody_else_goes_without(opened):
    shop, run = opened
    offers, before = decided(shop, run), usage(shop, run)
    plan = planned(shop, run)
    assert usage(shop, run) == before, "while nobody has approved it, the run holds what its offers use up"
    assigned = rows(shop, ASSIGNMENTS)
    to_send = {customer: row["offer"] for customer, row in assigned.items() if row["is_planned"]}
    assert to_send == {customer: offers[customer] for customer in to_send}
    assert 0 < len(to_send) == plan.message_count <= len(offers)
    assert plan.holdout_count == 0
    assert to_send.keys() == assigned.keys()
    approve(context(shop, run.as_of + timedelta(hours=2), by="Bo"), CAMPAIGN, NAME)
    delivery = delivery_of(shop.store, run.run_id)
    assert (delivery.state, delivery.campaign, delivery.changed_by) == (DeliveryState.CAMPAIGN, NAME, "Bo")
    assert not any((shop.folder / "outbox" / run.run_id).glob("*offers_*"))
    spent, issued, lately = usage(shop, run)
    assert issued == len(to_send)
    assert spent == pytest.approx(sum(row["expected_cost_cents"] for row in assigned.values() if row["is_planned"]))
    assert {customer for customer, count in lately.items() if count} >= to_send.keys()
    later = run.as_of + timedelta(hours=10)
    summary = send_campaign(context(shop, later, by=""), NAME, is_early=True)
    sent = {customer: row["offer"] for customer, row in rows(shop, MESSAGES).items() if row["state"] == "sent"}
    assert (sent, summary.sent_count) == (to_send, len(to_send))
    assert usage(shop, run) == (pytest.approx(spent), issued, lately)


def test_effects_are_measured_from_the_decisions_and_the_result_against_the_runs_holdout(opened):
    shop, run = opened

    def is_measured():
        return run.run_id in measured_outcomes(stage_view(shop, measure, run=Run.at(run.as_of + 60 * DAY))).outcomes.run

    approved(shop, run)
    assert not is_measured()
    send_campaign(context(shop, run.as_of + timedelta(hours=10), by=""), NAME, is_early=True)
    assert is_measured()
    until = run.as_of + 11 * DAY
    run_loop(shop, until)
    result = measure_campaign(context(shop, until), NAME)
    assert result.is_final
    assert result.arms["treated"].customers == sum(row["is_planned"] for row in rows(shop, ASSIGNMENTS).values())
    assert (result.effects, result.sample_ratio_p_value) == ((), None)


def test_the_next_run_counts_what_the_campaign_sends_and_no_reservation_expires(opened):
    shop, run = opened
    approved(shop, run)
    planned_for = {customer for customer, row in rows(shop, ASSIGNMENTS).items() if row["is_planned"]}
    run_loop(shop, run.as_of + DAY)
    again = decided(shop, last_run(shop).run)
    assert planned_for.isdisjoint(again)
    run_loop(shop, run.as_of + 9 * DAY)
    assert delivery_of(shop.store, run.run_id).state is DeliveryState.CAMPAIGN


def test_offers_are_sent_once_whoever_tries_again(opened):
    shop, run = opened
    approved(shop, run)
    now = run.as_of + timedelta(hours=3)
    for refused in (
        lambda: confirm_offers(context(shop, now), run.run_id),
        lambda: withdraw_offers(shop, run.run_id, name="Ann", now=now),
    ):
        with pytest.raises(WorkspaceError, match="the campaign 'tonight' sends the offers of the run"):
            refused()
    with pytest.raises(BadCampaign, match="another campaign sends them"):
        planned(shop, run, name="twice")
    plan_campaign(context(shop, now), NAME)  # it may be planned again, and is approved again
    approve(context(shop, now, by="Bo"), CAMPAIGN, NAME)
    take_step(context(shop, now), CAMPAIGN, NAME, "withdrawn")
    assert usage(shop, run)[1] == 0
    assert decision_summary(last_run(shop)).delivery.state is DeliveryState.CAMPAIGN


def test_two_campaigns_of_one_run_are_planned_and_the_first_approval_counts(opened):
    shop, run = opened
    planned(shop, run)
    planned(shop, run, name="other")
    now = run.as_of + timedelta(hours=2)
    approve(context(shop, now, by="Bo"), CAMPAIGN, "other")
    with pytest.raises(BadCampaign, match="another campaign sends them"):
        approve(context(shop, now, by="Bo"), CAMPAIGN, NAME)


def test_an_approval_after_the_mail_system_took_the_file_is_refused_and_changes_nothing(opened):
    shop, run = opened
    planned(shop, run)
    (shop.folder / "outbox" / run.run_id / SENT).touch()
    with pytest.raises(BadCampaign, match="they were sent already"):
        approve(context(shop, run.as_of + timedelta(hours=2), by="Bo"), CAMPAIGN, NAME)
    assert delivery_of(shop.store, run.run_id).state is DeliveryState.CONFIRMED
    assert CAMPAIGN.saved_in(shop.store, NAME).state == "planned"


def test_what_cannot_be_planned_is_refused_with_why(opened):
    shop, run = opened
    with pytest.raises(BadCampaign, match="either a segment, or a run"):
        Campaign.of(content(shop, run, segment="everybody"), where="test")
    with pytest.raises(BadCampaign, match="names no offer of the run"):
        Campaign.of(content(shop, run, offers=()), where="test")
    with pytest.raises(BadCampaign, match="are expected to cost"):
        planned(shop, run, budget=0.01)
    unknown = Campaign.of(content(shop, run, name="no run") | {"run": "2011-01-01"}, where="test")
    save_campaign(context(shop, run.as_of), unknown)
    with pytest.raises(BadCampaign, match="it handed over none"):
        plan_campaign(context(shop, run.as_of), "no run")
    withdraw_offers(shop, run.run_id, name="Ann", now=run.as_of + DAY)
    with pytest.raises(BadCampaign, match="they were withdrawn"):
        planned(shop, run, budget=500.0)


def test_a_manager_sends_them_from_today_or_downloads_them(opened):
    shop, run = opened
    ada = Actor("Ada (user a1)", rights_of_user([Role.MARKETER, Role.APPROVER], [Grant.EXPORT]), user_id="a1")
    with served(shop, ada) as at, httpx.Client(base_url=at, timeout=60) as client:
        form = f"/campaigns/new?run={run.run_id}"
        assert form.replace("&", "&amp;") in client.get("/").text
        page = client.get(form)
        assert page.status_code == 200
        assert f'name="run" value="{run.run_id}"' in page.text
        assert "control group gets nothing" in page.text
        file = client.get(f"/decisions/runs/{run.run_id}/file")
        kept = next((shop.folder / "outbox" / run.run_id).glob("offers_*.csv")).read_bytes()
        assert (file.status_code, file.content) == (200, kept)
        assert client.get("/decisions/runs/../file").status_code == 404
        save_campaign(context(shop, run.as_of), Campaign.of(content(shop, run), where="test"))
        again = client.get(form)
        assert (again.status_code, again.headers["location"]) == (303, f"/campaigns/{NAME}")


def test_the_form_of_a_run_whose_offers_are_gone_says_so(opened):
    shop, run = opened
    confirm_offers(context(shop, run.as_of + DAY), run.run_id)
    ada = Actor("Ada (user a1)", rights_of_user([Role.MARKETER]), user_id="a1")
    with served(shop, ada) as at, httpx.Client(base_url=at, timeout=60) as client:
        page = client.get(f"/campaigns/new?run={run.run_id}")
        assert page.status_code >= 400
        assert "they were sent already" in page.text
        assert client.get("/campaigns/new?run=2011-01-01").status_code == 404


def test_a_run_whose_offers_a_campaign_sends_decides_no_second_time(opened):
    shop, run = opened
    approved(shop, run)
    with pytest.raises(WorkspaceError, match="the campaign 'tonight' sends the offers of the run"):
        run_loop(shop, run.as_of)
    assert delivery_of(shop.store, run.run_id).campaign == NAME
    with pytest.raises(BadCampaign, match="sends the offers of the run"):
        planned(shop, run, run="", segment="everybody")


def test_a_plan_of_before_the_run_was_repeated_is_not_approved(opened):
    shop, run = opened
    planned(shop, run)
    run_loop(shop, run.as_of, now=run.as_of + timedelta(hours=1))
    with pytest.raises(BadCampaign, match="decided again since 'tonight' was planned"):
        approve(context(shop, run.as_of + timedelta(hours=2), by="Bo"), CAMPAIGN, NAME)
    assert any((shop.folder / "outbox" / run.run_id).glob("offers_*.csv"))


def test_a_refused_approval_leaves_the_file_where_the_mail_system_finds_it(opened, monkeypatch):
    shop, run = opened
    planned(shop, run)

    def fail(*_, **__):
        raise OSError("the disk is gone")

    monkeypatch.setattr("patron.commands.outreach.campaigns.campaign_steps.record_step", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        approve(context(shop, run.as_of + timedelta(hours=2), by="Bo"), CAMPAIGN, NAME)
    assert any((shop.folder / "outbox" / run.run_id).glob("offers_*.csv"))
    assert delivery_of(shop.store, run.run_id).state is DeliveryState.RESERVED


def test_a_file_that_a_cut_off_approval_held_back_is_given_back(opened):
    shop, run = opened
    folder = shop.folder / "outbox" / run.run_id
    hold_back_offers(folder)
    assert not any(folder.glob("offers_*.csv"))
    settle_when_free(shop, now=run.as_of + timedelta(hours=3))
    assert any(folder.glob("offers_*.csv"))


def test_a_run_is_measured_only_where_each_of_its_offers_was_sent(opened):
    shop, run = opened
    offers = offers_of_run(shop, run.run_id).offers
    assert len(offers) > 1
    approved(shop, run, offers=offers[:1])
    send_campaign(context(shop, run.as_of + timedelta(hours=10), by=""), NAME, is_early=True)
    view = stage_view(shop, measure, run=Run.at(run.as_of + 60 * DAY))
    assert run.run_id not in measured_outcomes(view).outcomes.run


def test_a_plan_for_a_run_after_one_for_a_segment_holds_nothing_twice(opened):
    shop, run = opened
    before = usage(shop, run)
    with shop.store.begin() as connection:
        save_definition(connection, "everybody", parse_rule({"all": []}), saved_by="Ann", at=run.as_of)
    planned(shop, run, run="", segment="everybody", offers=())
    approve(context(shop, run.as_of + timedelta(hours=2), by="Bo"), CAMPAIGN, NAME)
    plan = planned(shop, run)
    assert usage(shop, run)[1:] == before[1:]
    assert plan.message_count > 0


def test_its_pages_say_what_measures_it_in_both_languages(opened):
    shop, run = opened
    approved(shop, run)
    send_campaign(context(shop, run.as_of + timedelta(hours=10), by=""), NAME, is_early=True)
    run_loop(shop, run.as_of + 11 * DAY)
    measure_campaign(context(shop, run.as_of + 11 * DAY), NAME)
    ada = Actor("Ada (user a1)", rights_of_user([Role.MARKETER]), user_id="a1")
    with served(shop, ada) as at, httpx.Client(base_url=at, timeout=60) as client:
        for language, told, measured in (
            ("en", f"Offers of the run {run.run_id}", "own control group"),
            ("zh-CN", f"运行 {run.run_id} 的优惠", "自身的对照组"),
        ):
            pages = {
                path: client.get(path, headers={"Accept-Language": language})
                for path in ("/campaigns", f"/campaigns/{NAME}", f"/campaigns/{NAME}/result", "/decisions")
            }
            assert {page.status_code for page in pages.values()} == {200}
            assert told in pages["/campaigns"].text
            assert told in pages[f"/campaigns/{NAME}"].text
            assert measured in pages[f"/campaigns/{NAME}"].text
            assert measured in pages[f"/campaigns/{NAME}/result"].text
        assert NAME in client.get(f"/decisions?run={run.run_id}").text
