"""Personal data stays where it may be read: no role reads what it may not reveal, and no team what is not its own."""

import re
from itertools import product

import pytest
import sqlalchemy as sa

from direct_client import DirectClient
from known_people import OPAQUE_ID, TEAM, add_known_people
from patron.answers.decision_ledger import decision_of
from patron.govern import audit_log
from patron.interfaces.report import write_report
from patron.schema.access_rights import VISITOR, Action, Actor, Area, Grant, Right, Role, rights_of_user
from patron.storage.job_tables import SETUP_STEPS

NOBODY = "e" * 32
EVERYTHING = frozenset(Right(action, area) for action, area in product(Action, Area))
MASKED = Actor("Max", frozenset(one for one in EVERYTHING if one.action not in {Action.REVEAL, Action.EXPORT}))
ADMIN = Actor("Ada", EVERYTHING)
TEAM_MEMBER = Actor("Tim", EVERYTHING, segment=TEAM)
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


def addresses(client, people, person):
    """Every address that GET answers, about this person where it is about one; and some states of lists."""
    decision = decision_of(people.shop, [person.customer_id])
    values = {"customer_id": person.customer_id, "decision_id": decision.decision_id, "name": TEAM, "other": TEAM}
    paths = {route.path for route in client.routes if "GET" in route.methods}
    listed = sorted(re.sub(r"\{(\w+)(:\w+)?\}", lambda m: values.get(m[1], "none"), path) for path in paths)
    listed += [f"/customers?search={person.customer_id}", f"/api/customers?search={person.customer_id}"]
    listed += ["/customers?sort=last_order&page=2", "/api/decisions?page=2", "/decisions?page=2"]
    listed += [f"{path}?customer={person.customer_id}" for path in ("/recommendations", "/api/recommendations/preview")]
    return [*listed, f"/api/recommendations?customer_id={person.customer_id}", f"/decisions/{person.customer_id}"]


def lookups(client, text):
    """Answers to a text that names somebody."""
    return [
        client.post("/api/customers/lookup", json={"shop_id": text}),
        client.post("/api/decisions/lookup", json={"shop_id": text}),
        client.post("/customers/lookup", data={"who": text}),
        client.post("/api/customers/search", json={"text": text}),
    ]


def test_what_is_hidden_is_in_no_answer_page_report_or_log_for_who_may_not_reveal_it(masked, people, tmp_path, caplog):
    person = people.visible
    answers = {path: masked.get(path) for path in addresses(masked, people, person)}
    assert sum(answer.status_code == 200 for answer in answers.values()) > len(answers) / 2
    answers |= {f"look up {n} {text}": one for text in (person.user_id, person.email, person.phone, person.name)
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
    assert answers[f"/api/customers/{person.customer_id}/contacts"].json()["name"] == "X•••• Q••••"


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


def test_a_team_learns_nothing_of_other_customers(team, admin, people):
    """Neither that they exist, nor from an answer that somebody else was given before."""
    paths = addresses(team, people, people.hidden)
    in_sight = [admin.get(path) for path in paths]
    assert any(people.hidden.customer_id in answer.text for answer in in_sight)
    answers = {path: team.get(path) for path in [*paths, *addresses(team, people, people.visible)]}
    ids = {path: set(OPAQUE_ID.findall(answer.text)) & people.hidden_ids for path, answer in answers.items()}
    unasked = {path: some - {people.hidden.customer_id} for path, some in ids.items()}
    assert {path for path, some in unasked.items() if some} == set()
    echoed = {path for path, some in ids.items() if some and answers[path].status_code == 200}
    assert {path for path in echoed if people.hidden.customer_id not in path} == set()
    assert answers[f"/customers/{people.visible.customer_id}"].status_code == 200
    unknown = [(one.status_code, one.text) for one in lookups(team, "nobody has this")]
    assert [status for status, _ in unknown] == [404, 404, 404, 200]
    for text in (people.hidden.user_id, people.hidden.email, people.hidden.phone, people.hidden.name):
        assert [(one.status_code, one.text) for one in lookups(team, text)] == unknown
    assert people.visible.customer_id in lookups(team, people.visible.name.upper())[-1].text


def test_who_sees_nobody_reads_of_nobody(people):
    client = DirectClient(people.shop, Actor("Tim", EVERYTHING, segment="a deleted one"))
    for path in ("/", "/overview", "/brief", "/watch-list", "/tasks", "/api/overview", "/api/overview/period"):
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
        assert hidden.status_code == unknown.status_code == 404
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
