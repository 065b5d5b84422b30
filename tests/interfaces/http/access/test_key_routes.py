"""API keys over HTTP and in the console: made with no more rights than needed, with an end, rotated, revoked."""

from datetime import UTC, datetime, timedelta

import httpx
import jsonschema
import pytest

from patron.commands.access.idempotency import StoredAnswer, claim
from patron.commands.access.manage_keys import create_key, list_keys, rotate_key
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.interfaces.http.openapi.openapi_examples import ANSWERS, BODIES, RULE
from patron.schema.access.access_rights import KEY_RIGHTS, Actor, Role, rights_of_user
from patron.schema.errors import BadKeyTerms, BadRequest, NotFound
from patron.storage.shop import Shop

NOW = datetime.now(UTC)
ADMIN = Actor("Ada (user 0a1b2c3d4e5f)", rights_of_user([Role.ADMIN]))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", "ab" * 32)
        shop = Shop.create(tmp_path_factory.mktemp("keys") / "shop")
        yield shop
        shop.close()


@pytest.fixture(scope="module")
def client(shop):
    with served(shop, ADMIN) as address, httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


def status_with(client, key, path="/api/segments"):
    return client.get(path, headers={"authorization": f"Bearer {key}"}).status_code


def listed(shop, key_id):
    return next(key for key in list_keys(shop) if key.key_id == key_id)


def test_a_key_has_the_scopes_and_the_lifetime_that_it_was_made_with(client, shop):
    body = {"source": "bi", "kind": "read", "scopes": ["read:segments"], "days": 30}
    created = client.post("/api/keys", json=body).json()
    assert status_with(client, created["key"]) == 200
    assert status_with(client, created["key"], "/api/models") == 403
    key = listed(shop, created["key_id"])
    assert timedelta(days=29) < key.expires_at - NOW < timedelta(days=31)
    assert (key.scopes, key.created_by) == (("read:segments",), ADMIN.name)
    assert NOW - timedelta(hours=1) < key.used_at <= datetime.now(UTC), "its last use is known to the hour"
    assert created["key"] not in client.get("/api/keys").text


@pytest.mark.parametrize(
    "body",
    [
        {"source": "", "kind": "read"},
        {"source": "bi", "kind": "root"},
        {"source": "bi", "kind": "read", "scopes": ["act:privacy"]},
        {"source": "bi", "kind": "write", "scopes": ["read:customers"]},
        {"source": "bi", "kind": "read", "scopes": ["everything"]},
        {"source": "bi", "kind": "read", "scopes": []},
        {"source": "bi", "kind": "read", "days": 731},
        {"source": "bi", "kind": "read", "days": 0},
    ],
)
def test_a_key_cannot_have_more_than_its_kind_or_last_for_ever(client, shop, body):
    before = len(list_keys(shop))
    assert client.post("/api/keys", json=body).status_code == 422
    assert len(list_keys(shop)) == before


def test_every_key_but_those_of_web_pages_ends(shop):
    ends = {kind: create_key(RequestContext.from_name(shop, now=NOW), "ends", kind).expires_at for kind in KEY_RIGHTS}
    assert ends == {"write": None, "read": NOW + timedelta(days=365), "secret": NOW + timedelta(days=365)}


def test_a_rotated_key_works_for_the_overlap_and_the_new_one_as_long_as_it_did(client, shop):
    old = create_key(RequestContext.from_name(shop, now=NOW), "erp", "secret", scopes=["read:segments"], days=10)
    new = client.post(f"/api/keys/{old.key_id}/rotate", json={"overlap_hours": 1}).json()
    assert [status_with(client, one) for one in (old.key, new["key"])] == [200, 200]
    renewed = listed(shop, new["key_id"])
    assert listed(shop, old.key_id).expires_at - renewed.created_at == timedelta(hours=1)
    assert (renewed.source, renewed.kind, renewed.scopes) == ("erp", "secret", ("read:segments",))
    assert renewed.expires_at - renewed.created_at == timedelta(days=10)
    at_once = rotate_key(RequestContext.from_name(shop, now=datetime.now(UTC)), new["key_id"], overlap_hours=0)
    assert [status_with(client, one) for one in (new["key"], at_once.key)] == [401, 200]
    assert client.post(f"/api/keys/{at_once.key_id}/revoke").status_code == 204
    assert status_with(client, at_once.key) == 401
    with pytest.raises(NotFound):
        rotate_key(RequestContext.from_name(shop, now=datetime.now(UTC)), at_once.key_id)
    with pytest.raises(BadKeyTerms):
        rotate_key(RequestContext.from_name(shop, now=NOW), old.key_id, overlap_hours=200)


def test_a_key_is_made_on_the_page_and_shown_once(client, shop):
    assert "read:models" in client.get("/settings/keys/new", params={"kind": "read"}).text
    form = {"kind": "read", "source": "dashboard", "days": "90", "scope": ["read:overview", "read:models"]}
    shown = client.post("/settings/keys/new", data=form).text
    key = next(one for one in list_keys(shop) if one.source == "dashboard")
    assert key.scopes == ("read:models", "read:overview")
    assert "pk_read_" in shown
    page = client.get("/settings/keys").text
    assert "dashboard" in page
    assert "pk_read_" not in page
    for wrong, field in (({"scope": []}, "source"), ({"source": " "}, "source"), ({"days": "900"}, "days")):
        refused = client.post("/settings/keys/new", data=form | wrong)
        assert (refused.status_code, f'name="{field}"' in refused.text) == (422, True)
    assert client.post(f"/settings/keys/{key.key_id}/revoke").status_code == 303
    assert client.post(f"/settings/keys/{key.key_id}/revoke").status_code == 404


def test_the_examples_of_the_document_are_what_its_schemas_say(client):
    document = client.get("/openapi.json").json()
    assert len(BODIES) > 10
    for name in (*BODIES, *ANSWERS):
        method, path = name.split()
        operation = document["paths"][path][method.lower()]
        contents = [operation["requestBody"]] if name in BODIES else []
        contents += [operation["responses"]["200"]] if name in ANSWERS else []
        for content in contents:
            shape = content["content"]["application/json"]
            jsonschema.validate(shape["example"], {**shape["schema"], "components": document["components"]})


def test_every_refusal_of_the_document_is_a_problem(client):
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if status not in {"200", "204"}:
                    assert list(answer["content"]) == ["application/problem+json"], f"{method} {path} {status}"


def test_a_request_that_is_sent_again_is_answered_as_before_and_done_once(client, shop):
    secret, other = (create_key(RequestContext.from_name(shop, now=NOW), name, "secret") for name in ("once", "twice"))

    def save(key, idempotency_key, body, name="sent again"):
        headers = {"authorization": f"Bearer {key.key}", "idempotency-key": idempotency_key}
        return client.put(f"/api/segments/{name}", json=body, headers=headers)

    rule = RULE
    first, again = (save(secret, "k1", {"rule": rule}) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert "idempotency-replayed" not in first.headers
    assert save(secret, "k1", {"rule": rule, "note": "changed"}).status_code == 422
    assert save(secret, "k1", {"rule": rule}, name="another").status_code == 422
    assert "idempotency-replayed" not in save(other, "k1", {"rule": rule}).headers, "each key has its own"
    assert save(secret, "k2", {"rule": {"field": "no such"}}).status_code == 422
    assert save(secret, "k2", {"rule": rule}).status_code == 200, "what was refused may be sent again, corrected"
    assert save(secret, "x" * 201, {"rule": rule}).status_code == 400


def test_a_request_under_way_is_not_begun_twice_and_is_kept_for_a_day(shop):
    actor = Actor("", frozenset(), key_id="0a1b2c3d4e5f")
    held = claim(shop, actor, "k", b"request")
    assert held.begin(shop, now=NOW) is None
    with pytest.raises(BadRequest) as raised:
        held.begin(shop, now=NOW)
    assert raised.value.status == 409
    held.keep(shop, StoredAnswer(200, b'{"name": "x"}'))
    assert held.begin(shop, now=NOW + timedelta(hours=23)) == StoredAnswer(200, b'{"name": "x"}')
    assert held.begin(shop, now=NOW + timedelta(hours=25)) is None
    assert held.begin(shop, now=NOW + timedelta(hours=26)) is None, (
        "a server that stopped under way holds nothing for ever"
    )
