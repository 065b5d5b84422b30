"""Segments over HTTP: read with a read key, saved with a secret key."""

from datetime import UTC, datetime

import httpx
import pytest

from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served

NEW = {"field": "lifecycle_stage", "op": "==", "value": "new"}


@pytest.fixture(scope="module")
def client(made_shop):
    with served(made_shop) as address, httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


def key(shop, kind):
    return {
        "authorization": f"Bearer {create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), kind, kind).key}"
    }


def test_a_segment_is_saved_listed_and_shown(client, made_shop):
    body = {"rule": NEW, "folder": "young", "saved_by": "crm"}
    assert client.put("/api/segments/new ones", json=body).status_code == 401
    assert client.put("/api/segments/new ones", json=body, headers=key(made_shop, "read")).status_code == 403
    secret = key(made_shop, "secret")
    assert client.put("/api/segments/new ones", json=body, headers=secret).json() == {
        "name": "new ones",
        "version": 1,
        "awaiting": [],
    }
    [line] = [one for one in client.get("/api/segments").json() if one["name"] == "new ones"]
    detail = client.get("/api/segments/new ones").json()
    counted = client.post("/api/segments/count", json={"rule": NEW}).json()
    assert counted["count"] == line["customer_count"]
    assert counted["expected_cents"] == line["expected_cents"] == detail["totals"]["expected_cents"] > 0
    assert (counted["share"], counted["overlaps"]) == (detail["share"], [])
    overlaps = client.post("/api/segments/count", json={"rule": NEW, "with_overlaps": True}).json()["overlaps"]
    assert {"name": "new ones", "customer_count": line["customer_count"], "share": 1.0} in overlaps
    assert detail["totals"]["customer_count"] == line["customer_count"] > 0
    assert client.get("/api/segments/new ones/members").status_code == 401
    page = client.get("/api/segments/new ones/members", headers=secret).json()
    assert page["customer_count"] == len(page["rows"]) == line["customer_count"]
    assert page["rows"][0].keys() == {"user_id", "customer_id", "may_be_contacted"}
    totals = client.get("/api/segments/new ones/comparison/new ones").json()["totals"]
    assert totals["both"] == totals["first"] == detail["totals"]
    assert detail["versions"][0]["rule"] == NEW


def test_wrong_rules_and_names_are_refused(client):
    wrong = client.post("/api/segments/count", json={"rule": {"field": "valu", "op": "==", "value": 1}})
    assert wrong.status_code == 422
    assert "Did you mean value" in wrong.text
    assert client.get("/api/segments/none").status_code == 404
    assert "value_decile" in client.get("/api/segment-fields").text
