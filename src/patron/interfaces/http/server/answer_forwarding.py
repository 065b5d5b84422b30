"""Forwards requests that read the last run to the processes that answer them: `service/answer_process.py`."""

import asyncio
import logging
import time
from collections.abc import Iterable
from enum import Enum, auto

import httpcore
from starlette.types import ASGIApp, Receive, Scope, Send

from patron.interfaces.http.page_turns import UNANSWERED
from patron.schema.common_sentences import TRY_IN_A_MOMENT
from patron.schema.errors import Overloaded
from patron.schema.sentences import Sentence
from patron.service.answer_process import AnswerProcess, AnswerProcesses

ANSWER_LOST = Sentence("answer_lost", "the server could not finish this request")
TOOK_TOO_LONG = Sentence("took_too_long", "this request took longer than {minutes} minutes")

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
MAX_DEATHS = 2
"""A request is refused once so many processes have died while they worked on it."""
START_SECONDS = 60.0
"""How long a request waits for a process to start; then the server answers itself."""
ASK_AGAIN_SECONDS = 0.05
ANSWER_SECONDS = 300.0
"""How long an answer may take until it begins; then it is refused, and its process, which may hang, is restarted."""


class Outcome(Enum):
    """What became of a request that was passed on."""

    ANSWERED = auto()
    """Perhaps in part: then the connection to the client is closed."""
    NOT_TAKEN = auto()
    """The process has not started yet, or has ended."""
    LOST = auto()
    """The process died while it worked on the request."""
    LATE = auto()
    NOT_SENT = auto()
    """It cannot be written as HTTP again, such as one without a host."""


class AnswerForwarding:
    """ASGI middleware: forwards what is read of the last run; where nobody is there, the application itself answers."""

    def __init__(self, app: ASGIApp, answers: AnswerProcesses) -> None:
        self.app = app
        self.answers = answers
        self._connections: dict[str, httpcore.AsyncConnectionPool] = {}
        """By the path of a socket."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, here or there."""
        if reads_last_run(scope):
            outcome = await self._ask(scope, send)
            if outcome is Outcome.ANSWERED:
                return
            if outcome in {Outcome.LOST, Outcome.LATE}:
                # why not here: what ended those processes might end this one, which collects
                scope.setdefault("state", {})[UNANSWERED] = _overloaded(outcome)
        await self.app(scope, receive, send)
        if scope["type"] == "lifespan":  # why: this request lasts as long as the server
            for connections in self._connections.values():
                await connections.aclose()

    def _connections_to(self, process: AnswerProcess) -> httpcore.AsyncConnectionPool:
        path = str(process.socket_path)
        if path not in self._connections:
            # why none is kept: its process may end between two requests
            self._connections[path] = httpcore.AsyncConnectionPool(
                uds=path, max_connections=None, max_keepalive_connections=0
            )
        return self._connections[path]

    async def _ask(self, scope: Scope, send: Send) -> Outcome:
        """Ask the processes, the one with the fewest open requests first."""
        begun, dead = time.monotonic(), set[tuple[int, object]]()
        while processes := self.answers.least_busy_first():
            for process in processes:
                started = (id(process), process.ran_at)
                if started in dead:  # why: it takes a while until the last one is gone
                    continue
                outcome = await self._forward_to(process, scope, send)
                if outcome is Outcome.LOST:
                    dead.add(started)
                if outcome not in {Outcome.NOT_TAKEN, Outcome.LOST} or len(dead) == MAX_DEATHS:
                    return outcome
            if time.monotonic() - begun > START_SECONDS:
                break
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        return Outcome.LOST if dead else Outcome.NOT_TAKEN

    async def _forward_to(self, process: AnswerProcess, scope: Scope, send: Send) -> Outcome:
        """Pass a request on and its answer back; nothing is sent where the process does not answer."""
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        url = httpcore.URL(scheme=b"http", host=b"answers", port=None, target=target)
        timeouts = {"connect": START_SECONDS, "read": ANSWER_SECONDS, "write": START_SECONDS, "pool": None}
        request = httpcore.Request(
            scope["method"], url, headers=list(_request_headers(scope)), extensions={"timeout": timeouts}
        )
        process.open_count += 1
        is_begun = False
        try:
            response = await self._connections_to(process).handle_async_request(request)
            try:
                headers = [(name, value) for name, value in response.headers if name.lower() not in HOP_BY_HOP_HEADERS]
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                is_begun = True
                async for part in response.aiter_stream():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                await response.aclose()
        except httpcore.ConnectError:
            return Outcome.NOT_TAKEN
        except httpcore.LocalProtocolError:
            return Outcome.NOT_SENT
        except httpcore.TimeoutException:
            LOG.warning("an answer took longer than %.0f s: its process is restarted", ANSWER_SECONDS)
            process.restart()
            return Outcome.ANSWERED if is_begun else Outcome.LATE
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            LOG.warning("a process ended while it answered: %r", error)
            return Outcome.ANSWERED if is_begun else Outcome.LOST
        finally:
            process.open_count -= 1
        return Outcome.ANSWERED


def reads_last_run(scope: Scope) -> bool:
    """Whether a request reads what the last run made, and nothing that is in the memory of the server alone."""
    if scope["type"] != "http" or scope["method"] not in METHODS:
        return False
    parts = scope["path"].removeprefix("/").split("/")
    room = parts[1] if parts[0] == API and len(parts) > 1 else parts[0]
    return room in ROOMS and not any(name in BODY_HEADERS for name, _ in scope["headers"])


def _overloaded(outcome: Outcome) -> Overloaded:
    what = TOOK_TOO_LONG(minutes=int(ANSWER_SECONDS / 60)) if outcome is Outcome.LATE else ANSWER_LOST
    return Overloaded(what, where="server", todo=TRY_IN_A_MOMENT)


def _request_headers(scope: Scope) -> Iterable[tuple[bytes, bytes]]:
    yield from ((name, value) for name, value in scope["headers"] if name not in HOP_BY_HOP_HEADERS | FORWARDED_HEADERS)
    yield b"x-forwarded-proto", scope["scheme"].encode()
    if scope["client"]:
        yield b"x-forwarded-for", scope["client"][0].encode()
