"""Campaigns over HTTP: read by all, steps with a secret key only, in somebody's name."""

from datetime import UTC, datetime

import httpx
import pytest

from patron.commands.access.manage_keys import create_key, list_keys
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.segments.segment_parser import parse_rule
from patron.storage.segments.segment_definitions import save_definition

CAMPAIGN = {
    "name": "by http",
    "segment": "every customer",
    "topic": "offers",
    "budget": 10.0,
    "start": "2024-03-01T09:00:00",
    "end": "2100-03-15T00:00:00",
    "template": {"en": {"subject": "Hello", "body": "Hello {{ unsubscribe_url }}", "format": "text"}},
}


@pytest.fixture(scope="module")
def client(made_shop):
    with made_shop.store.begin() as connection:
        now = datetime(2024, 1, 1, tzinfo=UTC)
        save_definition(connection, "every customer", parse_rule({"all": []}), saved_by="Ann", at=now)
    with served(made_shop) as address, httpx.Client(base_url=address, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def secret(made_shop):
    created = create_key(RequestContext.from_name(made_shop, now=datetime.now(UTC)), "crm of campaigns", "secret")
    return {"authorization": f"Bearer {created.key}"}


def test_a_campaign_is_saved_and_read(client, secret, made_shop):
    body = {"by": "Ann", "campaign": CAMPAIGN}
    saved = client.post("/api/campaigns", json=body, headers=secret).json()
    assert saved == {"name": "by http", "version": 1, "state": "draft"}
    assert client.post("/api/campaigns", json=body, headers=secret).json() == saved
    lines = client.get("/api/campaigns").json()
    assert "by http" in [line["name"] for line in lines]
    detail = client.get("/api/campaigns/by http").json()
    assert [step["step"] for step in detail["steps"]] == ["saved"]
    [key] = [one for one in list_keys(made_shop) if one.source == "crm of campaigns"]
    assert detail["steps"][0]["taken_by"] == f"Ann via key crm of campaigns ({key.key_id})"
    anonymous = client.post("/api/campaigns", json={"campaign": CAMPAIGN | {"name": "no name"}}, headers=secret)
    assert anonymous.json()["version"] == 1
    assert client.get("/api/campaigns/no name").json()["steps"][0]["taken_by"] == f"key crm of campaigns ({key.key_id})"
    late = client.post("/api/campaigns/by http/approve", json={"version": 2}, headers=secret)
    assert (late.status_code, "is not the newest" in late.text) == (422, True)
    same = client.post("/api/campaigns/by http/approve", json={"by": "Bo", "version": 1}, headers=secret)
    assert (same.status_code, "a key that anybody may hold" in same.text) == (422, True)
    wrong = client.post("/api/campaigns", json=body | {"campaign": CAMPAIGN | {"goal": "fame"}}, headers=secret)
    assert wrong.status_code == 422
    assert "goal" in wrong.text


@pytest.mark.parametrize("step", ["plan", "approve", "pause", "resume", "withdraw", "result"])
def test_a_step_needs_a_secret_key(client, secret, step):
    path = f"/api/campaigns/nothing/{step}"
    assert client.post(path, json={"by": "Ann"}).status_code == 401
    assert client.post(path, json={"who": "Ann"}, headers=secret).status_code == 422
    assert client.post(path, json={"by": "Ann"}, headers=secret).status_code == 404
