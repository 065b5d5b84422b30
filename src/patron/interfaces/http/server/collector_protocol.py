"""The collector's wire protocol, as Segment's and RudderStack's clients speak it: raw ASGI for the hot path."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from patron import __version__
from patron.interfaces.http.access.request_keys import request_key
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.refusals import PROBLEM_JSON, is_collector_path, refusal_content
from patron.interfaces.http.server.body_budget import BodyBudget, BodyReservation
from patron.schema.common_sentences import (
    BODY_LARGE,
    ENDED_EARLY,
    METHOD_NOT_SERVED,
    NOTHING_HERE,
    SMALLER_BATCHES,
    TRY_IN_A_SECOND,
)
from patron.schema.errors import BadRequest, NotFound, Overloaded, PatronError
from patron.schema.sentences import Sentence
from patron.service.collector import (
    BATCH,
    HISTORY,
    KEY_PREFIX,
    MAX_BODY_BYTES,
    SENSORS,
    Collector,
    Key,
    check_encoding,
    request_body,
)

NOT_WRITE_KEY = Sentence("not_write_key", "this is not a write key")
NOT_TAKEN = Sentence("not_taken", "the request could not be accepted")
OTHERS_WAIT = Sentence("others_wait", "other requests wait while this body arrives")
USE_SOURCE_KEY = Sentence("use_source_key", "Use the key of the source.")
SEND_WITH_POST = Sentence("send_with_post", "Send it with POST.")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = dict[bytes, bytes]
"""By their names in lower case."""
T = TypeVar("T")
Answer = tuple[int, dict[str, Any] | None]
"""Status and content."""

KINDS = ("track", "identify", "page", "screen", "group", "alias")
KIND_BY_PATH = {f"/v1/{kind}": kind for kind in KINDS} | {
    f"/v1/{kind[0]}": kind for kind in ("track", "identify", "page")
}
KIND_BY_PATH |= {"/v1/s": "screen", "/v1/g": "group", "/v1/a": "alias"}
BODY_KIND_BY_PATH = KIND_BY_PATH | {
    "/v1/batch": BATCH,
    "/v1/b": BATCH,
    "/beacon/v1/batch": BATCH,
    "/v1/import": HISTORY,
    "/sa": SENSORS,
}
"""What the body of each path is."""
KEY_IN_ADDRESS = {"/beacon/v1/batch": "writeKey", "/sa": "token"}
"""Paths whose clients can set no header."""
SETTINGS_PATH = ("/v1/projects/", "/settings")
SENDER_BYTES = 64_000_000
"""Bytes of bodies held in memory at once whose senders are known from the header or the address."""
STRANGER_BYTES = 16_000_000
"""The same of bodies that must be read to find the key in them."""
VALIDATION_THREADS = 2
MAX_INLINE_BYTES = 65_536
"""A larger body is inflated and validated in a thread."""
MAX_LENGTH_DIGITS = 15
RETRY_AFTER = b"1"
ALLOWED = b"authorization, content-type, content-encoding, anonymousid, x-retry-count"
LOG = logging.getLogger(__name__)
JSON, PROBLEM = (b"content-type", b"application/json"), (b"content-type", PROBLEM_JSON.encode())
NOSNIFF = (b"x-content-type-options", b"nosniff")
CLOSE = (b"connection", b"close")


@dataclass
class CollectorProtocol:
    """Answers the collector's paths; every other path goes to `application`."""

    collector: Collector
    application: App
    senders: BodyBudget = field(init=False)
    strangers: BodyBudget = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Divide the memory."""
        share = self.collector.shop.settings.collect.peer_share
        self.senders = BodyBudget(SENDER_BYTES, int(SENDER_BYTES * share))
        self.strangers = BodyBudget(STRANGER_BYTES, int(STRANGER_BYTES * share))
        self._threads = ThreadPoolExecutor(VALIDATION_THREADS, "validate")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not is_collector_path(path):
            await self.application(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        reading = BodyReading(headers)
        if scope["method"] == "OPTIONS":
            status, content = 204, None
        elif scope["method"] == "GET" and path.startswith(SETTINGS_PATH[0]) and path.endswith(SETTINGS_PATH[1]):
            status, content = await self._refusing(
                path, self._settings(path, headers.get(b"host", b"").decode("latin-1"))
            )
        elif path not in BODY_KIND_BY_PATH:
            todo = f"Events are sent to {', '.join(sorted(BODY_KIND_BY_PATH))}."
            status, content = 404, refusal_content(NotFound(NOTHING_HERE, where=path, todo=todo), path)
        elif scope["method"] != "POST":
            error = BadRequest(405, METHOD_NOT_SERVED(method=scope["method"]), where=path, todo=SEND_WITH_POST)
            status, content = 405, refusal_content(error, path)
        else:
            status, content = await self._refusing(path, self._post(scope, path, reading, receive))
        await _answer(send, status, content, headers.get(b"origin", b"*"), is_last=reading.is_due)

    async def _refusing(self, path: str, answer: Awaitable[Answer]) -> Answer:
        """An answer, or the refusal that is raised in its place."""
        try:
            return await answer
        except (BadRequest, NotFound) as error:
            return status_of(error), refusal_content(error, path)
        except PatronError as error:  # why: our own trouble; the client keeps the messages and tries again
            return 503, {**refusal_content(error, path, status=503), "where": path}  # why: the rest is our inside
        except Exception:  # why: the same, and the client learns nothing of our inside
            LOG.exception("a request could not be taken")
            error = PatronError(NOT_TAKEN, todo=TRY_IN_A_SECOND)
            return 503, refusal_content(error, path, status=503)

    async def _post(self, scope: Scope, path: str, reading: "BodyReading", receive: Receive) -> Answer:
        """Check encoding and key, then read the body and hand it to the collector."""
        kind, headers = BODY_KIND_BY_PATH[path], reading.headers
        encoding = check_encoding(headers.get(b"content-encoding", b"").decode("latin-1"))
        key, is_in_address = _key(scope, path, headers)
        sender = self.collector.admit(key, kind, now=datetime.now(UTC), is_in_address=is_in_address)
        client = scope.get("client")
        reservation = (self.senders if sender else self.strangers).reserve(client[0] if client else "")
        try:
            raw = await reading.read(receive, reservation)
            inflate = partial(request_body, raw, kind, encoding=encoding)
            body = inflate() if len(raw) <= MAX_INLINE_BYTES else await self._in_thread(inflate)
            reservation.grow(max(0, len(body) - len(raw)))
            return await self._accept(body, kind, sender)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not reservation.is_evicted or task is None:
                raise
            task.uncancel()
            raise Overloaded(OTHERS_WAIT, todo=TRY_IN_A_SECOND) from None
        finally:
            reservation.release()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Work on a large body, so that other requests need not wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _accept(self, body: bytes, kind: str, sender: Key | None) -> Answer:
        validate = partial(self.collector.receive, body, kind, sender=sender, received_at=datetime.now(UTC))
        received = validate() if len(body) <= MAX_INLINE_BYTES else await self._in_thread(validate)
        counts = await asyncio.wrap_future(received.counts)
        message = {"messageId": received.request.messages[0].event_id} if kind in KINDS else {}
        return 200, {"success": not counts.rejected, **message, **vars(counts), "errors": received.errors}

    async def _settings(self, path: str, host: str) -> Answer:
        """The settings that Segment's browser client requests before it starts. Raises NotFound for an unknown key."""
        secret = path.removeprefix(SETTINGS_PATH[0]).removesuffix(SETTINGS_PATH[1])
        key = self.collector.find_key(secret, now=datetime.now(UTC))
        if key is None or key.kind != "write":
            raise NotFound(NOT_WRITE_KEY, where="/".join(SETTINGS_PATH), todo=USE_SOURCE_KEY)
        settings = {"apiKey": secret, "apiHost": f"{host}/v1", "version": __version__}
        return 200, {"integrations": {"Segment.io": settings}}


@dataclass(slots=True)
class BodyReading:
    """The body of one request: whether it is due, and its bytes."""

    headers: Headers
    is_due: bool = field(init=False)
    """Whether the client may still be sending it."""

    def __post_init__(self) -> None:
        """See what the headers promise."""
        self.is_due = self.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self.headers

    async def read(self, receive: Receive, reservation: BodyReservation) -> bytes:
        """Read it. Raises BadRequest 413 for one that is, or promises to be, too large, and Overloaded."""
        promised = self.headers.get(b"content-length", b"0")
        if len(promised) > MAX_LENGTH_DIGITS or int(promised) > MAX_BODY_BYTES:
            raise _too_large()
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest(400, ENDED_EARLY)
            chunk = message.get("body", b"")
            reservation.grow(len(chunk))
            if reservation.size > MAX_BODY_BYTES:
                raise _too_large()
            chunks.append(chunk)
            if not message.get("more_body"):
                self.is_due = False
                reservation.complete()
                return b"".join(chunks)


def _too_large() -> BadRequest:
    return BadRequest(413, BODY_LARGE(count=MAX_BODY_BYTES), todo=SMALLER_BATCHES)


def _key(scope: Scope, path: str, headers: Headers) -> tuple[str, bool]:
    """Key in the header or the address, and whether it is in the address; '' where only the body can contain it."""
    header = headers.get(b"authorization", b"").decode("latin-1")
    key = request_key(header)
    if header[:7].lower() == "bearer " and not key.startswith(KEY_PREFIX):
        key = ""  # why: the token of a proxy of theirs; the key is elsewhere
    if key or path not in KEY_IN_ADDRESS:
        return key, False
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return query.get(KEY_IN_ADDRESS[path], [""])[0], True


async def _answer(send: Send, status: int, content: dict[str, Any] | None, origin: bytes, *, is_last: bool) -> None:
    body = b"" if content is None else msgspec.json.encode(content)
    headers = [
        PROBLEM if status >= HTTPStatus.BAD_REQUEST else JSON,
        NOSNIFF,
        (b"content-length", str(len(body)).encode()),
        (b"access-control-allow-origin", origin),
        (b"vary", b"origin"),
    ]
    if content is None:
        headers += [
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-allow-headers", ALLOWED),
            (b"access-control-max-age", b"86400"),
        ]
    if status in {429, 503}:
        headers.append((b"retry-after", RETRY_AFTER))
    if is_last:  # why: what follows on this connection is the rest of a body that nobody reads
        headers.append(CLOSE)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
