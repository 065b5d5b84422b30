"""Clients that stall, flood or lie on loopback: whoever waits holds nothing, and others are answered meanwhile."""

import asyncio
import json
import socket
import threading
import time
from base64 import b64encode
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import uvicorn

from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.interfaces.http.application import create_app
from patron.interfaces.http.server.body_budget import BodyBudget
from patron.interfaces.http.server.collector_protocol import CollectorProtocol
from patron.interfaces.http.server.connection_limits import ConnectionLimits, OpenConnections
from patron.interfaces.http.server.server import server_config
from patron.schema.access.access_rights import VISITOR
from patron.schema.errors import Overloaded
from patron.service.collector import Collector
from patron.storage.shop import Shop

QUICK = ConnectionLimits(
    connections=40,
    reserved_connections=4,
    head_seconds=0.4,
    body_seconds=0.4,
    answer_seconds=0.3,
    linger_seconds=0.5,
    check_seconds=0.05,
)
PATIENCE = 5.0
OTHER = "127.0.0.2"
"""A second peer on this machine."""
REFUSAL = {"type", "title", "status", "detail", "instance", "error", "what", "where", "todo"}
REFUSAL |= {"code", "values", "todo_code", "todo_values"}
EVENT = {"type": "track", "event": "Product Viewed", "userId": "u1", "properties": {"product_id": "p1"}}


class Served:
    """A server in a thread, with the keys of its shop."""

    def __init__(self, shop, protocol, port):
        self.shop, self.protocol, self.port = shop, protocol, port
        self.key, self.secret, self.read = (
            create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "web", kind).key
            for kind in ("write", "secret", "read")
        )

    def connect(self, peer="127.0.0.1"):
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE, source_address=(peer, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    @contextmanager
    def crowd(self, *peers):
        """A connection from each of these peers."""
        with ExitStack() as stack:
            yield [stack.enter_context(self.connect(peer)) for peer in peers]

    def ask(self, head, body=b"", peer="127.0.0.1", **headers):
        """Status, headers and body of the answer to one request."""
        with self.connect(peer) as connection:
            return exchange(connection, head, body, **headers)

    def send_event(self, peer="127.0.0.1"):
        body = json.dumps(EVENT).encode()
        return self.ask("POST /v1/track", body, peer, authorization=basic(self.key))[0]

    def health(self):
        status, _, body = self.ask("GET /health", peer=OTHER)
        return (status, json.loads(body)["is_accepting"])


def basic(key):
    return "Basic " + b64encode(f"{key}:".encode()).decode()


def head_of(line, length=None, **headers):
    lines = [f"{line} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {length}"] if length is not None else []
    return "\r\n".join([*lines, "", ""]).encode()


def exchange(connection, line, body=b"", **headers):
    connection.sendall(head_of(line, len(body) if body else None, **headers) + body)
    return answer_of(connection)


def answer_of(connection):
    """The next answer on a connection: (0, {}, b"") when it was closed without one."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        part = connection.recv(65_536)
        if not part:
            return 0, {}, raw
        raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in rest)
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    return int(first.split()[1]), headers, body


async def with_slow_paths(application, scope, receive, send):
    """The application, and two paths that keep the server or the client busy."""
    if scope["type"] != "http" or scope["path"] not in {"/slow", "/large"}:
        await application(scope, receive, send)
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    body = b"x" * (30_000_000 if scope["path"] == "/large" else 1)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    for start in range(0, len(body), 1_000_000):
        chunk = body[start : start + 1_000_000]
        await send({"type": "http.response.body", "body": chunk, "more_body": start + len(chunk) < len(body)})


@contextmanager
def serving(shop, limits=QUICK):
    collector = Collector(shop)
    collector.start()
    application = create_app(shop, collector, visitor=VISITOR)
    protocol = CollectorProtocol(collector, lambda *asgi: with_slow_paths(application, *asgi))
    server = uvicorn.Server(server_config(protocol, shop.settings.collect, limits, lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Served(shop, protocol, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        collector.stop()
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("hostile")
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        made = Shop.create(home / "shop")
        yield made
        made.close()


@pytest.fixture(scope="module")
def server(shop):
    with serving(shop) as running:
        yield running


@pytest.fixture
def budgets(server, monkeypatch):
    """Little memory, so that few bytes are many."""
    monkeypatch.setattr(server.protocol, "senders", BodyBudget(400_000, 200_000))
    monkeypatch.setattr(server.protocol, "strangers", BodyBudget(400_000, 200_000))


@pytest.mark.usefixtures("budgets")
@pytest.mark.parametrize("key", ["none", "write"])
def test_stalled_bodies_shut_nobody_out(server, key):
    """Each promises 4 MB and stops: whoever has been sending longest gives way."""
    headers = {"authorization": basic(server.key)} if key == "write" else {}
    with server.crowd(*["127.0.0.1"] * 16) as stalled:
        for one in stalled:
            one.sendall(head_of("POST /v1/batch", 4_000_000, **headers) + b'{"batch": [' + b" " * 60_000)
        assert server.send_event() == server.send_event(OTHER) == 200
        assert server.health() == (200, True)
        answers = [answer_of(one) for one in stalled]
    assert {status for status, _, _ in answers} == {408, 503}
    assert all(json.loads(body).keys() == REFUSAL for _, _, body in answers)
    until = time.monotonic() + PATIENCE
    while server.protocol.senders.held + server.protocol.strangers.held and time.monotonic() < until:
        time.sleep(0.01)
    assert (server.protocol.senders.held, server.protocol.strangers.held) == (0, 0)


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("POST /v1/batch", {"authorization": basic("pk_write_wrong")}, 401),
        ("POST /v1/batch", {"authorization": "Bearer pk_write_wrong"}, 401),
        ("POST /beacon/v1/batch?writeKey=wrong", {}, 401),
        ("POST /sa", {}, 401),
        ("POST /sa?token=wrong", {}, 401),
        ("POST /api/people/forget", {}, 401),
        ("POST /api/people/export", {"authorization": "Bearer wrong"}, 401),
        ("POST /api/customers/lookup", {"authorization": "Bearer wrong"}, 401),
        ("POST /api/nothing", {}, 404),
        ("POST /v1/nothing", {}, 404),
        ("PUT /v1/batch", {}, 405),
    ],
)
def test_a_refusal_that_the_head_decides_waits_for_no_body(server, line, headers, status):
    with server.connect() as connection:
        connection.sendall(head_of(line, 10**12, **headers))
        answered, answer_headers, body = answer_of(connection)
        assert (answered, answer_headers["connection"]) == (status, "close")
        assert json.loads(body).keys() == REFUSAL
        assert answer_headers["x-content-type-options"] == "nosniff"


def test_a_client_that_sends_all_of_a_refused_body_can_read_why(server):
    with server.connect() as connection:
        connection.sendall(head_of("POST /v1/batch", 3_000_000, authorization=basic("pk_write_wrong")))
        for _ in range(30):
            connection.sendall(b" " * 100_000)
        assert answer_of(connection)[0] == 401
        assert connection.recv(1) == b""


def test_a_body_of_the_api_or_a_page_is_small(server):
    large, secret = b"x" * 70_000, {"authorization": f"Bearer {server.secret}", "content_type": "application/json"}
    assert server.ask("POST /api/people/forget", large, **secret)[0] == 413
    assert server.ask("POST /api/customers/lookup", large, content_type="application/json")[0] == 413
    assert server.ask("POST /customers/lookup", large)[0] == 413
    with server.connect() as connection:
        connection.sendall(head_of("POST /api/people/forget", transfer_encoding="chunked", **secret))
        with suppress(OSError):
            for _ in range(5):
                connection.sendall(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        assert answer_of(connection)[0] == 413


ENDLESS = {
    "a header": (b"GET / HTTP/1.1\r\nx: ", b"x" * 50_000, 431),
    "headers": (b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 10_000, 431),
    "an address": (b"GET /", b"x" * 50_000, 414),
    "a long address": (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", b"", 414),
    "short headers": (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n", b"", 431),
    "chunks without content": (
        b"POST /v1/track HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;",
        b"x" * 100_000,
        431,
    ),
    "trailers": (
        b"POST /v1/track HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n",
        b"x: y\r\n" * 20_000,
        431,
    ),
    "no HTTP": (b"\x16\x03\x01\x00\xa5", b"", 400),
    "a lie about its length": (b"POST /v1/track HTTP/1.1\r\ncontent-length: -5\r\n\r\n", b"", 400),
    "two lengths": (
        b"POST /v1/track HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"",
        400,
    ),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_or_no_sense_is_refused(server, capfd, what):
    start, more, status = ENDLESS[what]
    with server.connect() as connection:
        connection.sendall(start)
        with suppress(OSError):
            connection.sendall(more)
        answered, headers, body = answer_of(connection)
    assert answered == status
    assert json.loads(body).keys() == REFUSAL
    assert headers["x-content-type-options"] == "nosniff"
    assert capfd.readouterr().err == ""


H, OURS, EVIL = b"Host: 127.0.0.1\r\n", b"127.0.0.1", b"evil.example"
TWO_READINGS = {
    "two hosts": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n",
    "two hosts, ours last": b"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\n",
    "the same host twice": b"GET / HTTP/1.1\r\n" + H + H,
    "the same host in other letters": b"GET / HTTP/1.1\r\n" + H + H.replace(b"Host", b"hOST"),
    "two hosts of 1.0": b"GET / HTTP/1.0\r\n" + H + b"Host: evil.example\r\n",
    "a second host that is empty": b"GET / HTTP/1.1\r\n" + H + b"Host:\r\n",
    "no host": b"GET / HTTP/1.1\r\n",
    "an empty host": b"GET / HTTP/1.1\r\nHost:\r\n",
    "a host of blanks": b"GET / HTTP/1.1\r\nHost:   \r\n",
    "a list of hosts": b"GET / HTTP/1.1\r\nHost: 127.0.0.1, evil.example\r\n",
    "a list of hosts without blanks": b"GET / HTTP/1.1\r\nHost: 127.0.0.1,evil.example\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: 127.0.0.1/x\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: evil.example@127.0.0.1\r\n",
    "a host with a scheme": b"GET / HTTP/1.1\r\nHost: http://127.0.0.1\r\n",
    "a host with a query": b"GET / HTTP/1.1\r\nHost: 127.0.0.1?evil\r\n",
    "a host with two ports": b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80:80\r\n",
    "a host with a tab": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\tevil\r\n",
    "a host with a byte beyond ASCII": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\xe2\x80\x8b\r\n",
    "a folded host": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n evil.example\r\n",
    "a blank before the colon": b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n",
    "another host in the target": b"GET http://evil.example/ HTTP/1.1\r\n" + H,
    "another host in the target, ours in the path": b"GET http://evil.example/127.0.0.1 HTTP/1.1\r\n" + H,
    "our host in the target, another as host": b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: evil.example\r\n",
    "another port in the target": b"GET http://127.0.0.1:81/ HTTP/1.1\r\n" + H,
    "a user in the target": b"GET http://127.0.0.1@evil.example/ HTTP/1.1\r\n" + H,
    "a password in the target": b"GET http://a:b@127.0.0.1/ HTTP/1.1\r\n" + H,
    "a target without a path": b"GET http://evil.example HTTP/1.1\r\n" + H,
    "a target of another scheme": b"GET gopher://127.0.0.1/ HTTP/1.1\r\n" + H,
    "a target without a slash": b"GET ?x HTTP/1.1\r\n" + H,
    "a target that is a name": b"GET evil.example HTTP/1.1\r\n" + H,
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\n" + H,
    "the whole server": b"OPTIONS * HTTP/1.1\r\n" + H,
    "two lengths that differ": b"POST /v1/track HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n" + H,
    "two lengths that agree": b"POST /v1/track HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n" + H,
    "a list of lengths": b"POST /v1/track HTTP/1.1\r\nContent-Length: 5, 5\r\n" + H,
    "a length with a sign": b"POST /v1/track HTTP/1.1\r\nContent-Length: +5\r\n" + H,
    "a length in hexadecimal": b"POST /v1/track HTTP/1.1\r\nContent-Length: 0x5\r\n" + H,
    "an empty length": b"POST /v1/track HTTP/1.1\r\nContent-Length:\r\n" + H,
    "an encoding and a length": b"POST /v1/track HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n" + H,
    "two encodings": b"POST /v1/track HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" + H,
    "an unknown encoding": b"POST /v1/track HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n" + H,
    "chunks within others": b"POST /v1/track HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n" + H,
    "packed chunks": b"POST /v1/track HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" + H,
    "chunks twice": b"POST /v1/track HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n" + H,
    "chunks of 1.0": b"POST /v1/track HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + H,
    "a line that ends half": b"GET / HTTP/1.1\nHost: 127.0.0.1\n",
    "a NUL": b"GET / HTTP/1.1\r\nx: a\0b\r\n" + H,
    "a bare CR": b"GET / HTTP/1.1\r\nx: a\rHost: evil.example\r\n" + H,
    **{
        f"{name} twice": b"GET / HTTP/1.1\r\n" + H + b"%b: a\r\n%b: b\r\n" % (name.encode(), name.encode())
        for name in (
            *("Authorization", "Cookie", "Origin", "Sec-Fetch-Site", "X-CSRF-Token", "Idempotency-Key"),
            *("Content-Type", "Content-Encoding", "X-Forwarded-Proto", "Expect"),
        )
    },
}


@pytest.mark.parametrize("what", TWO_READINGS)
def test_a_request_that_two_servers_could_read_differently_is_refused(server, capfd, what):
    with server.connect() as connection:
        connection.sendall(TWO_READINGS[what] + b"\r\n")
        status, headers, body = answer_of(connection)
    assert status == 400
    assert json.loads(body).keys() == REFUSAL
    assert headers["connection"] == "close", "what follows it may be no request of this client"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:8321\r\n",
        b"GET /health HTTP/1.1\r\nHost: LOCALHOST\r\n",
        b"GET http://127.0.0.1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"GET http://LocalHost:80/health HTTP/1.1\r\nHost: localhost:80\r\n",
        b"GET /health HTTP/1.0\r\nHost: localhost\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nAccept: a\r\nAccept: b\r\n",
    ],
)
def test_a_request_of_one_meaning_is_answered(server, request_head):
    with server.connect() as connection:
        connection.sendall(request_head + b"\r\n")
        assert answer_of(connection)[0] == 200


def test_a_chunked_body_ends_at_4_megabytes(server):
    with server.connect() as connection:
        headers = {"transfer_encoding": "chunked", "authorization": basic(server.key)}
        connection.sendall(head_of("POST /v1/batch", **headers))
        with suppress(OSError):
            for _ in range(80):
                connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        assert answer_of(connection)[0] == 413


@pytest.mark.parametrize(
    ("start", "drop", "status"),
    [
        (b"", b"", 0),
        (b"", b"\r\n", 0),
        (b"GET /health HTTP/1.1\r\n", b"x", 408),
        (b"POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n", b"x", 408),
        (b"POST /api/customers/lookup HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n", b"x", 408),
    ],
)
def test_a_byte_now_and_then_holds_no_connection(server, start, drop, status):
    began = time.monotonic()
    with server.connect() as connection:
        connection.sendall(start)
        connection.settimeout(0.1)
        while time.monotonic() < began + PATIENCE:
            try:
                assert answer_of(connection)[0] == status
                break
            except TimeoutError:
                connection.sendall(drop)
    assert time.monotonic() - began < 1.5


def test_a_client_that_reads_no_answer_is_let_go(server):
    with server.connect() as connection:
        connection.sendall(head_of("GET /large"))
        time.sleep(1.0)
        received = 0
        with suppress(ConnectionError):
            while part := connection.recv(1_000_000):
                received += len(part)
    assert received < 30_000_000


@pytest.mark.parametrize("peer", ["127.0.0.1", OTHER])
def test_idle_connections_shut_nobody_out(server, peer):
    with server.crowd(*["127.0.0.1"] * 60):
        assert [server.send_event(peer) for _ in range(3)] == [200] * 3
        assert server.health() == (200, True)


def test_health_is_answered_while_every_connection_is_in_use(server):
    with server.crowd(*["127.0.0.1", OTHER] * 20) as busy:
        for one in busy:
            one.sendall(head_of("GET /slow"))
        time.sleep(0.1)
        assert server.send_event("127.0.0.3") == 503
        assert server.health() == (200, True)
        assert [answer_of(one)[0] for one in busy] == [200] * 40
        assert server.send_event("127.0.0.3") == 200


def test_requests_on_one_connection_are_answered_in_order_and_not_without_number(server):
    with server.connect() as connection:
        connection.sendall(head_of("GET /version") * 5)
        assert [answer_of(connection)[0] for _ in range(1)] == [200]
    with server.connect() as connection:
        connection.sendall(head_of("GET /slow") * 100)
        assert answer_of(connection)[0] == 0


def test_a_client_that_asks_whether_to_go_on_is_refused_or_told_to(server):
    body = json.dumps(EVENT).encode()
    with server.connect() as connection:
        connection.sendall(head_of("POST /v1/track", len(body), expect="100-continue", authorization=basic("pk_no")))
        assert answer_of(connection)[0] == 401
    with server.connect() as connection:
        connection.sendall(head_of("POST /v1/track", len(body), expect="100-continue", authorization=basic(server.key)))
        assert answer_of(connection)[0] == 100
        connection.sendall(body)
        assert answer_of(connection)[0] == 200


def test_a_server_with_stalled_clients_stops_at_once(shop):
    with serving(shop, replace(QUICK, head_seconds=60.0, body_seconds=60.0)) as running:
        stalled = [running.connect() for _ in range(3)]
        stalled[0].sendall(b"GET /")
        stalled[1].sendall(head_of("POST /v1/track", 1_000, authorization=basic(running.key)))
    for one in stalled:  # why: the server has ended within PATIENCE, or `serving` has failed
        one.close()


class Client:
    """A connection as the table of connections knows it."""

    def __init__(self, table, peer):
        self.table, self.peer, self.waits, self.is_open = table, peer, True, True

    def is_waiting(self):
        return self.waits

    def evict(self):
        self.is_open = False
        self.table.discard(self, self.peer)

    def check_time(self, now):
        pass


def connected(table, peer, count):
    clients = [Client(table, peer) for _ in range(count)]
    return clients, [table.admit(client, peer) for client in clients]


def test_connections_give_way_among_the_peer_that_has_too_many():
    asyncio.run(connections_give_way())


async def connections_give_way():
    table = OpenConnections(ConnectionLimits(connections=10, connections_per_peer=6), proxies=("proxy",))
    honest, _ = connected(table, "honest", 3)
    crowd, admitted = connected(table, "crowd", 20)
    assert all(admitted)
    assert [one.is_open for one in crowd] == [False] * 14 + [True] * 6
    many, _ = connected(table, "proxy", 8)
    assert all(one.is_open for one in honest)
    assert sum(one.is_open for one in crowd + many) == 7
    assert table.count == 10


def test_a_body_gives_way_to_another_when_it_takes_longer_and_memory_is_short():
    asyncio.run(bodies_give_way())


async def bodies_give_way():
    budget, evicted = BodyBudget(100, 60), []

    async def stall(peer, size):
        reservation = budget.reserve(peer)
        reservation.grow(size)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            evicted.append((peer, size))

    stalled = [asyncio.create_task(stall(*one)) for one in (("a", 30), ("b", 20), ("a", 25))]
    await asyncio.sleep(0)
    honest = budget.reserve("a")
    honest.grow(40)
    await asyncio.sleep(0)
    assert evicted == [("a", 30), ("a", 25)]
    honest.complete()
    with pytest.raises(Overloaded):
        budget.reserve("a").grow(30)
    honest.release()
    assert budget.held == 50
    for one in stalled:
        one.cancel()
