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
from patron.interfaces.http.request_keys import request_key
from patron.schema.errors import BadRequest, Overloaded, PatronError
from patron.service.collector import BATCH, HISTORY, LARGEST_BODY, SENSORS, Collector, inflated

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KINDS = ("track", "identify", "page", "screen", "group", "alias")
SINGLES = {f"/v1/{kind}": kind for kind in KINDS} | {f"/v1/{kind[0]}": kind for kind in ("track", "identify", "page")}
SINGLES |= {"/v1/s": "screen", "/v1/g": "group", "/v1/a": "alias"}
PATHS = SINGLES | {
    "/v1/batch": BATCH,
    "/v1/b": BATCH,
    "/beacon/v1/batch": BATCH,
    "/v1/import": HISTORY,
    "/sa": SENSORS,
}
"""How the body of each path is read."""
KEY_IN_ADDRESS = {"/beacon/v1/batch": "writeKey", "/sa": "token"}
"""Paths whose clients can set no header."""
SETTINGS = ("/v1/projects/", "/settings")
PREFIXES = ("/v1/", "/beacon")
"""How paths begin that are the collector's, even those that it has not."""
MOST_IN_FLIGHT = 64_000_000
"""Bytes of bodies held in memory at once; more are answered with 503."""
MOST_AT_ONCE = 65_536
"""Bytes of a body that are judged while others wait; a larger one is judged beside them."""
RETRY_AFTER = b"1"
ALLOWED = b"authorization, content-type, content-encoding, anonymousid, x-retry-count"
CODES = {401: "bad_key", 413: "too_large", 429: "too_many"}
LOG = logging.getLogger(__name__)
JSON = (b"content-type", b"application/json")


@dataclass
class Wire:
    """The collector's paths; every other path goes to the application behind it."""

    collector: Collector
    behind: App
    in_flight: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not is_ours(path):
            await self.behind(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get("origin", "*").encode("latin-1")
        if scope["method"] == "OPTIONS":
            await _answer(send, 204, None, origin)
        elif path not in PATHS and not path.startswith(SETTINGS[0]):
            await _answer(send, 404, _error("not_found", f"Events are sent to {', '.join(sorted(PATHS))}."), origin)
        elif scope["method"] == "GET" and path.startswith(SETTINGS[0]) and path.endswith(SETTINGS[1]):
            await _answer(send, 200, _settings(path, headers.get("host", "")), origin)
        elif scope["method"] != "POST":
            await _answer(send, 405, _error("bad_method", "Send it with POST."), origin)
        else:
            status, content = await self._posted(scope, path, headers, receive)
            await _answer(send, status, content, origin)

    async def _posted(
        self, scope: Scope, path: str, headers: dict[str, str], receive: Receive
    ) -> tuple[int, dict[str, Any]]:
        hold = Hold(self)
        try:
            raw = await _body(receive, hold)
            body = inflated(raw, PATHS[path], encoding=headers.get("content-encoding", ""))
            hold.grow(len(body) - len(raw))
            return await self._taken(scope, path, headers, body)
        except BadRequest as error:
            return error.status, _error(CODES.get(error.status, "bad_request"), str(error))
        except PatronError as error:  # why: our own trouble; the client keeps the messages and tries again
            return 503, _error(type(error).__name__, error.what)
        except Exception:  # why: the same, and the client learns nothing of our inside
            LOG.exception("a request could not be taken")
            return 503, _error("trouble", "The request could not be taken; try again in a second.")
        finally:
            hold.release()

    async def _taken(self, scope: Scope, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        key = request_key(headers.get("authorization", ""))
        in_address = ""
        if not key and path in KEY_IN_ADDRESS:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            in_address = query.get(KEY_IN_ADDRESS[path], [""])[0]
        context = {"key": key or in_address, "received_at": datetime.now(UTC), "is_in_address": bool(in_address)}
        judge = partial(self.collector.receive, body, PATHS[path], **context)
        received = await asyncio.to_thread(judge) if len(body) > MOST_AT_ONCE else judge()
        verdicts = await asyncio.wrap_future(received.verdicts)
        message = {"messageId": received.arrival.messages[0].event_id} if PATHS[path] in KINDS else {}
        return 200, {"success": True, **message, **vars(verdicts), "errors": received.errors}


@dataclass
class Hold:
    """Bytes that one request keeps in memory, counted among those of all."""

    wire: Wire
    size: int = 0

    def grow(self, size: int) -> None:
        """Keep more. Raises Overloaded when all requests together keep too much."""
        self.size += size
        self.wire.in_flight += size
        if self.wire.in_flight > MOST_IN_FLIGHT:
            raise Overloaded("too much arrives at once", where="collector", todo="Try again in a second.")

    def release(self) -> None:
        """Keep nothing any more."""
        self.wire.in_flight -= self.size


async def _body(receive: Receive, hold: Hold) -> bytes:
    """Body of a request. Raises BadRequest 413 for a larger one, and Overloaded."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest(400, "the request ended early")
        chunk = message.get("body", b"")
        hold.grow(len(chunk))
        if hold.size > LARGEST_BODY:
            raise BadRequest(413, f"the body is larger than {LARGEST_BODY} bytes", todo="Send smaller batches.")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def is_ours(path: str) -> bool:
    """Whether a path belongs to the wire protocol."""
    return path in PATHS or path.startswith(PREFIXES)


def _settings(path: str, host: str) -> dict[str, Any]:
    """What Segment's browser client asks for before it begins."""
    key = path.removeprefix(SETTINGS[0]).removesuffix(SETTINGS[1])
    return {"integrations": {"Segment.io": {"apiKey": key, "apiHost": f"{host}/v1", "version": __version__}}}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


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
