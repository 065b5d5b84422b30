"""Journeys over HTTP: read by all, steps with a secret key only, which counts as their actor."""

from datetime import UTC, datetime

import httpx
import pytest

from patron.commands.access.manage_keys import create_key
from patron.govern.access import users
from patron.govern.access.request_context import RequestContext
from patron.govern.access.user_sessions import user_name
from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Actor, Role, rights_of_user

JOURNEY = {
    "name": "journey by http",
    "trigger": {"event": "Order Completed"},
    "topic": "offers",
    "monthly_budget": 10.0,
    "steps": [
        {"do": "wait", "days": 1},
        {"do": "send", "template": {"en": {"subject": "Hello", "body": "{{ unsubscribe_url }}", "format": "text"}}},
    ],
}


@pytest.fixture(scope="module")
def client(made_shop):
    with served(made_shop) as address, httpx.Client(base_url=address, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def secrets(made_shop):
    """Keys of two administrators."""
    now, keys = datetime.now(UTC), []
    for name in ("journeys", "approvals"):
        with made_shop.store.begin() as connection:
            access = users.Access((Role.ADMIN,), (), "")
            user_id = users.add_user(connection, f"{name}@example.com", name, access, by="test", at=now)
            users.change_user(connection, user_id, state="active")
        owner = Actor(user_name(name, user_id), rights_of_user([Role.ADMIN]), user_id=user_id)
        keys.append(create_key(RequestContext(made_shop, owner, now=now), name, "secret").key)
    return [{"authorization": f"Bearer {key}"} for key in keys]


def test_a_journey_goes_from_its_file_to_its_approval_by_another_key(client, secrets):
    author, other = secrets
    body = {"by": "Ann", "journey": JOURNEY}
    saved = client.post("/api/journeys", json=body, headers=author)
    assert saved.json() == {"name": "journey by http", "version": 1, "state": "draft"}
    assert client.post("/api/journeys", json=body, headers=author).json() == saved.json()
    plan = client.post("/api/journeys/journey by http/plan", json={}, headers=author).json()
    assert (plan["journey"], plan["version"]) == ("journey by http", 1)
    refused = client.post("/api/journeys/journey by http/approve", json={"by": "Bo"}, headers=author)
    assert (refused.status_code, "cannot approve it" in refused.text) == (422, True)
    stale = client.post("/api/journeys/journey by http/approve", json={"version": 2}, headers=other)
    assert "is not the newest" in stale.text
    approved = client.post("/api/journeys/journey by http/approve", json={"version": 1}, headers=other)
    assert approved.json()["state"] == "approved"
    for step, state in (("pause", "paused"), ("resume", "approved"), ("withdraw", "withdrawn")):
        assert client.post(f"/api/journeys/journey by http/{step}", json={}, headers=other).json()["state"] == state
    line = next(one for one in client.get("/api/journeys").json() if one["name"] == "journey by http")
    assert (line["state"], line["trigger"], line["entry_count"]) == ("withdrawn", "Order Completed", 0)
    detail = client.get("/api/journeys/journey by http").json()
    assert [one["step"] for one in detail["steps"]][:3] == ["saved", "planned", "approved"]
    assert detail["content"]["steps"][0]["days"] == 1
    wrong = client.post("/api/journeys", json=body | {"journey": JOURNEY | {"trigger": {}}}, headers=author)
    assert (wrong.status_code, "trigger needs one of the keys" in wrong.text) == (422, True)


@pytest.mark.parametrize("step", ["plan", "approve", "pause", "resume", "withdraw", "result"])
def test_a_step_needs_a_secret_key_and_a_journey(client, secrets, step):
    path = f"/api/journeys/nothing/{step}"
    assert client.post(path, json={}).status_code == 401
    assert client.post(path, json={"by": 3}, headers=secrets[0]).status_code == 422
    assert client.post(path, json={}, headers=secrets[0]).status_code == 404
