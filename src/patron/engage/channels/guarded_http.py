"""An HTTP client for addresses that others may have written: it reaches public servers only, and knows when to stop.

A name is resolved once for a connection, every address that it has is checked, and the connection goes to one of the
addresses that were checked, so that a name that answers differently a moment later leads nowhere else. TLS verifies the
name all the same. No redirect is followed, no proxy or password of the environment is used, no cookie is kept. What is
public, `public_addresses.py` says.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

from patron.engage.channels.public_addresses import is_address, is_public

MAX_BYTES = 64 * 1024
"""Of an answer; what providers say about one message is far shorter."""
UNREAD = (b"content-encoding", b"location")
"""Headers of answers that nobody reads: compressed ones were not asked for, and a few bytes could unpack to any number;
no redirect is followed, and httpx raises errors of others for one to a name that is none."""
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Errors after which the server has surely got nothing; after any other httpx.HTTPError it may have."""
Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a host. Raises OSError."""
    loop = asyncio.get_running_loop()
    rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


class GuardedClient(httpx.AsyncClient):
    """A client of public https servers, and of `local_hosts`; what it raises is a httpx.HTTPError.

    A redirect is an answer like any other, with a status of 3xx. `timeout_seconds` bounds the whole of one exchange.
    """

    def __init__(
        self,
        *,
        local_hosts: Collection[str] = (),
        timeout_seconds: float = 30,
        connections: int = 4,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        """`local_hosts` may have any address and need no TLS; `tls` says whom to trust; None: the usual ones."""
        self._timeout_seconds = timeout_seconds
        self._backend = _CheckedConnections(frozenset(host.lower() for host in local_hosts), resolve)
        pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(trust_env=False),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5,
            network_backend=self._backend,
        )
        super().__init__(
            transport=_GuardedTransport(pool, self._backend),
            timeout=httpx.Timeout(timeout_seconds, connect=timeout_seconds / 2),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "Patron", "Accept-Encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """A request. Raises UnsupportedProtocol for what is no address."""
        return super().build_request(method, address(url), **options)

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request and read the whole answer. Raises httpx.HTTPError."""
        if options.pop("follow_redirects", False) is True or options.get("stream"):
            raise ValueError("a guarded client follows no redirect and streams nothing")
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await super().send(request, follow_redirects=False, **options)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time", request=request) from error

    async def require_reachable(self, url: str) -> None:
        """Connect to the server of an address, and send nothing. Raises httpx.HTTPError."""
        target = address(url)
        self._backend.require_allowed(target)
        try:
            stream = await self._backend.connect_tcp(target.host, port_of(target), self._timeout_seconds / 2)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise httpx_error(error, None) from error
        await stream.aclose()


class _CheckedConnections(httpcore.AsyncNetworkBackend):
    """Connections to addresses that were checked."""

    def __init__(self, local_hosts: frozenset[str], resolve: Resolve) -> None:
        self._local_hosts = local_hosts
        self._resolve = resolve
        self._sockets = httpcore.AnyIOBackend()

    def is_local(self, host: str) -> bool:
        """Whether the settings allow a host whatever its addresses are."""
        return host.lower() in self._local_hosts

    def require_allowed(self, url: httpx.URL) -> None:
        """Raise UnsupportedProtocol for anything but https, except for local hosts."""
        if url.scheme != "https" and not (url.scheme == "http" and self.is_local(url.host)):
            raise httpx.UnsupportedProtocol("only https is allowed")
        if not url.host or url.userinfo:
            raise httpx.UnsupportedProtocol("the address has no host, or a password")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                is_local = self.is_local(host)
                addresses = [host] if is_address(host) and not is_local else await self._resolve(host, port)
                if not is_local and not all(map(is_public, addresses)):
                    raise httpcore.ConnectError(
                        "the host has an address that is not public; if it is yours, name it in local_hosts"
                    )
                return await self._connect(addresses, port, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("no connection in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name of the host is not known") from error

    async def _connect(
        self, addresses: list[str], port: int, local_address: str | None, options: Iterable[Any] | None
    ) -> httpcore.AsyncNetworkStream:
        error: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            try:
                return await self._sockets.connect_tcp(address, port, None, local_address, options)
            except httpcore.ConnectError:
                error = httpcore.ConnectError("nothing listens there")
        raise error


class _GuardedTransport(httpx.AsyncBaseTransport):
    """Requests over a pool of checked connections, answers of a bounded size."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, backend: _CheckedConnections) -> None:
        self._pool = pool
        self._backend = backend

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._backend.require_allowed(request.url)
        url = request.url
        try:
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions={"timeout": request.extensions.get("timeout", {})},
                )
            )
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise httpx_error(error, request) from error
        headers = [header for header in response.headers if header[0].lower() not in UNREAD]
        return httpx.Response(response.status, headers=headers, stream=_BoundedAnswer(response, request))

    async def aclose(self) -> None:
        await self._pool.aclose()


class _BoundedAnswer(httpx.AsyncByteStream):
    """The body of an answer, cut off after MAX_BYTES: its status counts all the same."""

    def __init__(self, response: httpcore.Response, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        space = MAX_BYTES
        try:
            async for part in self._response.aiter_stream():
                yield part[:space]
                space -= len(part)
                if space <= 0:
                    return
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise httpx_error(error, self._request) from error

    async def aclose(self) -> None:
        await self._response.aclose()


def address(url: httpx.URL | str) -> httpx.URL:
    """An address, taken apart. Raises UnsupportedProtocol for what is none."""
    try:
        parsed = httpx.URL(url)
        _ = parsed.host  # why: it is only here that a name in wrong Punycode is refused
    except (httpx.InvalidURL, UnicodeError) as error:
        raise httpx.UnsupportedProtocol("not a valid address") from error
    return parsed


def port_of(url: httpx.URL) -> int:
    """Port of an address, also where it names none."""
    return url.port or {"http": 80, "https": 443}[url.scheme]


def retry_after_seconds(response: httpx.Response) -> float:
    """How long a provider asks to wait, where it says so in seconds."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def httpx_error(error: Exception, request: httpx.Request | None) -> httpx.TransportError:
    """An error of httpcore by httpx's class of the same name."""
    kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
    return kind(str(error), request=request)
