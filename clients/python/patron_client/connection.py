"""A connection to a Patron server: what may be sent again is, and every refusal is an exception."""

import asyncio
import json
import random
import re
import time
import uuid
from typing import Any

import httpx

from patron_client._document import IDEMPOTENT
from patron_client.rest import AuthenticatedClient

IDEMPOTENCY_KEY = "Idempotency-Key"
BUSY = frozenset({429, 502, 503, 504})
MAX_PAUSE_SECONDS_LENGTH = 30.0


class Refusal(Exception):
    """The server refused: what was wrong, where, and what to do."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.error = str(problem.get("error", ""))
        """Kind of refusal, such as NotFound."""
        self.what = str(problem.get("what") or problem.get("detail") or f"HTTP {status}")
        self.where = str(problem.get("where") or "")
        self.todo = str(problem.get("todo") or "")
        super().__init__(" ".join(filter(None, [f"{status}:", self.where and f"{self.where}:", self.what, self.todo])))


def connect(base_url: str, key: str, *, retries: int = 3, timeout_seconds: float = 30) -> AuthenticatedClient:
    """A client for the operations of `patron_client.rest.api`, sync and async; an operation raises Refusal."""
    return _Connection(
        base_url=base_url.rstrip("/"),
        token=key,
        timeout=httpx.Timeout(timeout_seconds),
        retries=retries,
    )


class _Connection(AuthenticatedClient):
    """A client whose requests go through the transports below."""

    def __init__(self, *, retries: int, **options: Any) -> None:
        super().__init__(**options)
        self._retries = retries

    def get_httpx_client(self) -> httpx.Client:
        if self._client is None:
            client = httpx.Client(**self._options(), transport=_Retries(self._retries))
            self.set_httpx_client(client)
        return super().get_httpx_client()

    def get_async_httpx_client(self) -> httpx.AsyncClient:
        if self._async_client is None:
            client = httpx.AsyncClient(**self._options(), transport=_AsyncRetries(self._retries))
            self.set_async_httpx_client(client)
        return super().get_async_httpx_client()

    def _options(self) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        return {"base_url": self._base_url, "headers": headers, "timeout": self._timeout}


def _may_repeat(request: httpx.Request) -> bool:
    """Whether a request can be sent again without doing something twice; it gets its idempotency key here."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return True
    for method, path in IDEMPOTENT:
        if method == request.method and re.fullmatch(path, request.url.path):
            request.headers.setdefault(IDEMPOTENCY_KEY, str(uuid.uuid4()))
            return True
    return request.url.path.startswith("/v1/")  # messages with a messageId are stored once


def _pause_seconds(attempt: int, response: httpx.Response | None) -> float:
    """How long to wait before the next attempt: what the server says, or longer each time."""
    after = response.headers.get("Retry-After", "") if response is not None else ""
    seconds = float(after) if after.isascii() and after.isdigit() else 0.25 * 2**attempt * random.uniform(0.5, 1.5)
    return min(seconds, MAX_PAUSE_SECONDS_LENGTH)


def _refuse(response: httpx.Response) -> None:
    if response.status_code >= 400:
        try:
            problem = json.loads(response.content)
        except ValueError:
            problem = {}
        raise Refusal(response.status_code, problem if isinstance(problem, dict) else {})


class _Retries(httpx.HTTPTransport):
    def __init__(self, retries: int) -> None:
        super().__init__()
        self._attempts = retries

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        attempts = self._attempts if _may_repeat(request) else 0
        for attempt in range(attempts + 1):
            try:
                response = super().handle_request(request)
            except httpx.TransportError:
                if attempt == attempts:
                    raise
                time.sleep(_pause_seconds(attempt, None))
                continue
            if response.status_code < 400:
                return response
            response.read()
            if response.status_code not in BUSY or attempt == attempts:
                break
            time.sleep(_pause_seconds(attempt, response))
        _refuse(response)
        return response


class _AsyncRetries(httpx.AsyncHTTPTransport):
    def __init__(self, retries: int) -> None:
        super().__init__()
        self._attempts = retries

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        attempts = self._attempts if _may_repeat(request) else 0
        for attempt in range(attempts + 1):
            try:
                response = await super().handle_async_request(request)
            except httpx.TransportError:
                if attempt == attempts:
                    raise
                await asyncio.sleep(_pause_seconds(attempt, None))
                continue
            if response.status_code < 400:
                return response
            await response.aread()
            if response.status_code not in BUSY or attempt == attempts:
                break
            await asyncio.sleep(_pause_seconds(attempt, response))
        _refuse(response)
        return response
