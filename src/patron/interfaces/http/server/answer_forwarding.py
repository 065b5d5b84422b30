"""Forwards requests that read the last run to the processes that answer them: `service/answer_process.py`."""

import logging
from collections.abc import Iterable
from functools import cached_property

import httpcore
from starlette.types import ASGIApp, Receive, Scope, Send

from patron.service.answer_process import AnswerProcesses

LOG = logging.getLogger(__name__)
ROOMS = frozenset(
    {
        *("", "today", "overview", "brief", "retention", "experiments", "models", "scores", "decisions"),
        *("customers", "watch-list", "tasks", "segments", "segment-fields"),
    }
)
"""First parts of addresses, also under /api, whose answers need nothing that only the server's own memory has."""
API = "api"
METHODS = ("GET", "HEAD")
FORWARDED_HEADERS = {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"}
HOP_BY_HOP_HEADERS = {
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
"""Headers that are about one connection."""
BODY_HEADERS = {b"content-length", b"transfer-encoding"}
MAX_TRIES = 2
"""A request whose process dies is sent once more, to the next process."""
PATIENCE_SECONDS = 60.0
"""How long a request waits for a process to start."""


class AnswerForwarding:
    """ASGI middleware: forwards what is read of the last run; where that fails, the application itself answers."""

    def __init__(self, app: ASGIApp, answers: AnswerProcesses) -> None:
        self.app = app
        self.answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, here or there."""
        for _ in range(MAX_TRIES if reads_last_run(scope) else 0):
            if self.answers.is_available and await self._forward(scope, send):
                return
        await self.app(scope, receive, send)
        if scope["type"] == "lifespan":  # why: this request lasts as long as the server
            await self._connections.aclose()

    @cached_property
    def _connections(self) -> httpcore.AsyncConnectionPool:
        path = str(self.answers.socket_path)
        # why none is kept: whichever process is free accepts a new one
        return httpcore.AsyncConnectionPool(uds=path, max_connections=None, max_keepalive_connections=0)

    async def _forward(self, scope: Scope, send: Send) -> bool:
        """Pass a request on and its answer back; False, with nothing sent, where the process is gone."""
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        url = httpcore.URL(scheme=b"http", host=b"answers", port=None, target=target)
        timeouts = {"connect": PATIENCE_SECONDS, "read": None, "write": PATIENCE_SECONDS, "pool": None}
        request = httpcore.Request(
            scope["method"], url, headers=list(_request_headers(scope)), extensions={"timeout": timeouts}
        )
        try:
            response = await self._connections.handle_async_request(request)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            LOG.info("a process of the answers did not answer: %r", error)
            return False
        try:
            headers = [(name, value) for name, value in response.headers if name.lower() not in HOP_BY_HOP_HEADERS]
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            async for part in response.aiter_stream():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await response.aclose()
        return True


def reads_last_run(scope: Scope) -> bool:
    """Whether a request reads what the last run made, and nothing that is in the memory of the server alone."""
    if scope["type"] != "http" or scope["method"] not in METHODS:
        return False
    parts = scope["path"].removeprefix("/").split("/")
    room = parts[1] if parts[0] == API and len(parts) > 1 else parts[0]
    return room in ROOMS and not any(name in BODY_HEADERS for name, _ in scope["headers"])


def _request_headers(scope: Scope) -> Iterable[tuple[bytes, bytes]]:
    yield from ((name, value) for name, value in scope["headers"] if name not in HOP_BY_HOP_HEADERS | FORWARDED_HEADERS)
    yield b"x-forwarded-proto", scope["scheme"].encode()
    if scope["client"]:
        yield b"x-forwarded-for", scope["client"][0].encode()
