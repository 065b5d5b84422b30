"""Webhooks in the console and over HTTP: a secret shown once, tests, changes, and administrators only."""

import httpx
import pytest

from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Actor, Role, rights_of_user

ADMIN = Actor("Ada (user 0a1b2c3d4e5f)", rights_of_user([Role.ADMIN]))
MARKETER = Actor("Max (user 0a1b2c3d4e60)", rights_of_user([Role.MARKETER]))
TERMS = {"url": "https://192.0.2.1/patron", "note": "Starts the export", "events": ["run.finished", "alarm.raised"]}


@pytest.fixture
def client(shop):
    with served(shop, ADMIN) as address, httpx.Client(base_url=address, timeout=60) as opened:
        yield opened


def test_a_webhook_is_added_tested_changed_and_deleted_in_the_console(client):
    page = client.post("/settings/webhooks/new", data=TERMS).text
    secret = page.partition('<p class="secret">')[2].partition("<")[0]
    assert secret.startswith("whsec_")
    (one,) = client.get("/api/webhooks").json()
    at = f"/settings/webhooks/{one['endpoint_id']}"
    for path in ("/settings/webhooks", at, f"{at}/edit", f"/api/webhooks/{one['endpoint_id']}"):
        answer = client.get(path)
        assert (answer.status_code, secret in answer.text) == (200, False), path
    assert "not public" in client.post(f"{at}/test").text, "it says why nothing arrived"
    (delivery,) = client.get(f"/api/webhooks/{one['endpoint_id']}").json()["deliveries"]
    assert "not public" in client.post(f"{at}/deliveries/{delivery['message_id']}/resend").text
    assert client.post(f"{at}/edit", data=TERMS | {"events": ["run.failed"]}).status_code == 303
    assert client.post(f"{at}/rotate").text.count("whsec_") == 1
    assert client.post(f"{at}/disable").status_code == 303
    shown = client.get(f"/api/webhooks/{one['endpoint_id']}").json()["webhook"]
    assert (shown["events"], shown["disabled_why"]) == (["run.failed"], "person")
    assert client.post(f"{at}/enable").status_code == 303
    assert client.post(f"{at}/destroy").status_code == 404
    assert client.post(f"{at}/delete").status_code == 303
    assert client.get(at).status_code == 404


@pytest.mark.parametrize("wrong", [{"url": "http://192.0.2.1"}, {"events": []}, {"note": "x" * 201}])
def test_what_cannot_be_used_is_refused_with_the_form_as_it_was(client, wrong):
    answer = client.post("/settings/webhooks/new", data=TERMS | wrong)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert client.get("/api/webhooks").json() == []


def test_programs_page_through_the_log(client):
    added = client.post("/api/webhooks", json=TERMS).json()
    at = f"/api/webhooks/{added['endpoint_id']}"
    client.put(at, json=TERMS | {"note": "For the export"})
    assert client.get(at).json()["webhook"]["note"] == "For the export"
    assert client.get(f"{at}?cursor=bm9uZQ").status_code == 422
    assert client.delete(at).status_code == 204


def test_others_neither_see_nor_change_webhooks(shop):
    with served(shop, MARKETER) as address, httpx.Client(base_url=address, timeout=60) as client:
        for path in ("/api/webhooks", "/settings/webhooks", "/settings/webhooks/new"):
            assert client.get(path).status_code in {401, 403}
        assert client.post("/api/webhooks", json=TERMS).status_code in {401, 403}
