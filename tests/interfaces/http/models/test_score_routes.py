"""Scores over HTTP: with a secret key only, page by page."""

from datetime import UTC, datetime

import httpx
import pytest

from patron.commands.access.manage_keys import create_key
from patron.commands.models.export_scores import COLUMNS, export_scores
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.schema.list_pages import Cursor


@pytest.fixture(scope="module")
def client(made_shop):
    with served(made_shop) as address, httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="module")
def secret(made_shop):
    created = create_key(RequestContext.from_name(made_shop, now=datetime.now(UTC)), "shop", "secret")
    return {"authorization": f"Bearer {created.key}"}


def test_pages_hold_every_customer_once(client, secret, made_shop, monkeypatch):
    monkeypatch.setattr("patron.commands.models.export_scores.PAGE_SIZE", 100)
    first = client.get("/api/scores", headers=secret).json()
    pages = [
        client.get("/api/scores", params={"page": n + 1}, headers=secret).json() for n in range(first["page_count"])
    ]
    rows = [row for page in pages for row in page["rows"]]
    assert first["page_count"] > 1
    assert [row["customer_id"] for row in rows] == export_scores(
        RequestContext.from_name(made_shop, now=datetime.now(UTC))
    ).rows["customer_id"].to_pylist()
    assert {page["customer_count"] for page in pages} == {len(rows)}
    assert list(rows[0]) == COLUMNS.names
    assert client.get("/api/scores", params={"page": 9_999}, headers=secret).json()["rows"] == []


@pytest.mark.parametrize("path", ["/api/scores", "/api/decisions"])
def test_cursors_lead_through_every_row_once(client, secret, path):
    limit = {"limit": 70} if path == "/api/scores" else {}
    pages = [client.get(path, params=limit, headers=secret).json()]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(client.get(path, params={"cursor": cursor, **limit}, headers=secret).json())
    ids = [row["customer_id"] for page in pages for row in page["rows"]]
    assert len(pages) > 1
    assert len(set(ids)) == len(ids) == pages[0].get("customer_count", pages[0].get("total_count"))


def test_a_cursor_of_another_run_or_of_nothing_is_refused(client, secret):
    other = str(Cursor("1999-01-01", ("0" * 32,)))
    assert client.get("/api/scores", params={"cursor": other}, headers=secret).status_code == 409
    for cursor in ("x", "bnVsbA", "W10", "\u00e9", "=" * 9):
        assert client.get("/api/scores", params={"cursor": cursor}, headers=secret).status_code == 422
    assert client.get("/api/scores", params={"limit": 1_001}, headers=secret).status_code == 422


def test_the_total_is_the_sum_of_all_pages(client, secret, made_shop):
    total = client.get("/api/scores/total", headers=secret).json()
    values = [
        value
        for value in export_scores(RequestContext.from_name(made_shop, now=datetime.now(UTC))).rows["value"].to_pylist()
        if value is not None
    ]
    assert total["value"] == pytest.approx(sum(values), abs=0.01 * len(values))
    assert total["currency"] == made_shop.settings.shop.currency


def test_scores_leave_with_a_secret_key_only(client, made_shop):
    created = create_key(RequestContext.from_name(made_shop, now=datetime.now(UTC)), "crm", "read")
    read = {"authorization": f"Bearer {created.key}"}
    assert client.get("/api/scores").status_code == 401
    assert client.get("/api/scores", headers=read).status_code == 403
    assert client.get("/api/scores/total", headers=read).status_code == 200


def test_a_past_run_is_named_by_its_name_or_by_its_cutoff_with_a_time_zone(client, secret):
    for as_of in ("2017-10-01", "2017-10-01T00:00:00Z"):
        assert client.get("/api/scores", params={"as_of": as_of}, headers=secret).status_code == 200
    assert client.get("/api/scores", params={"as_of": "2017-10-01T00:00:00"}, headers=secret).status_code == 404
    answer = client.get("/api/scores", params={"as_of": "1999-01-01T00:00:00Z"}, headers=secret)
    assert answer.status_code == 404
    assert "2017-10-01" in answer.json()["todo"]
