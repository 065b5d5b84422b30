"""Headers that keep pages to themselves, and a guard against other sites' names for this machine."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patron.interfaces.http.access.access_control import AccessControl
from patron.interfaces.http.application_bodies import BoundedBodies
from patron.interfaces.http.refusals import refusal
from patron.schema.access.access_rights import Actor
from patron.schema.errors import BadRequest
from patron.schema.sentences import Sentence
from patron.storage.settings import Settings
from patron.storage.shop import Shop

USE_HOST = Sentence("use_host", "Use {names}, or set public_url in [access] of patron.toml.")
HOST_UNKNOWN = Sentence("host_unknown", "the console is not served under the host {name!r}")

HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?")
HOSTS = ("localhost", "127.0.0.1")
"""Names of this machine; the settings may have another: a page elsewhere whose name points here is refused."""
PUBLIC = ("/u/", "/p/", "/static/")
"""How the addresses of customers' pages, and of their look, begin."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


HSTS = "max-age=31536000"
"""Browsers that came by HTTPS use nothing else for a year."""
HSTS_OF_CONSOLE = f"{HSTS}; includeSubDomains"
CORS_PATH = "/api/recommendations"
"""Pages of a shop, which are elsewhere, request lists for visitors here."""
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Allow-Methods": "POST",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Their write key says nothing about any customer, and a cookie is not sent from there."""


class SecurityHeaders:
    """ASGI middleware: the headers above on every answer, and no copy kept of anything but the look."""

    def __init__(self, app: ASGIApp, names: "Callable[[], HostNames]") -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the headers added."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if scope.get("path") == CORS_PATH and scope.get("method") in {"POST", "OPTIONS"}:
                    headers.update(CORS)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if scope.get("scheme") == "https":
                    is_console = _host(scope) == self.names().console
                    headers["Strict-Transport-Security"] = HSTS_OF_CONSOLE if is_console else HSTS
            await send(message)

        await self.app(scope, receive, with_headers)


@dataclass(frozen=True)
class HostNames:
    """Names under which pages are reached besides this machine's."""

    console: str = ""
    """Host of the console; empty for none."""
    customers: str = ""
    """Host of customers' pages; empty for none."""

    @classmethod
    def of(cls, settings: Settings) -> "HostNames":
        """Names that the settings have."""
        console, customers = settings.access.public_url, settings.channels.email.public_url
        return cls(urlsplit(console).hostname or "", urlsplit(customers).hostname or "")


class KnownHosts:
    """ASGI middleware: a request under a name that is not ours is refused; customers' pages may have another."""

    def __init__(self, app: ASGIApp, names: Callable[[], HostNames]) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        app = self.app
        host = _host(scope) if scope["type"] == "http" else HOSTS[0]
        names = self.names()
        is_public = scope.get("path", "").startswith(PUBLIC) and host == names.customers
        if not host or (host not in {*HOSTS, names.console} and not is_public):
            todo = USE_HOST(names=" or ".join(HOSTS))
            error = BadRequest(400, HOST_UNKNOWN(name=host), where="Host", todo=todo)
            app = refusal(error, scope.get("path", ""))
        await app(scope, receive, send)


def _host(scope: Scope) -> str:
    """Host of a request, without its port; empty for what is no host, as links in letters begin with it."""
    host = Request(scope).headers.get("host", "")
    return (urlsplit(f"//{host}").hostname or "").lower() if HOST.fullmatch(host) else ""


def protect(app: Starlette, shop: Shop, visitor: Actor | None) -> None:
    """Add bounds of bodies, access control, host check, headers and compression to an application."""
    app.add_middleware(AccessControl, shop=shop, visitor=visitor)
    app.add_middleware(BoundedBodies)  # why: around access control, so that the body of what it refuses is not read on
    app.add_middleware(GZipMiddleware, minimum_size=800)
    app.add_middleware(KnownHosts, names=lambda: HostNames.of(shop.settings))
    app.add_middleware(SecurityHeaders, names=lambda: HostNames.of(shop.settings))
