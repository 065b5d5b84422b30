"""Headers that keep pages to themselves, and a guard against other sites' names for this machine."""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patron.interfaces.http.application_bodies import BoundedBodies
from patron.interfaces.http.refusals import refusal
from patron.schema.errors import BadRequest

HOSTS = ["localhost", "127.0.0.1"]
"""Names the console answers to: a page elsewhere whose name points here is refused."""
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


class SecurityHeaders:
    """ASGI middleware: the headers above on every answer, and no copy kept of anything but the look."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the headers added."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


class KnownHosts:
    """ASGI middleware: a request under a name that is not this machine's is refused; customers' pages have another."""

    def __init__(self, app: ASGIApp, public_url: Callable[[], str]) -> None:
        self.app = app
        self.public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        app = self.app
        host = Request(scope).headers.get("host", "").split(":")[0].lower() if scope["type"] == "http" else HOSTS[0]
        is_public = scope.get("path", "").startswith(PUBLIC) and host == urlsplit(self.public_url()).hostname
        if host not in HOSTS and not is_public:
            todo = f"Use {' or '.join(HOSTS)}."
            app = refusal(BadRequest(400, f"the host {host!r} is not this machine's", where="Host", todo=todo))
        await app(scope, receive, send)


def protect(app: Starlette, public_url: Callable[[], str] = str) -> None:
    """Add bounds of bodies, host check, headers and compression to an application.

    `public_url` returns the address that customers' pages have besides this machine's; empty for none.
    """
    app.add_middleware(BoundedBodies)
    app.add_middleware(GZipMiddleware, minimum_size=800)
    app.add_middleware(KnownHosts, public_url=public_url)
    app.add_middleware(SecurityHeaders)
