"""A warning where a proxy stands in front of the server that the settings do not name."""

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

LOG = logging.getLogger(__name__)
FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"})
WARNING = (
    "a request came with %s, but [collect] proxies of patron.toml names no proxy: cookies are not marked Secure, and "
    "everybody behind the proxy shares one limit of sign-ins and connections. If there is a proxy, name its address "
    "in proxies and restart; see docs/how-to/serve-your-team.md."
)


class ForwardedHeaders:
    """ASGI middleware for a server without known proxies: says once that one seems to be there."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ever; the headers themselves are believed nobody."""
        if not self._has_warned and scope["type"] == "http":
            name = next((name for name, _ in scope["headers"] if name in FORWARDED), None)
            if name is not None:
                self._has_warned = True
                LOG.warning(WARNING, name.decode())
        await self.app(scope, receive, send)
