"""Explore: who may read, ask and export."""

import csv
import io
import json
from contextlib import closing
from datetime import UTC, datetime

import httpx
import pytest
import sqlalchemy as sa
from starlette.requests import Request
from workspace_copies import copy_workspace

from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.interfaces.http.application import create_app
from patron.interfaces.http.insight.question_routes import kept_for_run
from patron.schema.access.access_rights import Actor, Grant, Role, rights_of_user
from patron.schema.access.audit_actions import AuditAction
from patron.storage.shop import Shop
from patron.storage.store.store import ERASURES

VIEWER = Actor("Vi", rights_of_user([Role.VIEWER]))
ANALYST = Actor("Ann", rights_of_user([Role.ANALYST], [Grant.EXPORT]))
FORMULA = "select '=1+1' as name, -5 as paid_cents from customers limit 1"


def client(address):
    return httpx.Client(base_url=address, timeout=30)


def test_a_reader_opens_questions_and_can_neither_ask_nor_save_nor_export(made_shop):
    with served(made_shop, VIEWER) as address, client(address) as one:
        assert one.get("/explore/questions").status_code == 200
        assert one.get("/api/questions/ready-customers_by_stage").json()["columns"][0] == "lifecycle_stage"
        for path in ("/explore/ask?table=orders", "/api/questions/ask?table=orders"):
            assert one.get(path).status_code in {401, 403}
        for path in ("/explore/save", "/explore/questions/ready-orders_by_hour/pin", "/explore/questions/x/delete"):
            assert one.post(path, data={"name": "x", "table": "orders"}).status_code in {401, 403}
        assert one.get("/explore/questions/ready-orders_by_hour/csv").status_code in {401, 403}


def test_a_team_that_sees_one_segment_is_refused_everywhere(made_shop):
    team = Actor("Sam", ANALYST.rights, user_id="0d", segment="vip")
    with served(made_shop, team) as address, client(address) as one:
        paths = ("/explore", "/explore/questions", "/explore/ask", "/explore/questions/ready-orders_by_hour")
        twins = ("/api/questions", "/api/questions/ask?table=orders", "/api/questions/ready-orders_by_hour")
        for path in (*paths, *twins, "/explore/questions/ready-orders_by_hour/csv"):
            assert one.get(path).status_code == 403, path
        assert "your team sees only some of them" in one.get("/api/questions").text


def test_a_result_is_kept_until_somebody_is_forgotten_and_none_is_while_that_goes_on(made_shop, tmp_path):
    with closing(Shop.open(copy_workspace(made_shop.folder, tmp_path / "shop"))) as shop:
        request = Request({"type": "http", "app": create_app(shop)})
        made = iter(range(10))

        def result():
            return kept_for_run(request, "select 1", lambda: next(made))

        assert [result(), result()] == [0, 0]
        with shop.store.begin() as connection:
            row = {"certificate_id": "c", "tokens": [], "counts": {}, "started_at": datetime.now(UTC)}
            connection.execute(sa.insert(ERASURES).values(row))
        assert [result(), result()] == [1, 2]
        with shop.store.begin() as connection:
            context = RequestContext.from_name(shop, "Ada", now=datetime.now(UTC))
            context.record(connection, AuditAction.FORGOTTEN, {})
            connection.execute(sa.delete(ERASURES))
        assert [result(), result()] == [3, 3]


@pytest.fixture(scope="module")
def analyst(made_shop):
    with served(made_shop, ANALYST) as address:
        yield address


def test_a_question_is_saved_in_versions_exported_safely_and_deleted(made_shop, analyst):
    with client(analyst) as one:
        saved = one.post("/explore/save", data={"name": "Formulas", "sql": FORMULA})
        question_id = saved.headers["location"].rpartition("/")[2]
        again = {"name": "Formulas 2", "sql": FORMULA, "question": question_id}
        assert one.post("/explore/save", data=again).headers["location"].endswith(question_id)
        twin = one.get(f"/api/questions/{question_id}").json()
        assert [row["name"] for row in twin["question"]["versions"]] == ["Formulas 2", "Formulas"]
        assert one.get(f"/api/questions/{question_id}?version=1").json()["question"]["question"]["name"] == "Formulas"
        rows = list(csv.reader(io.StringIO(one.get(f"/explore/questions/{question_id}/csv").text)))
        assert rows == [["name", "paid_cents"], ["'=1+1", "-5"]]
        entry = audit_log.entries(made_shop.store)[-1]
        details = json.loads(entry.details)
        assert (entry.action, details["query"], details["row_count"]) == ("list exported", question_id, 1)
        assert details["by"].startswith("Ann")
        assert one.post(f"/explore/questions/{question_id}/delete").status_code == 303
        assert one.get(f"/explore/questions/{question_id}").status_code == 404


def test_a_refused_question_says_why_and_keeps_what_was_written(analyst):
    with client(analyst) as one:
        page = one.get("/explore/ask", params={"sql": "select token from identities"})
        assert page.status_code == 422
        assert "select token from identities" in page.text
        assert "token-" not in page.text
        wrong = one.get("/explore/ask", params={"table": "orders", "group": "customer_id"})
        assert wrong.status_code == 422
        assert one.get("/explore/ask", params={"tabel": "orders"}).status_code == 422
