"""The collector's wire protocol, as Segment's and RudderStack's clients speak it: raw ASGI for the hot path."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import msgspec

from patron import __version__
from patron.interfaces.http.refusals import refusal_content
from patron.interfaces.http.request_keys import request_key
from patron.schema.errors import BadRequest, NotFound, Overloaded, PatronError
from patron.service.collector import BATCH, HISTORY, MAX_BODY_BYTES, SENSORS, Collector, request_body

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

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
PREFIXES = ("/v1/", "/beacon")
"""Paths with these beginnings are the collector's; unknown ones among them are answered with 404."""
MAX_IN_FLIGHT_BYTES = 64_000_000
"""Bytes of bodies held in memory at once; more are answered with 503."""
MAX_INLINE_BYTES = 65_536
"""A larger body is validated in another thread, so that other requests need not wait for it."""
RETRY_AFTER = b"1"
ALLOWED = b"authorization, content-type, content-encoding, anonymousid, x-retry-count"
LOG = logging.getLogger(__name__)
JSON = (b"content-type", b"application/json")


@dataclass
class CollectorProtocol:
    """Answers the collector's paths; every other path goes to `application`."""

    collector: Collector
    application: App
    in_flight: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not is_collector_path(path):
            await self.application(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get("origin", "*").encode("latin-1")
        if scope["method"] == "OPTIONS":
            await _answer(send, 204, None, origin)
        elif path not in BODY_KIND_BY_PATH and not path.startswith(SETTINGS_PATH[0]):
            todo = f"Events are sent to {', '.join(sorted(BODY_KIND_BY_PATH))}."
            await _answer(send, 404, refusal_content(NotFound("nothing is here", where=path, todo=todo)), origin)
        elif scope["method"] == "GET" and path.startswith(SETTINGS_PATH[0]) and path.endswith(SETTINGS_PATH[1]):
            await _answer(send, 200, _settings(path, headers.get("host", "")), origin)
        elif scope["method"] != "POST":
            error = BadRequest(405, f"{scope['method']} is not served here", where=path, todo="Send it with POST.")
            await _answer(send, 405, refusal_content(error), origin)
        else:
            status, content = await self._post(scope, path, headers, receive)
            await _answer(send, status, content, origin)

    async def _post(
        self, scope: Scope, path: str, headers: dict[str, str], receive: Receive
    ) -> tuple[int, dict[str, Any]]:
        reservation = MemoryReservation(self)
        try:
            raw = await _body(receive, reservation)
            body = request_body(raw, BODY_KIND_BY_PATH[path], encoding=headers.get("content-encoding", ""))
            reservation.grow(len(body) - len(raw))
            return await self._accept(scope, path, headers, body)
        except BadRequest as error:
            return error.status, refusal_content(error)
        except PatronError as error:  # why: our own trouble; the client keeps the messages and tries again
            return 503, {**refusal_content(error), "where": path}  # why: where it happened is our inside
        except Exception:  # why: the same, and the client learns nothing of our inside
            LOG.exception("a request could not be taken")
            return 503, refusal_content(PatronError("the request could not be taken", todo="Try again in a second."))
        finally:
            reservation.release()

    async def _accept(
        self, scope: Scope, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, Any]]:
        key = request_key(headers.get("authorization", ""))
        in_address = ""
        if not key and path in KEY_IN_ADDRESS:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            in_address = query.get(KEY_IN_ADDRESS[path], [""])[0]
        context = {"key": key or in_address, "received_at": datetime.now(UTC), "is_in_address": bool(in_address)}
        receive_body = partial(self.collector.receive, body, BODY_KIND_BY_PATH[path], **context)
        received = await asyncio.to_thread(receive_body) if len(body) > MAX_INLINE_BYTES else receive_body()
        counts = await asyncio.wrap_future(received.counts)
        message = {"messageId": received.request.messages[0].event_id} if BODY_KIND_BY_PATH[path] in KINDS else {}
        return 200, {"success": not counts.rejected, **message, **vars(counts), "errors": received.errors}


@dataclass
class MemoryReservation:
    """Bytes of memory that one request holds, counted in the total of all requests."""

    protocol: CollectorProtocol
    size: int = 0

    def grow(self, size: int) -> None:
        """Reserve more bytes. Raises Overloaded when all requests together hold too many."""
        self.size += size
        self.protocol.in_flight += size
        if self.protocol.in_flight > MAX_IN_FLIGHT_BYTES:
            raise Overloaded("too much arrives at once", where="collector", todo="Try again in a second.")

    def release(self) -> None:
        """Free what the request held."""
        self.protocol.in_flight -= self.size


async def _body(receive: Receive, reservation: MemoryReservation) -> bytes:
    """Body of a request. Raises BadRequest 413 for a larger one, and Overloaded."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest(400, "the request ended early")
        chunk = message.get("body", b"")
        reservation.grow(len(chunk))
        if reservation.size > MAX_BODY_BYTES:
            raise BadRequest(413, f"the body is larger than {MAX_BODY_BYTES} bytes", todo="Send smaller batches.")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def is_collector_path(path: str) -> bool:
    """Whether a path belongs to the wire protocol."""
    return path in BODY_KIND_BY_PATH or path.startswith(PREFIXES)


def _settings(path: str, host: str) -> dict[str, Any]:
    """The settings that Segment's browser client requests before it starts."""
    key = path.removeprefix(SETTINGS_PATH[0]).removesuffix(SETTINGS_PATH[1])
    return {"integrations": {"Segment.io": {"apiKey": key, "apiHost": f"{host}/v1", "version": __version__}}}


async def _answer(send: Send, status: int, content: dict[str, Any] | None, origin: bytes) -> None:
    body = b"" if content is None else msgspec.json.encode(content)
    headers = [
        JSON,
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
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
