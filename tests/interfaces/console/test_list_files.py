"""Every list of the console as a file: by the right to export, audited, and with nothing that a spreadsheet runs."""

import csv
import io
from datetime import UTC, datetime
from itertools import product

import pytest
from workspace_copies import copy_workspace

from direct_client import DirectClient
from patron.commands.access.manage_users import Access, invite
from patron.commands.insight.saved_questions import QuestionDraft, save_question
from patron.govern.access import audit_log
from patron.govern.access.audit_entries import AuditQuery, find_entries
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import Consent, write_consents
from patron.govern.vault import Vault
from patron.interfaces.i18n.user_mail_texts import invitation_mail
from patron.schema.access.access_rights import Action, Actor, Area, Right, Role
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

NOW = datetime(2017, 9, 1, tzinfo=UTC)
FORMULA = "=HYPERLINK(1)"
EVERYTHING = frozenset(Right(action, area) for action, area in product(Action, Area))
LISTS = {
    "/decisions": ("decisions", "decision_id"),
    "/tasks?view=open": ("tasks", "task_id"),
    "/runs": ("runs", "run_id"),
    "/campaigns": ("campaigns", "name"),
    "/journeys": ("journeys", "name"),
    "/settings/users": ("users", "user_id"),
    "/privacy/consents": ("consents", "entry"),
    "/models/ledger": ("forecasts", "question"),
}


@pytest.fixture(scope="module")
def shop(made_shop, tmp_path_factory):
    shop = Shop.open(copy_workspace(made_shop.folder, tmp_path_factory.mktemp("lists") / "w"))
    yield shop
    shop.close()


def rows_of(answer):
    return list(csv.DictReader(io.StringIO(answer.text)))


def file_of(client, path):
    return client.get(f"{path}{'&' if '?' in path else '?'}format=csv")


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_a_file_which_the_log_records(shop, path):
    name, first = LISTS[path]
    answer = file_of(DirectClient(shop, Actor("Ada", EVERYTHING, user_id="0a")), path)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.text.split(",", 1)[0].strip('"') == first
    [entry] = find_entries(shop, AuditQuery(action="list exported"), 1)
    assert (entry.details["list"], entry.details["row_count"]) == (name, len(rows_of(answer)))


@pytest.mark.parametrize("path", [*LISTS, "/segments", "/customers", "/watch-list", "/retention", "/experiments"])
def test_no_word_of_an_address_comes_into_the_log_as_the_name_of_a_filter(shop, path):
    client = DirectClient(shop, Actor("Ada", EVERYTHING, user_id="0a"))
    before = len(audit_log.entries(shop.store))
    address = f"{path}{'&' if '?' in path else '?'}format=csv&Anna+Smith=1"
    assert client.get(address).status_code == 422
    assert not [one for one in audit_log.entries(shop.store)[before:] if "Smith" in one.details]


@pytest.mark.parametrize("path", LISTS)
def test_who_may_read_a_list_and_not_export_it_gets_no_file(shop, path):
    reader = Actor("Max", frozenset(one for one in EVERYTHING if one.action != Action.EXPORT), user_id="0b")
    client = DirectClient(shop, reader)
    assert (client.get(path).status_code, file_of(client, path).status_code) == (200, 403)
    assert "format=csv" not in client.get(path).text


def test_what_people_wrote_is_no_formula_in_a_file(shop):
    letter = invitation_mail(shop, lambda path: path)
    invite(
        RequestContext.from_name(shop, FORMULA, now=NOW),
        "eve@example.com",
        Access((Role.VIEWER,)),
        name=FORMULA,
        compose=letter,
    )
    client = DirectClient(shop, Actor("Ada", EVERYTHING, user_id="0a"))
    [row] = [one for one in rows_of(file_of(client, "/settings/users")) if one["email"] == "eve@example.com"]
    assert (row["name"], row["created_by"], row["roles"]) == (f"'{FORMULA}", f"'{FORMULA}", "viewer")
    token = Vault.open(shop).token("user_id", "u-of-consents")
    stated = NOW.isoformat()
    write_consents(shop.store, [Consent("f1", token, FORMULA, True, "consent", *[None] * 5, stated, stated)])
    assert rows_of(file_of(client, "/privacy/consents"))[0]["purpose"] == f"'{FORMULA}"


def test_the_file_of_a_question_has_its_columns_whatever_they_are_called(shop):
    texts = f"""'{FORMULA}' as "{FORMULA}", ['{FORMULA}'] as list, 'a;{FORMULA}' as part"""
    sql = f"""select {texts}, -1 as "{FORMULA}", 'inf'::double as x, 2::hugeint ** 65 as y"""
    question = save_question(RequestContext.from_name(shop, "Ada", now=NOW), QuestionDraft("formulas", {"sql": sql}))
    client = DirectClient(shop, Actor("Ada", EVERYTHING, user_id="0a"))
    [header, row] = csv.reader(io.StringIO(client.get(f"/explore/questions/{question}/csv").text))
    assert header == [f"'{FORMULA}", "list", "part", f"'{FORMULA}", "x", "y"]
    assert row == [f"'{FORMULA}", f"['{FORMULA}']", f"a;'{FORMULA}", "-1", "", "3.6893488147419103e+19"]
    several = "select date '2020-01-01' + i::int as day, case when i = 1 then 'inf'::double else 1e300 end as x"
    save_question(
        RequestContext.from_name(shop, "Ada", now=NOW),
        QuestionDraft("formulas", {"sql": f"{several} from range(5) t(i)"}),
        question_id=question,
    )
    for path in (f"/explore/questions/{question}", f"/api/questions/{question}"):
        assert client.get(path).status_code == 200


def test_a_file_of_decisions_has_all_of_the_run_in_money_of_the_shop(shop):
    view = last_run(shop)
    rows = view.query("select decision_id, cost_cents from decisions where run_id = $run", {"run": view.run.run_id})
    costs = dict(zip(rows["decision_id"].to_pylist(), rows["cost_cents"].to_pylist(), strict=True))
    listed = rows_of(file_of(DirectClient(shop, Actor("Ada", EVERYTHING)), "/decisions"))
    assert {row["decision_id"]: float(row["cost"]) for row in listed} == {
        name: round(cents) / 100 for name, cents in costs.items()
    }
