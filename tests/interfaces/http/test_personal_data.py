"""Personal data stays where it may be read: no role reads what it may not reveal, and no team what is not its own."""

import csv
import io
import re
from itertools import product
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from known_people import AT, OPAQUE_ID, TEAM, add_known_people

from direct_client import DirectClient
from patron.commands.customers.customer_work import TaskDraft, add_tag, create_tasks, remove_tag
from patron.commands.segments.save_segment import save_segment
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.interfaces.report.html_report import write_report
from patron.schema.access.access_rights import (
    VISITOR,
    WHOLE_SHOP,
    Action,
    Actor,
    Area,
    Grant,
    Right,
    Role,
    rights_of_user,
)
from patron.storage.access.access_tables import TEAMS
from patron.storage.runs.job_tables import SETUP_STEPS
from patron.storage.runs.last_run import last_run

NOBODY = "e" * 32
EVERYTHING = frozenset(Right(action, area) for action, area in product(Action, Area))
MASKED = Actor("Max", frozenset(one for one in EVERYTHING if one.action not in {Action.REVEAL, Action.EXPORT}))
ADMIN = Actor("Ada", EVERYTHING)
TEAM_MEMBER = Actor("Tim", EVERYTHING, user_id="0b", segment=TEAM)
REASON = {"reason": "complaint", "note": "ticket 4"}


@pytest.fixture(scope="module")
def people(made_shop, tmp_path_factory):
    known = add_known_people(made_shop, tmp_path_factory.mktemp("people") / "w")
    yield known
    known.shop.close()


@pytest.fixture(scope="module")
def masked(people):
    return DirectClient(people.shop, MASKED)


@pytest.fixture(scope="module")
def admin(people):
    return DirectClient(people.shop, ADMIN)


@pytest.fixture(scope="module")
def team(people):
    return DirectClient(people.shop, TEAM_MEMBER)


def lookups(client, text):
    """Answers to a text that names somebody."""
    return [
        client.post("/api/customers/lookup", json={"shop_id": text}),
        client.post("/api/decisions/lookup", json={"shop_id": text}),
        client.post("/customers/lookup", data={"who": text}),
        client.post("/api/customers/search", json={"text": text}),
    ]


def test_what_is_hidden_is_in_no_answer_to_a_search_report_or_log_for_who_may_not_reveal_it(
    masked, people, tmp_path, caplog
):
    """Addresses that are read are those of `test_field_access`."""
    person = people.visible
    answers = {f"look up {n} {text}": one for text in (person.user_id, person.email, person.phone, person.name)
               for n, one in enumerate(lookups(masked, text))}  # fmt: skip
    answers |= {
        f"{path} {body}": masked.post(path, json=body)
        for path in (f"/api/customers/{person.customer_id}/reveal", "/api/people/export", "/api/people/explanation")
        for body in (REASON, {"user_id": person.user_id})
    }
    report = write_report(people.shop, tmp_path / "report.html", "en").path.read_text("utf-8")
    texts = {path: f"{answer.headers}{answer.text}" for path, answer in answers.items()} | {"report": report}
    texts["log"] = caplog.text
    found = {(path, secret) for path, text in texts.items() for secret in person.secrets if secret in text}
    assert found == set()
    contacts = masked.get(f"/api/customers/{person.customer_id}/contacts").json()
    assert contacts["name"] == "X•••• Q••••"


@pytest.mark.parametrize("role", Role)
def test_who_a_customer_is_is_revealed_to_roles_with_the_right_only(people, role):
    actor = Actor(role, rights_of_user([role]), user_id="0a")
    may_reveal = role in {Role.SERVICE_AGENT, Role.PRIVACY_OFFICER}
    entries = audit_log.size(people.shop.store)
    with_grant = Actor(role, rights_of_user([role], [Grant.REVEAL]), user_id="0a")
    for one, is_right in ((actor, may_reveal), (with_grant, actor.may(Action.READ, Area.CUSTOMERS))):
        client = DirectClient(people.shop, one)
        answer = client.post(f"/api/customers/{people.visible.customer_id}/reveal", json=REASON)
        assert (answer.status_code == 200) == is_right
        assert (people.visible.email in answer.text) == is_right
        page = client.get(f"/customers/{people.visible.customer_id}/contacts").text
        assert (f'action="/customers/{people.visible.customer_id}/reveal"' in page) == is_right
        entries += is_right
    assert audit_log.size(people.shop.store) == entries


def test_a_page_shows_who_a_customer_is_once_and_is_not_stored(admin, people):
    path = f"/customers/{people.visible.customer_id}"
    assert admin.post(f"{path}/reveal", data={"note": "no reason"}).status_code == 422
    page = admin.post(f"{path}/reveal", data=REASON)
    assert page.headers["cache-control"] == "no-store"
    assert all(one in page.text for one in (people.visible.name, people.visible.email, people.visible.user_id))
    part = admin.post(f"{path}/reveal", data=REASON, headers={"x-part": "contacts"}).text
    assert people.visible.phone in part
    assert "<html" not in part
    assert people.visible.email not in admin.get(path).text + admin.get(f"{path}/contacts").text


def test_a_team_finds_no_other_customer(team, people):
    assert team.get(f"/customers/{people.visible.customer_id}").status_code == 200
    unknown = [(lookup.status_code, lookup.text) for lookup in lookups(team, "nobody has this")]
    assert [status for status, _ in unknown] == [404, 404, 404, 200]
    for text in (people.hidden.user_id, people.hidden.email, people.hidden.phone, people.hidden.name):
        assert [(lookup.status_code, lookup.text) for lookup in lookups(team, text)] == unknown
    assert people.visible.customer_id in lookups(team, people.visible.name.upper())[-1].text


def test_a_rule_about_others_counts_nobody_wherever_a_team_asks_it(team, admin, people):
    """A narrow rule would otherwise say something about one hidden person, such as that they are at risk."""
    of_others, everybody = "whom the team does not see", "every one of them"
    for name, rule in ((of_others, {"not": {"segment": TEAM}}), (everybody, {"all": []})):
        save_segment(RequestContext.from_name(people.shop, "Ada", now=AT), {"name": name, "rule": rule})
    path = f"/api/segments/{quote(of_others)}"
    whole, own = ({line["name"]: line for line in client.get("/api/segments").json()} for client in (admin, team))
    members = own[TEAM]["customer_count"]
    assert whole[of_others]["customer_count"] == len(people.hidden_ids)
    assert (own[of_others]["customer_count"], own[everybody]["customer_count"]) == (0, members)
    shown, of_all = team.get(path).json(), team.get(f"/api/segments/{quote(everybody)}").json()
    assert (shown["totals"]["customer_count"], shown["totals"]["expected_cents"], shown["overlaps"]) == (0, None, [])
    assert (of_all["share"], of_all["totals"]["customer_count"]) == (1.0, members)
    assert all(overlap["customer_count"] <= members for overlap in of_all["overlaps"])
    compared = team.get(f"{path}/comparison/{quote(everybody)}").json()["totals"]
    assert {group: one["customer_count"] for group, one in compared.items()} == {
        "first": 0, "second": members, "both": 0, "only_first": 0, "only_second": members
    }  # fmt: skip
    counted = team.post("/api/segments/count", json={"rule": {"not": {"segment": TEAM}}, "with_overlaps": True}).json()
    assert [counted[name] for name in ("count", "share", "expected_cents", "overlaps")] == [0, 0.0, None, []]
    pages = [f"/segments/{quote(of_others)}", f"/segments/{quote(everybody)}?with={quote(of_others)}", "/segments"]
    number = f"{len(people.hidden_ids):,}"
    assert all(number in admin.get(page).text for page in pages)
    assert [number in team.get(page).text for page in pages] == [False] * 3
    rows = csv.DictReader(io.StringIO(team.get("/segments?format=csv").text))
    assert number not in {row["customer_count"] for row in rows}, "times of the other columns may hold these digits"
    assert team.get(f"{pages[0]}/members.csv").text.count("\n") == 1


def test_a_team_learns_no_tag_of_others_and_sees_whoever_gets_the_tag_of_its_segment(people):
    hidden, visible = people.hidden.customer_id, people.visible.customer_id
    by = {"by": "Ada", "now": AT}
    add_tag(RequestContext.from_name(people.shop, **by), [hidden], "tag of others")
    add_tag(RequestContext.from_name(people.shop, **by), [hidden, visible], "tag of both")
    save_segment(
        RequestContext.from_name(people.shop, "Ada", now=AT), {"name": "by tag", "rule": {"tag": "of a tagged team"}}
    )
    add_tag(RequestContext.from_name(people.shop, **by), [visible], "of a tagged team")
    member = Actor("Tom", TEAM_MEMBER.rights, user_id="0e", segment="by tag")
    team = DirectClient(people.shop, member)
    pages = ("/customers", "/segments/new", "/api/segment-fields", f"/customers/act?do=tag&id={visible}")
    texts = [team.get(page).text for page in pages]
    assert all("tag of both" in text and "tag of others" not in text for text in texts)
    assert "tag of both (1)" in texts[0]
    assert team.get("/api/customers").json()["total_count"] == 1
    assert team.post("/api/segments/count", json={"rule": {"tag": "tag of others"}}).json()["count"] == 0
    for form in ({"do": "untag", "tag": "of a tagged team "}, {"do": "segment", "name": "of a tagged team"}):
        assert team.post("/customers/act", data=form | {"id": visible}).status_code == 403, (
            "nobody changes whom they see"
        )
        assert team.post(f"/customers/{visible}/act", data=form).status_code in {403, 422}
    add_tag(RequestContext.from_name(people.shop, **by), [hidden], "of a tagged team")
    assert team.get("/api/customers").json()["total_count"] == 2
    remove_tag(RequestContext.from_name(people.shop, **by), [visible], "of a tagged team")
    assert [row["customer_id"] for row in team.get("/api/customers").json()["rows"]] == [hidden]


def test_a_team_changes_neither_its_own_segment_nor_that_of_another_team(people):
    shop, ada = people.shop, RequestContext.from_name(people.shop, "Ada", now=AT)
    for name in ("west", "east"):
        save_segment(ada, {"name": name, "rule": {"tag": f"of {name}"}})
    save_segment(ada, {"name": "of nobody", "rule": {"tag": "free"}})
    with shop.store.begin() as connection:
        connection.execute(
            sa.insert(TEAMS),
            [{"team": name, "segment": name, "created_at": AT, "created_by": "Ada"} for name in ("west", "east")],
        )
    west = DirectClient(shop, Actor("Wes", TEAM_MEMBER.rights, user_id="0f", segment="west"))
    try:
        answers = {
            name: west.request("PUT", f"/api/segments/{quote(name)}", json={"rule": {"all": []}}).status_code
            for name in ("west", "east", "of nobody")
        }
    finally:
        with shop.store.begin() as connection:
            connection.execute(sa.delete(TEAMS).where(TEAMS.c.team.in_(["west", "east"])))
    assert answers == {"west": 403, "east": 403, "of nobody": 200}


def test_who_saves_a_segment_in_the_form_of_a_campaign_learns_whom_it_reaches_only_with_the_right_to_campaigns(
    team, admin, people
):
    form = {"name": "reach", "channel": "email", "rule": '{"not": {"segment": "' + TEAM + '"}}'}
    answers = [one.post("/campaigns/draft/segment", data={**form, "segment_name": one_name})
               for one, one_name in ((admin, "reach of an admin"), (team, "reach of a team"))]  # fmt: skip
    assert [answer.status_code for answer in answers] == [200, 403]
    analyst = DirectClient(people.shop, Actor("An", rights_of_user([Role.ANALYST]), user_id="0d"))
    refused = analyst.post("/campaigns/draft/segment", data={**form, "segment_name": "reach of an analyst"})
    assert refused.status_code == 403
    assert "reach of a team" not in admin.get("/api/segments").text


def test_entries_and_exits_are_those_of_customers_whom_a_team_sees(team, admin, people):
    view = last_run(people.shop)
    rows = view.query("select segment, customer_id, entered_at, left_at from segment_members").to_pylist()
    lines = {line["name"]: line for line in team.get("/api/segments").json()}
    for name, line in lines.items():
        own = [row for row in rows if row["segment"] == name and row["customer_id"] not in people.hidden_ids]
        assert line["entered_count"] == sum(row["entered_at"] == view.run.as_of for row in own)
        since = "2000-01-01T00:00:00Z"
        shown, every = (one.get(f"/api/segments/{quote(name)}?since={since}").json() for one in (team, admin))
        assert shown["entered_count"] == len(own) <= every["entered_count"]


@pytest.mark.parametrize("right", sorted(WHOLE_SHOP, key=str), ids=str)
def test_rights_that_are_about_all_customers_open_nothing_to_a_team(team, right):
    routes = [route for route in team.routes if getattr(route, "right", None) == right]
    for method, path in [(method, route.path) for route in routes for method in route.methods]:
        answer = team.request(method, re.sub(r"\{[^}]*\}", "1", path.replace("{customer_id}", NOBODY)))
        assert answer.status_code == 403, (method, path)
        assert not path.startswith("/api") or "your team sees only some of them" in answer.text, (method, path)


def test_what_counts_everybody_and_their_money_is_no_line_or_page_of_a_team(team, admin):
    for path in ("/brief", "/api/brief"):
        assert admin.get(path).status_code == 200
        answer = team.get(path)
        assert answer.status_code == 403
    assert "your team sees only some of them" in answer.text
    assert 'href="/brief"' in admin.get("/").text
    assert all('href="/brief"' not in team.get(path).text for path in ("/", "/overview"))
    of_all = {"watch_list", "risk_rose", "offers"}
    kinds = [{item["kind"] for item in client.get("/api/today").json()["items"]} for client in (admin, team)]
    assert kinds[0] & of_all
    assert kinds[1] & of_all == set()
    assert ['id="history"' in client.get("/watch-list").text for client in (admin, team)] == [True, False]


def test_the_watch_list_counts_tasks_of_customers_whom_its_reader_sees(team, admin, people):
    ids = [people.hidden.customer_id, people.hidden.customer_id, people.visible.customer_id]
    for identifier in ids:
        create_tasks(RequestContext.from_name(people.shop, "Ada", now=AT), [identifier], TaskDraft("call"))
    counted = [client.get("/api/watch-list").json()["outcomes"] for client in (admin, team)]
    assert counted == [{"": 3}, {"": 1}]


def test_who_sees_nobody_reads_of_nobody(people):
    client = DirectClient(people.shop, Actor("Tim", EVERYTHING, segment="a deleted one"))
    for path in ("/", "/overview", "/watch-list", "/tasks", "/api/overview", "/api/overview/period"):
        answer = client.get(path)
        assert (answer.status_code, OPAQUE_ID.findall(answer.text)) == (200, []), path


def test_who_cannot_set_the_shop_up_takes_no_step_off_the_list(people):
    viewer = Actor("Vic", rights_of_user([Role.VIEWER]), user_id="0c")
    for actor, step in ((VISITOR, "run"), (VISITOR, "policy"), (viewer, "run"), (viewer, "team")):
        assert DirectClient(people.shop, actor).post("/today/setup", data={"step": step}).status_code == 303
    with people.shop.store.begin() as connection:
        assert connection.execute(sa.select(SETUP_STEPS)).all() == []


def test_the_privacy_desk_is_of_all_customers_and_thus_not_of_a_team(team, admin):
    for path in ("/privacy", "/privacy/consents", "/api/privacy/requests", "/api/privacy/consents"):
        assert (team.get(path).status_code, admin.get(path).status_code) == (403, 200)
    assert team.post("/privacy/new", data={"kind": "access", "identifier": "x"}).status_code == 403


def test_a_customer_outside_of_a_team_is_answered_as_one_who_does_not_exist(team, people):
    routes = [one for one in team.routes if "{customer_id}" in one.path]
    assert routes
    for route in routes:
        for method in sorted(route.methods):
            hidden, unknown = (
                team.request(method, re.sub(r"\{customer_id\}", one, route.path))
                for one in (people.hidden.customer_id, NOBODY)
            )
            assert hidden.status_code == unknown.status_code == 404, (method, route.path)
            assert hidden.text.replace(people.hidden.customer_id, NOBODY) == unknown.text, (method, route.path)
    for path in ("/api/people/export", "/api/people/forget", "/api/people/explanation"):
        hidden, unknown = (
            team.post(path, json={"email": one}) for one in (people.hidden.email, "nobody@nowhere.example")
        )
        assert hidden.status_code == unknown.status_code == 403
        assert hidden.text.replace(people.hidden.email, "nobody@nowhere.example") == unknown.text


def test_exports_have_the_rows_of_their_reader(team, admin, people):
    for path in ("/api/scores", "/api/segments/at_risk_of_churn/members", f"/api/segments/{TEAM}/members"):
        every, some = (client.get(path).json() for client in (admin, team))
        if "rows" not in every:
            continue
        listed = {row["customer_id"] for row in some["rows"]}
        assert listed & people.hidden_ids == set()
        assert listed == {row["customer_id"] for row in every["rows"]} - people.hidden_ids
    assert people.visible.customer_id in listed
