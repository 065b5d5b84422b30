"""The wire protocol of a running server, spoken by hand and by the clients that shops have."""

import asyncio
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa

from patron.answers.customers.customer_list import SORTS
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.commands.access.manage_keys import create_key, list_keys, revoke_key
from patron.govern.access.request_context import RequestContext
from patron.interfaces.http import server_routes
from patron.interfaces.http.data import data_routes
from patron.interfaces.http.insight import insight_routes
from patron.interfaces.http.models import model_routes
from patron.interfaces.http.offers import offer_routes
from patron.interfaces.http.server.collector_protocol import BODY_KIND_BY_PATH, CollectorProtocol
from patron.schema.access.access_rights import KEY_RIGHTS
from patron.schema.tables import EVENTS
from patron.service.collector import BATCH, HISTORY, SENSORS, Collector
from patron.storage.shop import Shop

CLIENTS = Path(__file__).parents[3] / "clients"
EACH = 1_000
PYTHON, NODE = ("segment", "rudder", "sensors"), ("segment", "rudder")


class Server:
    """`patron serve` of a workspace, as a process of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.shop = Shop.open(folder)
        """What tests make keys with, next to the server."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.address, timeout=30)
        self.reader = httpx.Client(base_url=self.address, timeout=30)
        """Sends a read key."""
        self.reader.headers["authorization"] = f"Bearer {made_key(self, 'reader', 'read')}"
        self.start()

    def start(self):
        patron = str(Path(sys.executable).with_name("patron"))
        command = [patron, "serve", "--workspace", str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until = time.monotonic() + 120
        while self.process.poll() is None and time.monotonic() < until:
            try:
                self.client.get("/health")
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return
        self.process.kill()
        raise RuntimeError(self.process.communicate()[1].decode())

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.process.stderr.close()

    def post(self, path, body, key="", **headers):
        authorization = {"authorization": "Basic " + b64encode(f"{key}:".encode()).decode()} if key else {}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(path, content=content, headers=authorization | headers)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("served")
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(home / "config")
    Shop.create(home / "shop").close()
    path = home / "shop" / "patron.toml"
    text = path.read_text(encoding="utf-8").replace("[collect]", '[collect]\nneeds_secret_key = ["Order Refunded"]')
    path.write_text(text, encoding="utf-8")
    running = Server(home / "shop")
    yield running
    running.client.close()
    running.reader.close()
    running.stop()
    running.shop.close()
    if before is None:
        del os.environ["XDG_CONFIG_HOME"]
    else:
        os.environ["XDG_CONFIG_HOME"] = before


@pytest.fixture
def key(server, request):
    return made_key(server, request.node.name)


@pytest.fixture(scope="module")
def shared_key(server):
    return made_key(server, "shared")


@pytest.fixture(scope="module")
def key_of(server):
    """A key of each kind, for tests that only ask what it opens."""
    return {kind: made_key(server, "roles", kind) for kind in ("read", "write", "secret")}


def made_key(server, source, kind="write"):
    return create_key(RequestContext.from_name(server.shop, now=datetime.now(UTC)), source[:60], kind).key


def message(event_id="m1", **changes):
    base = {"type": "track", "event": "Product Viewed", "messageId": event_id, "userId": "u1"}
    return base | {"properties": {"product_id": "p1"}} | changes


def test_a_batch_is_answered_with_exactly_200_and_its_verdicts(server, key):
    answer = server.post("/v1/batch", {"batch": [message("a"), message("a"), message("b", userId=None)]}, key)
    assert answer.status_code == 200
    verdict = answer.json()
    assert verdict["success"] is False, "a message was rejected"
    assert (verdict["stored"], verdict["duplicate"], verdict["rejected"]) == (1, 1, 1)
    again = server.post("/v1/batch", {"batch": [message("a")]}, key).json()
    assert (again["success"], again["stored"], again["duplicate"], again["rejected"]) == (True, 0, 1, 0)
    assert verdict["errors"][0]["index"] == 2
    assert "userId" in verdict["errors"][0]["reason"]


@pytest.mark.parametrize(
    "path", ["track", "identify", "page", "screen", "group", "alias", "t", "i", "p", "s", "g", "a"]
)
def test_each_short_and_long_path_takes_its_type_whatever_the_content_type_says(server, path):
    key = made_key(server, f"path {path}")
    body = {"writeKey": key, "messageId": path, "userId": "u1", "previousId": "v1", "event": "E", "name": "Home"}
    answer = server.post(f"/v1/{path}", body, **{"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["stored"], answer.json()["messageId"]) == (200, 1, path)


def test_the_key_may_come_in_the_header_with_or_without_colon_in_the_body_or_in_the_address_of_a_beacon(server, key):
    bare = "Basic " + b64encode(key.encode()).decode()
    batch = {"batch": [message("a")]}
    answers = [
        server.post("/v1/batch", batch, authorization=bare),
        server.post("/v1/b", {"writeKey": key, **batch}),
        server.post("/v1/batch", {"writeKey": key, **batch}, authorization="Bearer something"),
        server.post(f"/beacon/v1/batch?writeKey={key}", batch),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert server.post(f"/v1/batch?writeKey={key}", batch).status_code == 401


REJECTED = {"type": "track", "event": "E", "properties": {}}
"""Names nobody."""


@pytest.mark.parametrize("path", sorted(BODY_KIND_BY_PATH))
def test_a_message_that_is_not_stored_is_never_called_a_success(server, shared_key, path):
    batch = json.dumps({"batch": [message(f"good {path}"), REJECTED]}).encode()
    form = b"data=" + b64encode(json.dumps({"type": "track", "event": "E"}).encode())
    body = {BATCH: batch, HISTORY: batch, SENSORS: form}.get(BODY_KIND_BY_PATH[path], json.dumps(REJECTED).encode())
    in_address = {"/sa": f"/sa?token={shared_key}"}.get(path, path)
    answer = server.post(in_address, body, shared_key)
    assert answer.status_code != 200 or (answer.json()["success"], answer.json()["rejected"]) == (False, 1)
    refused = server.post(in_address, b"hello", shared_key)
    assert refused.status_code >= 400
    assert refused.json().get("success") is not True


def test_a_key_that_expired_or_may_not_send_stores_nothing(server):
    shop, now = server.shop, datetime.now(UTC)
    late = create_key(RequestContext.from_name(shop, now=now - timedelta(days=1)), "late", "secret", days=1).key
    narrow = create_key(RequestContext.from_name(shop, now=now), "narrow", "secret", scopes=["read:overview"]).key
    used = create_key(RequestContext.from_name(shop, now=now), "used", "secret", scopes=["act:storefront"])
    assert [server.post("/v1/t", message("e"), one).status_code for one in (late, narrow, used.key)] == [401, 401, 200]
    until = time.monotonic() + 5
    while (key := next(one for one in list_keys(shop) if one.key_id == used.key_id)).used_at is None:
        assert time.monotonic() < until, "the use of a key is written soon"
        time.sleep(0.05)
    assert now - timedelta(hours=1) < key.used_at <= datetime.now(UTC)
    assert (key.used_at.minute, key.used_at.second) == (0, 0)


def test_gzip_is_read_with_any_content_type(server, key):
    packed = gzip.compress(json.dumps({"batch": [message("zip")]}).encode())
    form = {"content-type": "application/x-www-form-urlencoded", "content-encoding": "gzip"}
    assert server.post("/v1/batch", packed, key, **form).json()["stored"] == 1
    assert server.post("/v1/batch", packed, key).json()["duplicate"] == 1


@pytest.mark.parametrize("key", ["", "pk_write_wrong", "\u00e9", "x" * 5_000])
def test_a_wrong_key_is_refused_with_what_to_do(server, key):
    answer = server.post("/v1/t", {**message(), "writeKey": key})
    assert answer.status_code == 401
    assert answer.json().keys() == REFUSAL


def test_a_read_key_cannot_write_and_a_revoked_key_nothing(server):
    assert server.post("/v1/batch", {"batch": []}, made_key(server, "r", "read")).status_code == 401


def test_money_may_be_sent_with_a_secret_key_only(server):
    refund = {"batch": [message("r1", event="Order Refunded", properties={"order_id": "o1", "total": 5})]}
    public, secret = made_key(server, "shop"), made_key(server, "shop", "secret")
    assert server.post("/v1/batch", refund, public).json()["rejected"] == 1
    assert server.post("/v1/batch", refund, secret).json()["stored"] == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"hello", 400),
        (b'{"batch": 1}', 400),
        (b"[" * 200_000, 400),
        (b"\x1f\x8bnothing", 400),
        (gzip.compress(b" " * 30_000_000, mtime=0), 413),
        (b" " * 5_000_000, 413),
        (json.dumps({"batch": [message(f"m{n}") for n in range(5_000)]}).encode(), 200),
    ],
)
def test_what_cannot_be_read_is_refused_as_the_protocol_says(server, key, body, status):
    answer = server.post("/v1/batch", body, key)
    assert answer.status_code == status
    assert status == 200 or answer.json().keys() == REFUSAL


BROKEN = {
    "a lone surrogate": rb'{"type": "track", "event": "E", "userId": "u", "properties": {"a": "\ud800"}}',
    "a lone surrogate in a key": rb'{"type": "track", "event": "E", "userId": "u", "properties": {"\udc00": 1}}',
    "a lone surrogate in a trait": rb'{"type": "identify", "userId": "u", "traits": {"name": "\ud83d!"}}',
    "no number": b'{"type": "track", "event": "E", "userId": "u", "properties": {"price": NaN}}',
    "an endless number": b'{"type": "track", "event": "E", "userId": "u", "properties": {"a": ' + b"9" * 5_000 + b"}}",
    "infinity": b'{"type": "track", "event": "E", "userId": "u", "properties": {"a": 1e999}}',
    "deep nesting": b"[" * 5_000 + b"]" * 5_000,
    "a surrogate in bytes": b'{"type": "track", "event": "E\xed\xa0\x80", "userId": "u"}',
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_message_costs_no_other_one_of_its_batch(server, shared_key, what):
    before = counters_of(server, "shared")
    good = [json.dumps(message(f"{what} {n}")).encode() for n in range(99)]
    batch = b'{"sentAt": null, "batch": [' + b", ".join([*good[:50], BROKEN[what], *good[50:]]) + b"]}"
    answer = server.post("/v1/batch", batch, shared_key)
    assert (answer.status_code, answer.json()["stored"], answer.json()["rejected"]) == (200, 99, 1)
    assert answer.json()["errors"][0]["index"] == 50
    keyed = batch.replace(b'"sentAt": null', b'"writeKey": "%s"' % shared_key.encode())
    assert server.post("/v1/b", keyed).json()["duplicate"] == 99
    after = counters_of(server, "shared")
    assert (after["stored"] - before["stored"], after["rejected"] - before["rejected"]) == (99, 2)


def counters_of(server, source):
    counters = {counter["source"]: counter for counter in server.reader.get("/api/collector").json()["counters"]}
    return counters.get(source, {"stored": 0, "rejected": 0})


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_message_costs_no_other_one_of_a_sensors_list(server, shared_key, what):
    good = json.dumps({"type": "track", "event": "E", "distinct_id": "u"}).encode()
    form = b"data_list=" + b64encode(b"[" + b", ".join([good, BROKEN[what], good]) + b"]").replace(b"+", b"%2B")
    answer = server.post(f"/sa?token={shared_key}", form)
    assert (answer.status_code, answer.json()["rejected"]) == (200, 1)


@pytest.mark.parametrize("body", [b"null", b"bnVsbA==", b"Nw==", b"IngI", b"dHJ1ZQ=="])
@pytest.mark.parametrize("name", [b"data", b"data_list"])
def test_sensors_data_that_is_no_event_is_refused(server, shared_key, name, body):
    answer = server.post(f"/sa?token={shared_key}", name + b"=" + body)
    assert answer.status_code == 400
    assert answer.json()["what"]


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x"])
def test_an_encoding_that_is_not_read_is_refused(server, shared_key, encoding):
    for path in ("/v1/batch", f"/sa?token={shared_key}"):
        answer = server.post(path, {"batch": [message(encoding)]}, shared_key, **{"content-encoding": encoding})
        assert (answer.status_code, answer.json()["error"]) == (415, "BadRequest")


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "GZIP", "x-gzip", "deflate"])
def test_an_encoding_that_is_read_is_inflated(server, shared_key, encoding):
    body = json.dumps({"batch": [message(f"e{encoding}")]}).encode()
    packed = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}.get(encoding.lower(), bytes)
    answer = server.post("/v1/batch", packed(body), shared_key, **{"content-encoding": encoding})
    assert (answer.status_code, answer.json()["stored"]) == (200, 1)


@pytest.mark.parametrize(
    "path",
    [
        "//v1//batch",
        "//v1/batch",
        "/v1//batch",
        "/V1/batch",
        "/v1",
        "/v1/",
        "/v1/batch/",
        "/sa/",
        "/beacon",
        "/v1/projects/..%2F..%2Fstore.db/settings",
        "/v1/projects//settings",
        "/v1/projects/pk_write_unknown/settings",
        "/v1/projects/settings",
        "//api//overview",
        "/api//overview",
        "/API/overview",
        "//health",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_address_that_a_program_misspells_is_answered_in_json(server, shared_key, method, path):
    headers = {"authorization": f"Bearer {shared_key}"}
    answer = server.client.request(method, server.address + path, content=b"{}", headers=headers)
    assert answer.status_code == 404
    assert answer.json().keys() == REFUSAL


@pytest.mark.parametrize("kind", ["secret", "read"])
def test_settings_name_no_other_key_than_a_write_key(server, kind):
    assert server.client.get(f"/v1/projects/{made_key(server, 'kinds', kind)}/settings").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("OPTIONS", "/v1/t"),
        ("POST", "/v1/batch"),
        ("HEAD", "/v1/batch"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/projects/{key}/settings"),
        ("POST", "/sa"),
        ("GET", "/health"),
        ("GET", "/api/nothing"),
    ],
)
def test_no_answer_lets_a_browser_guess_its_type(server, shared_key, method, path):
    answer = server.client.request(method, path.format(key=shared_key), content=b"{}" if method == "POST" else None)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_health_says_whether_events_are_accepted(server):
    assert server.client.get("/health").json() == {"status": "ok", "run_id": None, "trouble": "", "is_accepting": True}


def test_hostile_texts_in_every_field_are_stored_as_texts(server, key):
    hostile = "'; drop table events; -- <script>alert(1)</script> \u0000 \u202e"
    hostile_message = message("h", userId=hostile, event=hostile[:50], properties={hostile: hostile, "query": hostile})
    assert server.post("/v1/batch", {"batch": [hostile_message, message("ok")]}, key).json()["stored"] == 2


def test_a_secret_key_in_the_address_is_refused_except_in_the_form_that_has_no_other_field(server):
    secret = made_key(server, "address", "secret")
    batch = {"batch": [message("a")]}
    refused = server.post(f"/beacon/v1/batch?writeKey={secret}", batch)
    assert (refused.status_code, refused.json()["error"]) == (401, "BadKey")
    assert server.post("/beacon/v1/batch", batch, secret).status_code == 200
    form = b"data=" + b64encode(json.dumps({"type": "track", "event": "E", "distinct_id": "u"}).encode())
    assert server.post(f"/sa?token={secret}", form).status_code == 200


def through_the_wire(collector, path, body, key):
    """Answer of the wire itself, without a server around it."""

    async def ask():
        transport = httpx.ASGITransport(app=CollectorProtocol(collector, application=None))
        async with httpx.AsyncClient(transport=transport, base_url="http://patron") as client:
            return await client.post(path, content=body, auth=(key, ""))

    return asyncio.run(ask())


def test_trouble_with_the_store_is_reported_as_ours_and_the_client_keeps_its_messages(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shop = Shop.create(tmp_path / "shop")
    with shop.store.begin() as connection:
        connection.execute(sa.text("drop table api_keys"))
    answer = through_the_wire(Collector(shop), "/v1/batch", b'{"batch": []}', "pk_write_any")
    shop.close()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json().keys() == REFUSAL
    assert "api_keys" not in answer.text


@pytest.fixture
def collector(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shop = Shop.create(tmp_path / "shop")
    running = Collector(shop)
    running.start()
    yield running
    running.stop()
    shop.close()


def test_a_large_request_lets_small_ones_pass(collector):
    key, done = create_key(RequestContext.from_name(collector.shop, now=datetime.now(UTC)), "web").key, []

    async def ask(name, count):
        transport = httpx.ASGITransport(app=CollectorProtocol(collector, application=None))
        body = {"batch": [message(f"{name} {n}") for n in range(count)]}
        async with httpx.AsyncClient(transport=transport, base_url="http://patron") as client:
            answer = await client.post("/v1/batch", json=body, auth=(key, ""))
        done.append((name, answer.status_code))

    async def both():
        await asyncio.gather(ask("large", 10_000), ask("small", 1))

    asyncio.run(both())
    assert done == [("small", 200), ("large", 200)]


def test_what_a_request_inflates_to_counts_as_held(collector, monkeypatch):
    key = create_key(RequestContext.from_name(collector.shop, now=datetime.now(UTC)), "web").key
    monkeypatch.setattr("patron.interfaces.http.server.collector_protocol.SENDER_BYTES", 100_000)
    packed = gzip.compress(json.dumps({"batch": [message("a", properties={"product_id": "p" * 200_000})]}).encode())
    answer = through_the_wire(collector, "/v1/batch", packed, key)
    assert (answer.status_code, answer.json()["error"]) == (503, "Overloaded")
    assert through_the_wire(collector, "/v1/batch", b'{"batch": []}', key).status_code == 200


def test_a_browser_may_send_a_preflight_and_gets_its_settings(server, key):
    preflight = server.client.options("/v1/t", headers={"origin": "https://shop.example"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    settings = server.client.get(f"/v1/projects/{key}/settings").json()["integrations"]["Segment.io"]
    assert settings["apiKey"] == key
    assert settings["apiHost"] == f"127.0.0.1:{server.port}/v1"


def test_the_counters_add_up_and_can_be_scraped(server, key, request):
    source = request.node.name[:60]
    server.post("/v1/batch", {"batch": [message("a"), message("a"), message("b", userId=None)]}, key)
    (counted,) = [
        counter for counter in server.reader.get("/api/collector").json()["counters"] if counter["source"] == source
    ]
    assert counted["accepted"] == counted["stored"] + counted["duplicate"] + counted["rejected"] == 3
    text = server.client.get("/metrics").text
    assert f'patron_messages_stored_total{{source="{source}"}} 1' in text


def live_profile(server, shop_id, count):
    """The live profile a read key gets of a customer, once it has so many events; else the last answer."""
    bearer = {"authorization": f"Bearer {made_key(server, 'crm', 'read')}"}
    until = time.monotonic() + 5
    while time.monotonic() < until:
        answer = server.client.post("/api/customers/lookup", json={"shop_id": shop_id}, headers=bearer)
        if answer.status_code == 200 and answer.json()["live"]["event_count"] == count:
            break
        time.sleep(0.02)
    return answer.json(), bearer


def test_an_event_is_in_the_live_profile_soon_after_its_answer(server, key):
    first = [message(f"l{n}", userId="live 1", anonymousId="device 1") for n in range(3)]
    assert server.post("/v1/batch", {"batch": first}, key).status_code == 200
    customer_json, bearer = live_profile(server, "live 1", 3)
    assert customer_json["live"]["event_count"] == 3
    cart = message("l9", event="Product Added", userId="live 1", properties={"product_id": "p7", "quantity": 2})
    server.post("/v1/t", cart, key)
    updated, _ = live_profile(server, "live 1", 4)
    assert updated["live"]["cart"] == [{"product_id": "p7", "quantity": 2}]
    assert updated["live"]["visit"]["is_open"]
    customer = server.client.get(f"/api/customers/{customer_json['customer_id']}", headers=bearer).json()
    assert customer.keys() == {"customer_id", "live"}
    assert customer["live"]["event_count"] == 4
    page = server.reader.get(f"/customers/{customer_json['customer_id']}")
    assert page.status_code == 200
    assert "p7" in page.text
    assert live_profile(server, "device 1", 4)[0]["customer_id"] == customer_json["customer_id"]


REFUSAL = {"type", "title", "status", "detail", "instance", "error", "what", "where", "todo"}
REFUSAL |= {"code", "values", "todo_code", "todo_values"}
OPEN_TO_ANY_KEY = {"/health", "/metrics", "/version"}
READ = [
    route.path.format(decision_id="x")
    for module in (server_routes, insight_routes, model_routes, data_routes, offer_routes)
    for route in module.router.routes
    if "GET" in route.methods and (route.path in OPEN_TO_ANY_KEY or route.right in KEY_RIGHTS["read"])
    if "{" not in route.path.replace("{decision_id}", "")
]
LOOKUPS = ["/api/customers/lookup", "/api/decisions/lookup"]


def status_of(server, path, header):
    headers = {"authorization": header}
    if path in LOOKUPS:
        return server.client.post(path, json={"shop_id": "nobody"}, headers=headers).status_code
    return server.client.get(path, headers=headers).status_code


@pytest.mark.parametrize("path", [*READ, *LOOKUPS])
def test_what_is_read_is_read_with_a_read_or_secret_key(server, key_of, path):
    read, write, secret = key_of["read"], key_of["write"], key_of["secret"]
    basic = "Basic " + b64encode(f"{read}:".encode()).decode()
    answered = status_of(server, path, f"Bearer {read}")
    assert answered in {200, 404, 422}
    assert status_of(server, path, basic) == status_of(server, path, f"Bearer {secret}") == answered
    assert status_of(server, path, f"Bearer {write}") == (answered if path in OPEN_TO_ANY_KEY else 403)
    assert [status_of(server, path, header) for header in ("Bearer pk_read_wrong", "Bearer", "Basic !", "")] == [
        401
    ] * 4


def test_a_key_that_was_revoked_reads_nothing(server):
    key = made_key(server, "gone", "read")
    assert status_of(server, "/version", f"Bearer {key}") == 200
    revoke_key(
        RequestContext.from_name(server.shop, now=datetime.now(UTC)),
        next(one.key_id for one in list_keys(server.shop) if one.source == "gone"),
    )
    assert status_of(server, "/version", f"Bearer {key}") == 401


def test_the_document_has_what_the_collector_takes(server):
    paths = server.client.get("/openapi.json").json()["paths"]
    collector = {path for path, operations in paths.items() if "collector" in next(iter(operations.values()))["tags"]}
    assert collector == {*BODY_KIND_BY_PATH, "/v1/projects/{write_key}/settings"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/customers?page=0&sort=colour", None, 422),
        ("GET", "/api/customers?persona=x", None, 422),
        ("POST", "/api/customers/lookup", b"{", 422),
        ("POST", "/api/customers/lookup", b"\xff", 400),
        ("POST", "/api/customers/lookup", b'{"shop_id": ""}', 422),
        ("GET", "/api/customers/nobody", None, 404),
        ("GET", "/api/decisions?run=2011-01-01", None, 404),
        ("POST", "/api/decisions/lookup", b'{"shop_id": ""}', 422),
        ("GET", "/api/nothing", None, 404),
        ("PUT", "/api/overview", None, 405),
        ("POST", "/api/people/forget", b"{}", 401),
        ("POST", "/v1/batch", b"hello", 400),
        ("POST", "/v1/nothing", b"{}", 404),
        ("PUT", "/v1/track", b"{}", 405),
    ],
)
def test_every_refusal_has_one_shape_in_our_own_words(server, method, path, body, status):
    headers = {"content-type": "application/json"}
    client = server.client if path.startswith("/v1/") or status == 401 else server.reader
    answer = client.request(method, path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == REFUSAL
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["instance"] == path.partition("?")[0]
    assert answer.json()["what"] == answer.json()["detail"] != ""
    assert answer.json()["todo"]
    assert not any(word in answer.text for word in ("Input should", "pydantic"))


def test_a_refusal_names_every_parameter_that_is_wrong(server):
    refused = server.reader.get("/api/customers", params={"page": 0, "sort": "colour", "search": "x" * 65}).json()
    assert refused["what"].split("; ") == [
        "search is longer than 64 characters",
        f"sort is not one of {', '.join(map(repr, SORTS[:-1]))} or {SORTS[-1]!r}",
        "page is below 1",
    ]
    assert refused["where"] == "/api/customers"


def test_a_foreign_host_is_refused_in_the_same_shape_and_a_bad_key_at_the_metrics_too(server):
    foreign = server.client.get("/api/overview", headers={"host": "shop.example"})
    assert (foreign.status_code, foreign.json().keys()) == (400, REFUSAL)
    metrics = server.client.get("/metrics", headers={"authorization": "Bearer wrong"})
    assert (metrics.status_code, metrics.json().keys()) == (401, REFUSAL)


def test_what_the_collector_takes_is_described(server):
    document = server.client.get("/openapi.json").json()
    batch = document["paths"]["/v1/batch"]["post"]
    assert batch["security"] == [{"WriteKey": []}, {"SecretKey": []}]
    assert {"200", "400", "401", "413", "429", "503"} <= batch["responses"].keys()
    refusal = batch["responses"]["401"]["content"]["application/problem+json"]["schema"]["$ref"].rpartition("/")[2]
    assert set(document["components"]["schemas"][refusal]["properties"]) == REFUSAL
    assert "HTTPValidationError" not in document["components"]["schemas"]


PEOPLE = ["/api/people/forget", "/api/people/export", "/api/people/explanation"]


@pytest.mark.parametrize("path", PEOPLE)
def test_what_concerns_one_person_needs_a_secret_key(server, key_of, path):
    def status_of(credentials):
        headers = {"authorization": f"Bearer {credentials}"} if credentials else {}
        return server.client.post(path, json={"user_id": "nobody"}, headers=headers).status_code

    refused = [status_of(one) for one in ("", "pk_secret_wrong", key_of["read"], key_of["write"])]
    assert [*refused, status_of(key_of["secret"])] == [401, 401, 403, 403, 404]


@pytest.mark.parametrize("body", [{}, {"user_id": "a", "email": "b"}, {"user_id": " "}, {"name": "x"}, {"user_id": 7}])
def test_a_person_is_identified_in_exactly_one_way(server, key_of, body):
    headers = {"authorization": f"Bearer {key_of['secret']}"}
    assert server.client.post("/api/people/forget", json=body, headers=headers).status_code == 422


def test_a_person_is_exported_and_forgotten_over_http(server):
    secret = made_key(server, "people", "secret")
    headers = {"authorization": f"Bearer {secret}"}
    identify = message("fx", type="identify", userId="forget me", traits={"email": "fay@example.org"})
    assert (
        server.post("/v1/batch", {"batch": [identify, message("fy", userId="forget me")]}, secret).json()["stored"] == 2
    )
    known = server.client.post("/api/people/export", json={"email": "fay@example.org"}, headers=headers).json()
    assert [row["event_id"] for row in known["tables"]["events"]] == ["fx", "fy"]
    assert "fay@example.org" in str(known["texts"])
    done = server.client.post("/api/people/forget", json={"user_id": "forget me"}, headers=headers).json()
    assert done["erased"]["rows of events"] == 2
    assert len(done["audit_hash"]) == 64
    export = server.client.post("/api/people/export", json={"user_id": "forget me"}, headers=headers)
    assert export.status_code == 404
    lookup = server.client.post("/api/customers/lookup", json={"shop_id": "forget me"}, headers=headers)
    assert lookup.status_code == 404


def require(is_there, todo):
    assert is_there or not os.environ.get("CI"), f"CI has the clients: {todo}"
    if not is_there:
        pytest.skip(f"the clients are not installed: {todo}")


def sent(server, client, command):
    key = made_key(server, client)
    subprocess.run([*command, server.address, key, str(EACH)], check=True, capture_output=True, timeout=120)


def stored_by(folder, source):
    """Events of a source, in the lake and still in the inbox."""
    shop = Shop.open(folder)
    inbox = open_inbox(shop)
    requests = [request for request in inbox.pending_requests(max_bytes=10**9) if request.source == source]
    inbox.close()
    rows = shop.lake.read(EVENTS)
    shop.close()
    moved = rows.filter(pc.equal(rows["source"], source))["event_id"].to_pylist()
    return moved + [row["event_id"] for request in requests for row in request.rows]


@pytest.mark.parametrize("client", PYTHON)
def test_a_python_client_delivers_every_event_unchanged(server, client):
    python = CLIENTS / ".venv" / "bin" / "python"
    require(python.exists(), "install tests/clients/requirements.txt into tests/clients/.venv")
    sent(server, f"python {client}", [str(python), str(CLIENTS / "send.py"), client])
    assert_delivered(server, f"python {client}")


@pytest.mark.parametrize("client", NODE)
def test_a_node_client_delivers_every_event_unchanged(server, client):
    has_node = (CLIENTS / "node_modules").is_dir() and shutil.which("node") is not None
    require(has_node, "npm install --prefix tests/clients")
    sent(server, f"node {client}", ["node", str(CLIENTS / "send.js"), client])
    assert_delivered(server, f"node {client}")


def assert_delivered(server, source):
    counters = {counter["source"]: counter for counter in server.reader.get("/api/collector").json()["counters"]}
    assert counters[source]["stored"] == EACH
    assert counters[source]["rejected"] == 0
    for _ in range(100):
        if len(set(stored_by(server.folder, source))) == EACH:
            break
        time.sleep(0.1)
    assert len(set(stored_by(server.folder, source))) == EACH


def test_an_unknown_path_and_a_key_that_cannot_send_are_reported_as_json(server, key):
    lost = server.post("/v1/trck", message(), key)
    assert (lost.status_code, lost.json()["error"]) == (404, "NotFound")
    assert "/v1/track" in lost.json()["todo"]
    read = made_key(server, "crm", "read")
    refused = server.post("/v1/track", message("by-read"), read)
    assert refused.status_code == 401
    assert "this read key may not send" in refused.json()["what"]
    assert server.post("/v1/track", message("bearer"), authorization=f"Bearer {key}").json()["stored"] == 1
