"""Pages of segments, campaigns and journeys over HTTP: forms without a script, rights, frames and refusals."""

import json
import re
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from patron.answers.customers.customer_list import CustomerQuery, match_customers
from patron.answers.customers.customer_marks import Marks, marks_of
from patron.commands.access.manage_users import save_team
from patron.commands.customers.customer_work import add_tag
from patron.commands.outreach.campaigns.campaign_steps import approve
from patron.commands.outreach.campaigns.try_campaign import (
    TRIAL_PROFIT,
    MarginEstimate,
    TrialFigures,
    try_saved_campaign,
)
from patron.commands.outreach.journeys.plan_journey import plan_journey
from patron.commands.outreach.journeys.save_journey import save_journey
from patron.commands.outreach.messages.hold_sending import MAX_TEXT_LENGTH
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Actor, Grant, Role, rights_of_user
from patron.schema.errors import BadCampaign
from patron.service.jobs import carry_out
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.outreach.journey_file import JOURNEY, Journey
from patron.storage.outreach.sending_hold import SendingHold, delete_hold, write_hold
from patron.storage.runs.jobs import TRIAL, add_job, new_job

RULE = {"all": [{"field": "value_decile", "op": ">=", "value": 8}]}
BODY = "<h1>Hello</h1><script>alert(1)</script><a href='{{ unsubscribe_url }}'>no more</a>"


@pytest.fixture(scope="module")
def client(made_shop):
    rights = rights_of_user([Role.MARKETER, Role.APPROVER], [Grant.EXPORT])
    with served(made_shop, Actor("Cy", rights)) as url, httpx.Client(base_url=url, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def viewer(made_shop):
    reader = Actor("Vi", rights_of_user([Role.VIEWER]))
    with served(made_shop, reader) as url, httpx.Client(base_url=url, timeout=60) as opened:
        yield opened


def campaign_form(**changes):
    fields = {"name": "pages", "goal": "profit", "segment": "top of pages", "channel": "email", "topic": "offers"}
    fields |= {"budget": "50", "holdout": "20", "start": "2017-09-01T09:00", "end": "2099-01-01T00:00"}
    return fields | {"subject_en": "Hi {{ customer.first_name }}", "format_en": "html", "body_en": BODY} | changes


def save_segment(client, **changes):
    form = {"name": "top of pages", "folder": "pages", "note": "first", "rule": json.dumps(RULE), "of": ""}
    return client.post("/segments", data=form | changes)


def test_a_segment_is_made_changed_compared_and_restored_by_forms_alone(client):
    assert "expected to bring" in save_segment(client, action="count").text
    assert save_segment(client).headers["location"] == "/segments/top%20of%20pages?done=saved"
    taken = save_segment(client)
    assert (taken.status_code, "There is one with this name" in taken.text) == (422, True)
    wrong = save_segment(client, name="other", rule="{")
    assert (wrong.status_code, "not JSON" in wrong.text, 'value="other"' in wrong.text) == (422, True, True)
    changed = {"all": [*RULE["all"], {"field": "churn_probability", "op": ">=", "value": 0.2}]}
    save_segment(client, of="top of pages", rule=json.dumps(changed), note="narrower")
    page = client.get("/segments/top of pages?with=top of pages").text
    assert "Churn probability, 90 days is at least 20%" in page
    assert "narrower" in page
    assert "In both" in page
    client.post("/segments/top of pages/restore", data={"version": "1"})
    newest, *earlier = client.get("/api/segments/top of pages").json()["versions"]
    assert (newest["rule"], len(earlier)) == (RULE, 2)
    listed = client.get("/segments?format=csv")
    assert (listed.headers["content-type"], "top of pages" in listed.text) == ("text/csv; charset=utf-8", True)


def test_customers_picked_by_hand_become_a_segment_and_a_campaign_with_their_reach_before(client, made_shop):
    ids = match_customers(made_shop, CustomerQuery()).customer_ids(7)
    before = client.get("/customers/act", params={"do": "campaign", "id": ids[:3], "back": "/watch-list"}).text
    assert re.search(r"<b>\d of 3 ", before.partition('id="reach"')[2])
    assert "Nothing is sent before the campaign is planned and approved" in before
    form = {"do": "segment", "name": " hand  picked ", "id": list(ids[:3])}
    made = client.post("/customers/act", data=form)
    assert made.headers["location"] == "/segments/hand%20picked?done=saved"
    assert "Has the tag hand picked" in client.get("/segments/hand picked").text
    added = client.post("/customers/act", data=form | {"id": list(ids[2:6])})
    assert added.status_code == 303
    assert client.get("/api/segments/hand picked").json()["totals"]["customer_count"] == 6
    assert len(client.get("/api/segments/hand picked").json()["versions"]) == 1
    how = {"message_channel": "sms", "message_topic": "offers", "do": "campaign"}
    opened = client.post("/customers/act", data=form | how | {"name": "hand picked", "id": list(ids[6:])})
    assert opened.headers["location"] == "/campaigns/new?segment=hand+picked&channel=sms&topic=offers"
    campaign = client.get(opened.headers["location"]).text
    assert '<option value="hand picked" selected>' in campaign
    assert '<option value="sms" selected>' in campaign


def test_a_segment_of_picked_customers_takes_no_others_name_and_needs_its_rights(client, made_shop):
    save_segment(client, name="taken by a rule")
    one = match_customers(made_shop, CustomerQuery()).customer_ids(1)[0]
    before = marks_of(made_shop, [one])
    for name, problem in (("taken by a rule", "with a rule of its own"), ("a/b", "no slash"), (" ", "1 to 40")):
        refused = client.post("/customers/act", data={"do": "segment", "name": name, "id": one})
        assert (refused.status_code, problem in refused.text) == (422, True), name
        assert f'value="{name}"' in refused.text
    agent = Actor("Sue", rights_of_user([Role.SERVICE_AGENT]))
    with served(made_shop, agent) as url, httpx.Client(base_url=url, timeout=60) as served_agent:
        assert "Start a campaign" not in served_agent.get("/customers").text
        for action in ("segment", "campaign"):
            assert served_agent.get(f"/customers/act?do={action}&id={one}").status_code == 403
            sent = served_agent.post("/customers/act", data={"do": action, "name": "agents", "id": one})
            assert sent.status_code == 403
    assert marks_of(made_shop, [one]) == before


def test_the_name_of_a_tag_that_others_have_makes_no_segment_unless_all_of_them_are_picked(client, made_shop):
    ids = list(match_customers(made_shop, CustomerQuery()).customer_ids(4))
    add_tag(RequestContext.from_name(made_shop, "Ada", now=datetime.now(UTC)), ids[:2], "met at the fair")
    form = {"do": "segment", "name": "met at the fair"}
    for picked in (ids[1:3], ids[2:3]):
        refused = client.post("/customers/act", data=form | {"id": picked})
        assert refused.status_code == 409
        assert "and would be in the segment too" in refused.text
    chinese = client.post("/customers/act?lang=zh_CN", data=form | {"id": ids[2:3]})
    assert "他们也会进入该分群" in chinese.text
    client.get("/customers?lang=en")
    assert "met at the fair" not in marks_of(made_shop, ids[2:3]).get(ids[2], Marks()).tags
    assert client.get("/api/segments/met at the fair").status_code == 404
    made = client.post("/customers/act", data=form | {"id": ids[:3]})
    assert made.headers["location"] == "/segments/met%20at%20the%20fair?done=saved"
    assert client.get("/api/segments/met at the fair").json()["totals"]["customer_count"] == 3


def test_a_viewer_reads_and_changes_nothing(client, viewer):
    save_segment(client)
    client.post("/campaigns", data=campaign_form(name="of a viewer"))
    pages = ("/segments", "/segments/top of pages", "/campaigns", "/campaigns/calendar", "/journeys")
    for path in (*pages, "/campaigns/of a viewer", "/campaigns/of a viewer/history"):
        answer = viewer.get(path)
        assert answer.status_code == 200
        assert 'method="post"' not in answer.text.partition("<main")[2], path
    for path in ("/segments/new", "/campaigns/new", "/journeys/new", "/segments/top of pages/members.csv"):
        assert viewer.get(path).status_code in {401, 403}
    assert viewer.get("/segments?format=csv").status_code in {401, 403}
    for path in (
        "/segments",
        "/campaigns/of a viewer/plan",
        "/campaigns/of a viewer/approve",
        "/campaigns/draft/message",
    ):
        assert viewer.post(path, data={}).status_code in {401, 403}


def test_a_segment_names_the_team_that_is_restricted_to_it_to_everybody_and_links_it_for_some(client, made_shop):
    save_segment(client, name="of a team")
    save_team(RequestContext.from_name(made_shop, "Ada", now=datetime.now(UTC)), "Team of pages", segment="of a team")
    administrator = Actor("Ada", rights_of_user([Role.ADMIN]))
    with served(made_shop, administrator) as url, httpx.Client(base_url=url, timeout=60) as admin:
        assert '<a href="/settings/teams">Team of pages</a>' in admin.get("/segments/of a team").text
    assert "<b>Team of pages</b>" in client.get("/segments/of a team").text


def test_a_campaign_keeps_what_was_written_when_it_is_refused_and_shows_its_message_in_a_sandbox(client):
    save_segment(client)
    refused = client.post("/campaigns", data=campaign_form(budget="much"))
    assert refused.status_code == 422
    assert "budget" in refused.text.partition('role="alert"')[2][:300]
    assert "Hi {{ customer.first_name }}" in refused.text
    assert client.post("/campaigns", data=campaign_form()).headers["location"] == "/campaigns/pages?done=saved"
    again = client.post("/campaigns", data=campaign_form(name="pages", of=""))
    assert "There is one with this name" in again.text
    client.post("/campaigns", data=campaign_form(of="pages", budget="80"))
    history = client.get("/campaigns/pages/history").text
    assert re.search(r"<del>\$50.00</del>.*<ins>\$80.00</ins>", history, re.DOTALL)
    approval = client.get("/campaigns/pages/approval")
    assert "frame-src 'self'" in approval.headers["content-security-policy"]
    assert "frame-src" not in client.get("/campaigns/pages").headers["content-security-policy"]
    message = client.get("/campaigns/pages/message/en")
    assert "Hi [first_name]" in message.text
    policy = message.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    draft = client.post("/campaigns/draft/message", data=campaign_form(name="", preview="en:text"))
    assert "no more" in draft.text
    broken = campaign_form(name="", preview="en:text", body_en="{{ 1 | shout }} {{ unsubscribe_url }}")
    framed = client.post("/campaigns/draft/message", params={"lang": "zh_CN"}, data=broken).text
    assert "使用了不存在的过滤器" in framed
    assert client.get("/campaigns/calendar?month=2017-09&lang=zh_CN").text.count("pages") >= 30


def test_whoever_looks_at_a_message_to_a_customer_is_in_the_audit_log(client, made_shop):
    save_segment(client)
    client.post("/campaigns", data=campaign_form(name="looked at", subject_en="Hi"))
    [customer_id] = match_customers(made_shop, CustomerQuery()).customer_ids(1)
    assert client.get(f"/campaigns/looked at/message-to/{customer_id}?as=text").status_code == 200
    [*_, looked] = [entry for entry in audit_log.entries(made_shop.store) if entry.action == "message previewed"]
    assert json.loads(looked.details) == {"by": "Cy", "campaign": "looked at", "customer_id": customer_id}


def test_the_trial_of_a_campaign_is_followed_and_shown_in_numbers(client, viewer, made_shop):
    save_segment(client)
    client.post("/campaigns", data=campaign_form(name="on trial", budget="60"))
    assert "Try it on a simulated shop" in client.get("/campaigns/on trial?lang=en").text
    assert "Try it on a simulated shop" not in viewer.get("/campaigns/on trial").text
    assert client.post("/campaigns/nobody's/try").status_code == 404
    job = new_job(TRIAL, {"campaign": "on trial", "version": 1}, by="Cy", now=datetime.now(UTC))
    with made_shop.store.begin() as connection:
        add_job(connection, job)
    busy = client.post("/campaigns/on trial/try")
    assert (busy.status_code, "a job of the kind trial is under way" in busy.text) == (409, True)
    assert f"/jobs/{job.job_id}" in busy.text

    with pytest.raises(BadCampaign, match="lasts 29,706 days, and a trial plays at most 180"):
        try_saved_campaign(made_shop, "on trial", 1, progress=lambda *_: None)

    def work(_job, _progress):
        estimate, unmet = MarginEstimate(123_400, -5_000, 250_000), TRIAL_PROFIT(amount=9.5, least=80.0)
        figures = TrialFigures(1_000, 0, 640, estimate, estimate, 950, 1.5, (str(unmet),), (unmet.plain(),))
        return msgspec.to_builtins(figures)

    assert carry_out(made_shop, job.job_id, {TRIAL: work}, clock=lambda: datetime.now(UTC))
    for page in (f"/jobs/{job.job_id}", "/campaigns/on trial"):
        text = client.get(f"{page}?lang=en").text
        assert all(one in text for one in ("640 messages in a shop of 1,000 simulated", "$1,234.00", "at least 80.00"))
        assert "增量利润为 9.50" in client.get(f"{page}?lang=zh_CN").text
    assert client.get("/campaigns/on trial?lang=en").status_code == 200
    assert client.get("/api/campaigns/on trial").json()["trial"]["result"]["forecast"]["cents"] == 123_400


def test_a_ready_made_journey_is_taken_changed_planned_and_approved(client, made_shop):
    form = {"example": "churn_alarm"}
    assert "likely to leave" in client.get("/journeys/new?example=churn_alarm").text
    client.post("/journeys/new/segment", data=form)
    fields = {"name": "pages alarm", "channel": "email", "topic": "offers", "monthly_budget": "10", "window_days": "30"}
    fields |= {"holdout": "10", "exit_on": "Order Completed\r\n", "kind": "enters", "trigger_enters": "likely to leave"}
    template = {"en": {"subject": "Still there?", "format": "text", "body": "Come back. {{ unsubscribe_url }}"}}
    steps = [{"do": "wait", "days": 2}, {"do": "send", "template": template}]
    saved = client.post("/journeys", data=fields | {"steps": json.dumps(steps)})
    assert saved.headers["location"] == "/journeys/pages%20alarm?done=saved"
    steps[0]["days"] = 5
    client.post("/journeys", data=fields | {"steps": json.dumps(steps), "of": "pages alarm"})
    assert client.post("/journeys/pages alarm/plan").status_code == 303
    page = client.get("/journeys/pages alarm?lang=en").text
    assert "Wait 5 days" in page
    assert "A changed wait does not move those who are waiting" in page
    approval = client.get("/journeys/pages alarm/approval").text
    assert "No version was approved yet" in approval
    assert "somebody else has to approve it" in approval
    assert "Come back." in client.get("/journeys/pages alarm/message/2/en?as=text").text
    back = client.post("/journeys", data=fields | {"steps": '[{"do": "wait"}]', "name": "pages wrong"})
    assert (back.status_code, "needs days, hours or minutes" in back.text) == (422, True)
    chinese = client.get("/journeys/pages alarm/history?lang=zh_CN").text
    assert re.search("<del>等待 2 天</del>.*<ins>等待 5 天</ins>", chinese, re.DOTALL)
    assert re.search('name="monthly_budget" value="10"', client.get("/journeys/pages alarm/edit").text)
    approve(RequestContext.from_name(made_shop, "Bo", now=datetime.now(UTC)), JOURNEY, "pages alarm")
    assert "Approved: it starts at once." in client.get("/journeys/pages alarm?lang=en").text


def test_the_form_of_a_campaign_says_at_once_who_may_be_written_to(client):
    save_segment(client, name="reach of pages")
    about = {"segment": "reach of pages", "channel": "email", "topic": "offers", "lang": "en"}
    reach = client.get("/api/campaigns/reach/reach of pages", params={"topic": "offers"}).json()
    assert reach["member_count"] == reach["reachable_count"] + sum(reach["obstacles"].values()) > 0
    page = client.get("/campaigns/new", params=about).text
    part = client.get("/campaigns/new", params=about, headers={"X-Part": "reach"}).text
    assert part.lstrip().startswith('<div id="reach"')
    assert f"of {reach['member_count']:,} customers may be written to today" in page
    chinese = client.get("/campaigns/new", params=about | {"lang": "zh_CN"}, headers={"X-Part": "reach"}).text
    assert "今天可以联系" in chinese
    nobody = client.get(
        "/campaigns/new", params=about | {"exclude": "reach of pages", "lang": "en"}, headers={"X-Part": "reach"}
    ).text
    assert "In a segment that the campaign excludes" in nobody
    assert "Nobody in this selection may be written to" in nobody


def test_a_message_of_unknown_outcome_is_settled_on_the_page_of_its_campaign(client, made_shop):
    save_segment(client, name="unsettled of pages")
    assert (
        client.post("/campaigns", data=campaign_form(name="unsettled", segment="unsettled of pages")).status_code == 303
    )
    row = {"message_id": "m-1@shop", "campaign": "unsettled", "customer_id": "c", "channel": "email", "topic": "offers"}
    row |= {"offer": "", "consent_basis": "consent", "attempt_count": 1, "expected_cost_cents": 0.0, "reason": ""}
    with made_shop.store.begin() as connection:
        times = {"written_at": datetime.now(UTC), "sent_at": datetime.now(UTC)}
        connection.execute(sa.insert(MESSAGES).values(row | times | {"state": "unknown"}))
    assert "m-1@shop" in client.get("/campaigns/unsettled/messages").text
    unclear = client.post("/campaigns/unsettled/settle", data={"message": "m-1@shop", "outcome": "perhaps"})
    assert unclear.status_code == 422
    settled = client.post("/campaigns/unsettled/settle", data={"message": "m-1@shop", "outcome": "sent"})
    assert settled.headers["location"] == "/campaigns/unsettled/messages?done=settled#unknown"
    assert "m-1@shop" not in client.get("/campaigns/unsettled/messages").text
    for is_sent, status in ((True, 200), (False, 422)):
        said = {"message_id": "m-1@shop", "is_sent": is_sent}
        again = client.post("/api/campaigns/unsettled/settle", json=said)
        assert again.status_code == status, "who says the same changes nothing, and the opposite is refused"
    with made_shop.store.begin() as connection:
        connection.execute(sa.delete(MESSAGES).where(MESSAGES.c.campaign == "unsettled"))


def test_who_approves_releases_sending_that_a_restore_held_and_every_page_says_that_it_is_held(
    client, viewer, made_shop
):
    save_segment(client, name="held of pages")
    client.post("/campaigns", data=campaign_form(name="held", segment="held of pages"))
    assert client.get("/api/sending").json()["is_held"] is False
    with made_shop.store.begin() as connection:
        since, held_at = datetime(2001, 3, 1, 4, tzinfo=UTC), datetime(2001, 3, 2, tzinfo=UTC)  # before any run
        write_hold(connection, SendingHold(since, held_at, is_restored=True))
    try:
        assert "nobody said yet what was sent since the backup" in client.get("/").text
        assert 'href="/sending"' in client.get("/campaigns/held").text
        assert "/sending/release" not in viewer.get("/sending").text
        assert viewer.post("/sending/release", data={"outcome": "nothing"}).status_code in {401, 403}
        page, chinese = client.get("/sending").text, client.get("/sending?lang=zh_CN").text
        assert "from a backup of" in page
        assert "Leave it held" in page
        assert "备份之后已发送的消息" in chinese
        for form in ({}, {"sent": ""}, {"sent": "nobody"}, {"sent": "a" * 32, "outcome": "nothing"}):
            refused = client.post("/sending/release", data=form | {"lang": "en"})
            assert (refused.status_code, "callout danger" in refused.text) == (422, True)
        assert client.get("/api/sending").json()["since"] == "2001-03-01T04:00:00Z"
        assert client.post("/sending/release", data={"sent": f"<{'a' * 32}@shop>"}).headers["location"] == "/sending"
        assert client.get("/api/sending").json()["is_held"] is False
        with made_shop.store.begin() as connection:
            write_hold(connection, SendingHold(since, held_at, is_restored=False))
        page, long = client.get("/sending?lang=en").text, f"<{'b' * 32}@shop>\n" * 110_000
        assert "held by hand" in page
        assert "from a backup of" not in page
        assert 4_000_000 < len(long) < MAX_TEXT_LENGTH
        assert client.post("/api/sending/release", json={"sent": "界" * MAX_TEXT_LENGTH}).status_code != 413
        done = client.post("/sending/release", data={"sent": long, "lang": "en"})
        assert done.headers.get("location") == "/sending", (done.status_code, done.text[-3000:])
        assert "sending released" in {one.action for one in audit_log.entries(made_shop.store)[-1:]}
    finally:
        with made_shop.store.begin() as connection:
            delete_hold(connection)


def test_pages_say_what_changed_since_an_approval_and_another_person_approves_it(client, made_shop):
    save_segment(client, name="pinned")
    name, now = "pinned cart", datetime.now(UTC)
    steps = [{"do": "send", "template": {"en": {"subject": "Hi", "body": BODY, "format": "html"}}}]
    content = {"name": name, "trigger": {"event": "Product Added", "segment": "pinned"}, "steps": steps}
    content |= {"topic": "offers", "monthly_budget": 50.0, "channel": "file"}
    save_journey(RequestContext.from_name(made_shop, "Ann", now=now), Journey.of(content, where="test"))
    plan_journey(RequestContext.from_name(made_shop, "Ann", now=now), name)
    path = f"/journeys/{name}"
    looked_at = client.get(f"/api{path}").json()["plan"]["planned_at"]
    plan_journey(RequestContext.from_name(made_shop, "Ann", now=now + timedelta(seconds=1)), name)
    assert 'name="planned_at" value="' + looked_at not in client.get(f"{path}/approval").text
    stale = client.post(f"{path}/approve?lang=en", data={"version": "1", "planned_at": looked_at})
    assert (stale.status_code, "was planned again since you looked at it" in stale.text) == (422, True)
    approve(RequestContext.from_name(made_shop, "Bo", now=now), JOURNEY, name)
    assert "Changed since the approval" not in client.get(f"{path}?lang=en").text
    save_segment(client, of="pinned", name="pinned", rule=json.dumps({"all": []}))
    segment = client.get("/segments/pinned").text
    assert ('href="/journeys/pinned%20cart/approval"' in segment, "earlier rule" in segment) == (True, True)
    page = client.get(path).text
    assert ("Changed since the approval" in page, "Rule of the segment “pinned”" in page) == (True, True)
    assert "You changed a segment" in client.get(f"{path}/approval").text
    chinese = client.get(f"{path}/approval?lang=zh_CN").text
    assert ("批准之后的变更" in chinese, "分群“pinned”的规则" in chinese) == (True, True)
    refused = client.post(f"{path}/approve", data={"version": "1"})
    assert (refused.status_code, "不能自行批准" in refused.text) == (422, True)
    pending = client.get(f"/api{path}").json()["pending"]
    assert [(one["section"], one["name"]) for one in pending["changes"]] == [("segments", "pinned")]
    approve(RequestContext.from_name(made_shop, "Bo", now=datetime.now(UTC)), JOURNEY, name, terms=pending["digest"])
    assert "Changed since the approval" not in client.get(f"{path}?lang=en").text
    assert "Changes approved" in client.get(f"{path}/history?lang=en").text
