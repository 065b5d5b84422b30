"""Lists and files of customers: who may take them out, what a filter's rule selects, what others wrote stays hidden."""

import csv
from datetime import UTC, datetime
from itertools import count

import httpx
import pytest
from workspace_copies import copy_workspace

from patron.answers.customers.customer_filters import CustomerFilters
from patron.answers.customers.customer_list import CustomerQuery, Range, match_customers
from patron.answers.segments.saved_segments import count_rule
from patron.commands.customers.customer_work import delete_note, write_note
from patron.commands.privacy.forget_lake import delete_old_versions, repin_last_run
from patron.commands.segments.save_segment import delete_segment, save_segment
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.interfaces.console.segments.segment_links import segment_rule
from patron.schema.access.access_rights import Actor, Grant, Role, rights_of_user
from patron.schema.tables import INTERACTIONS, ORDER_LINES
from patron.storage.shop import Shop

NOW = datetime(2026, 3, 2, tzinfo=UTC)
BOSS = Actor("Boss (user 0b055)", rights_of_user([Role.MARKETER], [Grant.EXPORT, Grant.REVEAL]))
NOTE = "Prefers a call after six"


def test_a_file_is_what_the_list_shows_for_who_may_export_and_the_audit_log_has_it(made_shop):
    query = "lifecycle_stage=at_risk&columns=value,last_order,tags&sort=value_at_risk"
    with served(made_shop) as url:
        assert httpx.get(f"{url}/customers?{query}&format=csv", timeout=60).status_code in {401, 403}
        assert httpx.get(f"{url}/watch-list?format=csv", timeout=60).status_code in {401, 403}
    with served(made_shop, BOSS) as url, httpx.Client(base_url=url, timeout=60) as client:
        answer = client.get(f"/customers?{query}&format=csv")
        rows = list(csv.DictReader(answer.text.splitlines()))
        listed = client.get(f"/api/customers?{query}").json()
        assert [row["customer_id"] for row in rows[:25]] == [row["customer_id"] for row in listed["rows"]]
        assert len(rows) == listed["total_count"]
        assert float(rows[0]["value"]) == round(listed["rows"][0]["value_cents"]) / 100
        assert list(rows[0]) == ["customer_id", "value", "last_order", "tags"]
        assert (
            client.get("/watch-list?format=csv").text.count("\n")
            == 1 + client.get("/api/watch-list").json()["total_count"]
        )
    entry = next(one for one in reversed(audit_log.entries(made_shop.store)) if '"customers"' in one.details)
    assert (entry.action, "0b055" in entry.details) == ("list exported", True)


def test_what_a_colleague_wrote_is_shown_after_it_is_recorded(made_shop):
    who = match_customers(made_shop, CustomerQuery(is_at_risk=True)).customer_ids(9)[-1]
    note_id = write_note(RequestContext.from_name(made_shop, "Ann (user 0a22)", now=NOW), who, NOTE)
    with served(made_shop, BOSS) as url, httpx.Client(base_url=url, timeout=60) as client:
        for path in (f"/customers/{who}", f"/api/customers/{who}/work", f"/customers/{who}?view=timeline", "/tasks"):
            assert NOTE not in client.get(path).text
        revealed = client.post(f"/customers/{who}/texts")
        assert NOTE in revealed.text
        assert revealed.headers["cache-control"] == "no-store"
    with served(made_shop) as url:
        assert httpx.post(f"{url}/customers/{who}/texts", timeout=60).status_code == 401
    delete_note(RequestContext.from_name(made_shop, "Ann (user 0a22)", now=NOW), who, note_id)
    assert audit_log.entries(made_shop.store)[-2].action == "notes revealed"


def test_outside_the_teams_segment_nobody_exists(made_shop):
    name = "work team"
    rule = {"field": "lifecycle_stage", "op": "==", "value": "at_risk"}
    save_segment(RequestContext.from_name(made_shop, "x", now=NOW), {"name": name, "rule": rule})
    try:
        inside = match_customers(made_shop, CustomerQuery(lifecycle_stage="at_risk")).customer_ids(999)
        outside = match_customers(made_shop, CustomerQuery(lifecycle_stage="active")).customer_ids(1)[0]
        actor = Actor("Tim", BOSS.rights, segment=name)
        with served(made_shop, actor) as url, httpx.Client(base_url=url, timeout=60) as client:
            assert client.get("/api/customers").json()["total_count"] == len(inside)
            for path in ("", "/timeline", "/work", "/identity"):
                assert client.get(f"/api/customers/{inside[0]}{path}").status_code == 200
                refused, unknown = (client.get(f"/api/customers/{one}{path}") for one in (outside, "f" * 32))
                assert refused.status_code == 404
                if not path:
                    assert refused.json() == {
                        **unknown.json(),
                        "where": outside,
                        "instance": f"/api/customers/{outside}",
                    }
            for path in ("act", "notes", "texts", "identity", "identity/find"):
                answer = client.post(f"/customers/{outside}/{path}", data={"do": "tag", "tag": "x", "text": "x"})
                assert answer.status_code == 404, path
            answer = client.post("/customers/act", data={"do": "tag", "tag": "x", "id": [inside[0], outside]})
            assert answer.status_code == 404
            everybody = {"name": name, "of": name, "rule": '{"all": []}', "version": "1"}
            widened = [
                client.put(f"/api/segments/{name}", json={"rule": {"all": []}, "saved_by": "Tim"}),
                *(client.post(f"/segments{path}", data=everybody) for path in ("", f"/{name}/restore")),
                client.post(f"/segments/{name}/delete", data=everybody),
            ]
            assert {one.status_code for one in widened} == {403}, "nobody changes whom they see"
            assert client.get("/api/customers").json()["total_count"] == len(inside)
    finally:
        delete_segment(RequestContext.from_name(made_shop, "x", now=NOW), name)


@pytest.mark.parametrize(
    "query",
    [
        CustomerQuery(lifecycle_stage="lapsed", value_cents=Range(500, 9_000)),
        CustomerQuery(persona_id=1, churn_probability=Range(0.2)),
        CustomerQuery(category="Bakery", lifecycle_stage="at_risk"),
        CustomerQuery(consent="unknown", purchase_probability=Range(None, 0.5)),
    ],
)
def test_the_rule_of_a_list_selects_who_is_listed(made_shop, query):
    view = made_shop.snapshot()
    rule = segment_rule(query, view.run.as_of, "UTC")
    assert count_rule(made_shop, rule).count == len(match_customers(made_shop, query).positions) > 0
    assert segment_rule(CustomerQuery(owner="x", persona_id=1), view.run.as_of, "UTC") is None
    assert segment_rule(CustomerQuery(tag="x"), view.run.as_of, "UTC") == {"all": [{"tag": "x"}]}


def test_an_address_keeps_what_was_chosen_and_leaves_out_what_is_usual():
    filters = CustomerFilters(value_min=5.5, churn_max=80, last_order_to="2017-09-01", columns="tags,value", page=3)
    again = CustomerFilters(**filters.values())
    assert again == filters
    assert again.shown_columns == ("value", "tags")
    assert filters.address(page=1, value_min=None) == (
        "/customers?churn_max=80&last_order_to=2017-09-01&columns=tags%2Cvalue"
    )
    assert CustomerFilters().address() == "/customers"


@pytest.mark.parametrize("order", ["sort=value", "sort=last_order&direction=ascending", "sort=stage", "at_risk=true"])
def test_a_cursor_lists_everybody_once_in_the_order_of_the_list(made_shop, order):
    with served(made_shop) as url, httpx.Client(base_url=url, timeout=60) as client:
        whole = client.get(f"/api/customers?{order}&limit=1000").json()
        cursor, ids = "", []
        while cursor is not None:
            page = client.get(f"/api/customers?{order}&limit=60&cursor={cursor}").json()
            ids += [row["customer_id"] for row in page["rows"]]
            cursor = page["next_cursor"]
        assert ids == [row["customer_id"] for row in whole["rows"]]
        assert len(ids) == whole["total_count"] > 60 or order == "at_risk=true"
        wrong = client.get("/api/customers?cursor=bm9uZQ")
        assert (wrong.status_code, wrong.json()["where"]) == (422, "cursor")


def test_a_page_that_began_before_an_erasure_reads_what_the_erasure_left(made_shop, tmp_path, monkeypatch):
    shop, other = Shop.open(copy_workspace(made_shop.folder, tmp_path / "shop")), Shop.open(tmp_path / "shop")
    people = iter(match_customers(shop, CustomerQuery(is_at_risk=True)).customer_ids(20))
    of_run, reads = Shop.snapshot, count()
    erased_at = None

    def snapshot_before_an_erasure(self):
        found = of_run(self)
        if self is shop and next(reads) == erased_at:
            for table in (ORDER_LINES, INTERACTIONS):
                other.lake.replace(table, other.lake.read(table))
            repin_last_run(other)
            delete_old_versions(other)
        return found

    monkeypatch.setattr(Shop, "snapshot", snapshot_before_an_erasure)
    with served(shop, BOSS) as url:
        assert httpx.get(f"{url}/customers/{next(people)}", timeout=60).status_code == 200
        read_count = next(reads)
        for number in range(read_count):
            erased_at, reads = number, count()
            page = httpx.get(f"{url}/customers/{next(people)}", timeout=60)
            assert page.status_code == 200, page.text.partition("<main")[2][:600]
    shop.close()
    other.close()
