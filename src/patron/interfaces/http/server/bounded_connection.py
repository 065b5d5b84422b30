"""One connection of the server: uvicorn's, with bounds for what its client sends and how long it takes."""

import asyncio
import re
from typing import Any, cast

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from patron.interfaces.http.refusals import PROBLEM_JSON, refusal_content
from patron.interfaces.http.server.connection_limits import OpenConnections
from patron.schema.common_sentences import SHORTEN, TRY_IN_A_SECOND
from patron.schema.errors import BadRequest, Overloaded, PatronError
from patron.schema.sentences import Sentence

TOO_MANY_CONNECTIONS = Sentence("too_many_connections", "too many connections are open")
SERVER_STOPPING = Sentence("server_stopping", "the server is stopping")
REQUEST_LATE = Sentence("request_late", "the request did not arrive in time")
NOT_HTTP = Sentence("not_http", "the request is not valid HTTP/1.1")
HEADER_TWICE = Sentence("header_twice", "the header {name} comes more than once")
HOST_NOT_ONE = Sentence("host_not_one", "the header Host is not one name, with or without a port")
TARGET_NOT_HOST = Sentence("target_not_host", "the address of the request does not match its header Host")
ENCODING_NOT_CHUNKED = Sentence("encoding_not_chunked", "only the transfer encoding chunked, in HTTP/1.1, is accepted")
SEND_ONCE = Sentence("send_once", "Send it once.")
SEND_ONE_HOST = Sentence("send_one_host", "Send the host and port of the address, as HTTP clients do.")
SEND_WITHOUT_PAUSES = Sentence("send_without_pauses", "Send it again without pauses.")
SEND_WITH_CLIENT = Sentence("send_with_client", "Send it with an HTTP client.")

PIECE_BYTES = 65_536
"""What arrives is parsed in pieces of this size, between which the bounds are checked."""
FRAMES_PER_BYTE = 8
"""Bytes that may frame one byte of a chunked body."""
HEALTH = "/health"
ONCE = frozenset(
    {
        *(b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-encoding", b"expect"),
        *(b"authorization", b"cookie", b"origin", b"sec-fetch-site", b"x-csrf-token", b"idempotency-key"),
        b"x-forwarded-proto",
    }
)
"""Headers that decide something, of which a request has one: of two, a proxy in front may have read the other.

X-Forwarded-For is no such header: each proxy may add a line, and the last one that is not a proxy's of ours counts.
"""
HOST = re.compile(rb"([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
TARGET_WITH_HOST = re.compile(rb"https?://([^/?#]+)/.*", re.DOTALL)
CHUNKED = b"chunked"
SMALLER = "Send fewer and shorter headers."
OVERLOADED = Overloaded(TOO_MANY_CONNECTIONS, where="server", todo=TRY_IN_A_SECOND)
STOPPING = Overloaded(SERVER_STOPPING, where="server", todo=TRY_IN_A_SECOND)
LATE = BadRequest(408, REQUEST_LATE, todo=SEND_WITHOUT_PAUSES)
UNREADABLE = BadRequest(400, NOT_HTTP, todo=SEND_WITH_CLIENT)


class Violation(Exception):
    """A bound was passed while the parser was at work."""


class BoundedConnection(HttpToolsProtocol):
    """A connection that a slow, endless or hostile client cannot hold.

    It checks bounds between pieces of what arrives; its times are checked for all connections together, twice a second.
    """

    def __init__(self, *args: Any, connections: OpenConnections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.open = connections
        self.limits = connections.limits
        self.peer = ""
        self.since = 0.0
        """When the client's turn began: to send a head or a body, to read on, or to close."""
        self.is_in_head = False
        self.is_lingering = False
        self.frame_bytes = 0
        """Bytes of the request that are not its body."""
        self.piece_bytes = 0
        """Bytes of the piece that is parsed, before the first request that begins in it."""
        self.body_bytes = 0
        self.violation: BadRequest | None = None
        self.raw_transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn's
        """Start, in place of a slower connection if there are too many."""
        super().connection_made(transport)
        self.raw_transport = transport
        self.transport = cast("asyncio.Transport", LingeringTransport(self, transport))
        self.peer = self.client[0] if self.client else ""
        self.since = self.loop.time()
        if not self.open.admit(self, self.peer):
            if self.open.count > self.limits.connections + self.limits.reserved_connections:
                self.evict()
            self.app = _only_health(self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.open.discard(self, self.peer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, as far as it keeps to the bounds."""
        if self.is_lingering:
            return
        try:
            for start in range(0, len(data), PIECE_BYTES):
                piece = data if len(data) <= PIECE_BYTES else data[start : start + PIECE_BYTES]
                self.piece_bytes = len(piece)
                self.frame_bytes += len(piece)
                self.parser.feed_data(piece)  # pyright: ignore[reportOptionalMemberAccess] - None once it is closed
                self._check_frames()
                if self.transport.is_closing():
                    return
        except httptools.HttpParserUpgrade:
            pass  # why: nothing is upgraded here; the request is answered as any other
        except (httptools.HttpParserError, Violation):
            self.refuse(self.violation or UNREADABLE)

    def _check_frames(self) -> None:
        """Bound headers that never end, chunks without content and trailers."""
        if self.frame_bytes > self.limits.head_bytes + FRAMES_PER_BYTE * self.body_bytes:
            is_long = self.is_in_head and len(self.url) > self.limits.address_bytes
            self._violate(
                414 if is_long else 431, f"the headers are longer than {self.limits.head_bytes} bytes", SMALLER
            )
        if len(self.headers or ()) > self.limits.header_count:
            self._violate(431, f"more than {self.limits.header_count} headers", SMALLER)

    def _violate(self, status: int, what: str, todo: str) -> None:
        self.violation = BadRequest(status, what, todo=todo)
        raise Violation

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= self.limits.pipelined_requests:
            self._violate(400, f"more than {self.limits.pipelined_requests} requests wait", "Wait for answers.")
        super().on_message_begin()
        self.is_in_head, self.body_bytes = True, 0
        self.frame_bytes, self.piece_bytes = self.piece_bytes, 0
        self.since = self.loop.time()

    def on_headers_complete(self) -> None:
        """The body, if there is one, comes next."""
        if len(self.url) > self.limits.address_bytes:
            self._violate(414, f"the address is longer than {self.limits.address_bytes} bytes", SHORTEN)
        if len(self.headers) > self.limits.header_count:
            self._violate(431, f"more than {self.limits.header_count} headers", SMALLER)
        self._require_one_meaning()
        super().on_headers_complete()
        self.is_in_head = False
        self.since = self.loop.time()

    def _require_one_meaning(self) -> None:
        """Refuse what another server could read as a request to another host, of somebody else or of another length."""
        decisive = [(name, value) for name, value in self.headers if name in ONCE]
        values = dict(decisive)
        if len(values) < len(decisive):
            names = [name for name, _ in decisive]
            twice = next(name for name in names if names.count(name) > 1)
            self._violate(400, HEADER_TWICE(name=twice.decode()), SEND_ONCE)
        host, is_old = values.get(b"host"), self.parser.get_http_version() == "1.0"  # pyright: ignore[reportOptionalMemberAccess] - it calls us
        if not (host is None and is_old) and not HOST.fullmatch(host or b""):
            self._violate(400, HOST_NOT_ONE, SEND_ONE_HOST)
        if not self.url.startswith(b"/"):
            target = TARGET_WITH_HOST.fullmatch(self.url)
            if target is None or target[1].lower() != (host or b"").lower():
                self._violate(400, TARGET_NOT_HOST, SEND_ONE_HOST)
        encoding = values.get(b"transfer-encoding")
        if encoding is not None and (is_old or encoding.lower() != CHUNKED):
            self._violate(400, ENCODING_NOT_CHUNKED, SEND_WITH_CLIENT)

    def on_body(self, body: bytes) -> None:
        """Count what arrived; it moves on the time by which more must come."""
        self.body_bytes += len(body)
        self.frame_bytes -= len(body)
        self.piece_bytes -= len(body)
        self.since = min(self.loop.time(), self.since + len(body) / self.limits.bytes_per_second)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Go on with the next request, not with the rest of one that is answered; no timer a request as uvicorn's."""
        self.server_state.total_requests += 1
        self.since = self.loop.time()
        self.open.renew(self, self.peer)
        if self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()
            self._start_asgi_task(*self.pipeline.pop())
        elif self.cycle.more_body:
            self.transport.close()
        elif self.flow.read_paused:
            self.flow.resume_reading()

    def is_waiting(self) -> bool:
        """Whether the next move is the client's."""
        is_answering = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        return self.is_lingering or self.flow.write_paused or not is_answering

    def pause_writing(self) -> None:
        """Wait until the client reads on."""
        self.since = self.loop.time()
        super().pause_writing()

    def check_time(self, now: float) -> None:
        """Refuse or close when the client is late."""
        limits, late = self.limits, now - self.since
        if self.is_lingering:
            if late > limits.linger_seconds:
                self.raw_transport.abort()
        elif self.flow.write_paused:
            if late > limits.answer_seconds:
                self.raw_transport.abort()
        elif self.cycle is None or self.cycle.response_complete:
            if late > (limits.head_seconds if self.cycle is None or self.is_in_head else limits.idle_seconds):
                self.refuse(LATE)
        elif self.cycle.more_body:
            if self.flow.read_paused:
                self.since = min(now, self.since + limits.check_seconds)  # why: we keep the client waiting
            elif late > limits.body_seconds:
                self.refuse(LATE)

    def refuse(self, error: PatronError, *, is_urgent: bool = False) -> None:
        """Answer what has arrived of a request, if anything, and close; an urgent refusal waits for nobody."""
        cycle = self.cycle
        is_due = self.is_in_head
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            self.flow.resume_writing()
            is_due = not cycle.response_started and not self.pipeline
        elif error is UNREADABLE or self.violation:
            is_due = True
        if is_due and not self.raw_transport.is_closing():
            self.raw_transport.write(_answer(error))
        if is_due and not is_urgent:
            self.linger()
        else:
            self.raw_transport.close()

    def evict(self) -> None:
        """Close at once, for another connection."""
        self.open.discard(self, self.peer)
        if self.is_lingering or self.flow.write_paused:
            self.raw_transport.abort()
        else:
            self.refuse(OVERLOADED, is_urgent=True)

    def linger(self) -> None:
        """Send no more, and drop what comes: a socket closed with unread bytes would take the answer with it."""
        if self.is_lingering or self.raw_transport.is_closing():
            return
        self.is_lingering, self.since = True, self.loop.time()
        if self.raw_transport.can_write_eof():  # why: TLS has no half of a connection
            self.raw_transport.write_eof()
        self.flow.resume_reading()

    def shutdown(self) -> None:
        """Finish what is being answered, and wait for no client."""
        if self.is_waiting():
            self.refuse(STOPPING, is_urgent=True)
        else:
            super().shutdown()


class LingeringTransport:
    """The transport as uvicorn sees it: it closes when the client has had a chance to read the answer."""

    def __init__(self, connection: BoundedConnection, transport: asyncio.Transport) -> None:
        self._connection, self._transport = connection, transport
        self.write = transport.write

    def close(self) -> None:
        """Close; not yet while more of the request may be under way."""
        cycle = self._connection.cycle
        if cycle is not None and cycle.more_body:
            self._connection.linger()
        elif not self._connection.is_lingering:
            self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._connection.is_lingering or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _answer(error: PatronError) -> bytes:
    status = error.status if isinstance(error, BadRequest) else 503
    body = msgspec.json.encode(refusal_content(error, status=status))
    head = (
        b"content-type: application/problem+json\r\nx-content-type-options: nosniff\r\nconnection: close\r\n"
        b"content-length: %d\r\n%s\r\n" % (len(body), b"retry-after: 1\r\n" if status == 503 else b"")
    )
    return STATUS_LINE[status] + head + body


def _only_health(app: Any) -> Any:
    """An application that answers /health, and refuses all else: the connections for others are in use."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == HEALTH:
            await app(scope, receive, send)
            return
        body = msgspec.json.encode(refusal_content(OVERLOADED, scope["path"]))
        headers = [
            (b"content-type", PROBLEM_JSON.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", b"1"),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer
