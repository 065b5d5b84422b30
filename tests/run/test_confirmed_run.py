"""A run whose offers somebody confirms, or nobody: from the file to what counts, and what is refused."""

import json
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from patron import decide, measure
from patron.answers.customers.customer_profile import customer_card
from patron.answers.offers.offer_results import decision_summary
from patron.commands.offers.confirm_offers import confirm_offers
from patron.commands.offers.withdraw_offers import withdraw_offers
from patron.decide.budget_period import remaining
from patron.engage.outbox_offers import SENT
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.measure.decision_outcomes import offering_runs_query
from patron.offer_delivery import settle_when_free
from patron.run import run_loop, stage_view
from patron.schema.access.access_rights import VISITOR, Actor, Role, rights_of_user
from patron.schema.errors import NotFound, SettingsError, WorkspaceError
from patron.storage.offers.deliveries import Delivery, DeliveryState, Evidence, delivery_of, write_delivery
from patron.storage.offers.policy import Policy
from patron.storage.runs.last_run import last_run
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron_command import run_patron

pytestmark = pytest.mark.xdist_group("one run")  # with others that go on from the same workspace
DAY = timedelta(days=1)


def context(shop, at, by="Ann"):
    return RequestContext.from_name(shop, by, now=at)


def told(shop, run):
    rows = shop.newest_snapshot().query("select decision_id, occurred_at from events where name = 'Offer Assigned'")
    decided = set(
        shop.newest_snapshot().query(f"select decision_id from decisions where run_id = '{run.run_id}'")[0].to_pylist()
    )
    return [row for row in rows.to_pylist() if row["decision_id"] in decided]


def measured(shop, run):
    view = stage_view(shop, measure, run=Run.at(run.as_of + DAY))
    return {row["run_id"] for row in view.query(offering_runs_query(view.run.as_of)).to_pylist() if row["is_delivered"]}


def left_cents(shop, run):
    return remaining(stage_view(shop, decide, run=Run.at(run.as_of + timedelta(hours=1)))).budget_cents


def test_offers_hold_the_budget_until_they_are_confirmed_and_count_from_when_they_were_sent(opened):
    shop, run = opened
    offered = decision_summary(last_run(shop)).offered_count
    left = left_cents(shop, run)
    assert left < shop.policy.budget.cents
    someone = (
        shop.newest_snapshot()
        .query(f"select customer_id from exposures where run_id = '{run.run_id}' limit 1")[0][0]
        .as_py()
    )
    assert run.run_id not in measured(shop, run)
    assert told(shop, run) == []
    assert run.as_of not in [one.occurred_at for one in customer_card(shop, someone).timeline if one.kind == "offer"]
    sent_at, now = run.as_of + timedelta(hours=8), run.as_of + 2 * DAY
    confirmed = confirm_offers(context(shop, now), run.run_id, sent_at)
    assert (confirmed.state, confirmed.evidence, confirmed.changed_by) == (DeliveryState.CONFIRMED, "person", "Ann")
    assert left_cents(shop, run) == left
    assert run.run_id in measured(shop, run)
    assert sent_at in [one.occurred_at for one in customer_card(shop, someone).timeline if one.kind == "offer"]
    events = told(shop, run)
    assert len(events) == last_run(shop).query(f"select 1 from exposures where run_id = '{run.run_id}'").num_rows
    assert 0 < len(events) <= offered
    assert {row["occurred_at"] for row in events} == {sent_at}
    assert audit_log.entries(shop.store)[-1].action == "offers confirmed"
    exposed = shop.newest_snapshot().query(
        f"select distinct exposed_at, confirmed_at from exposures where run_id = '{run.run_id}'"
    )
    assert exposed.to_pylist() == [{"exposed_at": sent_at, "confirmed_at": now}]


def test_a_receipt_and_a_file_that_is_gone_confirm_at_the_next_look(opened):
    shop, run = opened
    folder = shop.folder / "outbox" / run.run_id
    (folder / SENT).touch()
    at = run.as_of + timedelta(hours=3)
    os.utime(folder / SENT, (at.timestamp(), at.timestamp()))
    with pytest.raises(WorkspaceError, match="the mail system left a file named sent"):
        confirm_offers(context(shop, run.as_of + DAY), run.run_id)
    delivery = delivery_of(shop.store, run.run_id)
    assert (delivery.evidence, delivery.sent_at) == (Evidence.RECEIPT, at)


def test_whoever_took_the_file_sent_it_until_somebody_knows_when(opened):
    shop, run = opened
    next((shop.folder / "outbox" / run.run_id).glob("offers_*.csv")).unlink()
    later = run.as_of + 20 * DAY
    run_loop(shop, later)
    delivery = delivery_of(shop.store, run.run_id)
    assert (delivery.evidence, delivery.sent_at) == (Evidence.TAKEN, later)
    assert run.run_id in measured(shop, run)
    confirm_offers(context(shop, later), run.run_id, run.as_of + DAY)
    assert delivery_of(shop.store, run.run_id).sent_at == run.as_of + DAY


def test_offers_that_nobody_confirmed_expire_and_cannot_be_sent(opened):
    shop, run = opened
    folder = shop.folder / "outbox" / run.run_id
    assert left_cents(shop, run) < shop.policy.budget.cents
    run_loop(shop, run.as_of + 6 * DAY)
    assert any(folder.glob("offers_*.csv"))
    run_loop(shop, run.as_of + 7 * DAY)
    assert [path.name for path in folder.iterdir()] == ["recommendations_file.csv"]
    assert delivery_of(shop.store, run.run_id).state is DeliveryState.EXPIRED
    assert left_cents(shop, run) == shop.policy.budget.cents
    rows = shop.newest_snapshot().query(f"select count(*) as n from exposures where run_id = '{run.run_id}'")
    assert rows["n"][0].as_py() == 0
    assert "offers expired" in [entry.action for entry in audit_log.entries(shop.store)]
    now = run.as_of + 8 * DAY
    with pytest.raises(WorkspaceError, match=r"expired on .*: nobody had confirmed them"):
        confirm_offers(context(shop, now), run.run_id)
    with pytest.raises(WorkspaceError, match="expired, and count nowhere already"):
        withdraw_offers(shop, run.run_id, name="Ann", now=now)
    with pytest.raises(WorkspaceError, match="cannot have been sent at"):
        confirm_offers(context(shop, now), run.run_id, now - timedelta(hours=1))
    assert confirm_offers(context(shop, now), run.run_id, run.as_of + DAY).state is DeliveryState.CONFIRMED
    assert run.run_id in measured(shop, run)


def test_what_cannot_be_confirmed_is_refused_with_why(opened):
    shop, run = opened
    now = run.as_of + DAY
    with pytest.raises(NotFound, match="no run '2011-01-01' has handed over offers"):
        confirm_offers(context(shop, now), "2011-01-01")
    with pytest.raises(SettingsError, match="printable characters"):
        confirm_offers(context(shop, now, by=""), run.run_id)
    for at in (run.as_of - DAY, now + DAY):
        with pytest.raises(WorkspaceError, match="cannot have been sent at"):
            confirm_offers(context(shop, now), run.run_id, at)
    confirm_offers(context(shop, now), run.run_id)
    with pytest.raises(WorkspaceError, match=r"Ann confirmed on .* that the offers of the run"):
        confirm_offers(context(shop, now, by="Bea"), run.run_id)
    with pytest.raises(WorkspaceError, match="were sent, as Ann confirmed"):
        withdraw_offers(shop, run.run_id, name="Bea", now=now)
    with pytest.raises(WorkspaceError, match="were sent, so that it cannot decide again"):
        run_loop(shop, run.as_of)
    first = shop.newest_snapshot().query("select min(run_id) as run_id from decisions")["run_id"][0].as_py()
    with pytest.raises(WorkspaceError, match=r"as policy\.toml says"):
        confirm_offers(context(shop, now), first)


def test_a_server_finds_a_receipt_by_itself_but_never_next_to_a_run(opened):
    shop, run = opened
    (shop.folder / "outbox" / run.run_id / SENT).touch()
    with closing(Shop.open(shop.folder)) as other, other.run_lock():
        settle_when_free(shop, now=run.as_of + DAY)
        assert delivery_of(shop.store, run.run_id).state is DeliveryState.RESERVED
    settle_when_free(shop, now=run.as_of + DAY)
    assert delivery_of(shop.store, run.run_id).evidence is Evidence.RECEIPT


def test_withdrawn_offers_cannot_be_confirmed(opened):
    shop, run = opened
    withdraw_offers(shop, run.run_id, name="Bea", now=run.as_of + DAY)
    with pytest.raises(WorkspaceError, match="Bea withdrew the offers of the run"):
        confirm_offers(context(shop, run.as_of + DAY), run.run_id)


def test_the_command_line_lists_and_confirms(opened):
    shop, run = opened
    listed = json.loads(run_patron("outbox", "list", "--json", "-w", shop.folder).out)["deliveries"]
    assert (listed[0]["run_id"], listed[0]["state"]) == (run.run_id, "reserved")
    assert "Once they are, confirm it" in " ".join(run_patron("outbox", "list", "-w", shop.folder).out.split())
    told_when = ("--sent-at", f"{run.as_of + DAY:%Y-%m-%dT%H:%M}")
    done = run_patron("outbox", "confirm", run.run_id, *told_when, "--as", "Ann", "-w", shop.folder)
    assert "count as sent" in done.out + done.err
    again = run_patron("outbox", "confirm", run.run_id, "--as", "Ann", "-w", shop.folder)
    assert (again.code, "There is nothing to confirm." in again.err) == (1, True)


def test_whoever_may_act_on_offers_confirms_them_on_the_page_of_decisions(opened):
    shop, run = opened
    with shop.store.begin() as connection:  # the run lives in a time of its own, the page in ours
        write_delivery(connection, Delivery(run.run_id, DeliveryState.RESERVED, datetime(2100, 1, 1, tzinfo=UTC)))
    address = f"/decisions/runs/{run.run_id}/confirmation"
    with served(shop, VISITOR) as at, httpx.Client(base_url=at) as client:
        assert (address in client.get("/decisions").text, client.post(address).status_code) == (False, 401)
    ada = Actor("Ada (user a1)", rights_of_user([Role.MARKETER]), user_id="a1")
    with served(shop, ada) as at, httpx.Client(base_url=at, timeout=60) as client:
        assert address in client.get("/decisions").text
        chinese = client.get("/decisions", headers={"Accept-Language": "zh-CN"}).text
        assert ("优惠等待发送" in chinese, "确认已发送" in chinese) == (True, True)
        taken = client.post(address)
        assert (taken.status_code, taken.headers["location"]) == (303, f"/decisions?run={run.run_id}&notice=confirmed")
        page = client.get(taken.headers["location"]).text
        assert ("The offers count as sent." in page, "Ada" in page, address in page) == (True, True, False)
        again = client.post(address)
        assert "There is nothing to confirm." in again.text
        assert again.status_code >= 400
        assert client.get("/api/decisions/runs").json()["deliveries"][0]["state"] == "confirmed"
    assert delivery_of(shop.store, run.run_id).evidence is Evidence.PERSON


def test_a_policy_of_before_is_read_with_a_notice():
    policy = Policy.parse("[channel]\nis_delivered = true\n")
    assert policy.channel.confirm == "automatic"
    assert Policy.parse("[channel]\nis_delivered = false\n").channel.confirm == "manual"
    with pytest.raises(SettingsError, match="must be true or false"):
        Policy.parse("[channel]\nis_delivered = 1\n")
