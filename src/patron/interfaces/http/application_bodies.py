"""Bodies of requests to the API and the console: small, and refused where they are not."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patron.schema.common_sentences import BODY_LARGE

MAX_BODY_BYTES = 65_536
"""The longest request of most of the API names one person."""
MAX_RELEASE_BYTES = 20_000_000 + MAX_BODY_BYTES
"""The longest text of `release_sending`, at most 4 bytes a character; a form has 3 for an ASCII character."""
MORE_BYTES = {
    "/api/recommendations": 1_048_576,
    "/api/recommendations/batch": 1_048_576,
    "/ingestion/upload": (256 << 20) + MAX_BODY_BYTES,
    "/sending/release": MAX_RELEASE_BYTES,
    "/api/sending/release": MAX_RELEASE_BYTES,
}
"""Bodies that list ids of products or people, files that people upload, and logs that say what was sent."""


class BoundedBodies:
    """ASGI middleware: a body that is too large is not read on, and a connection with the rest of one is closed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises HTTPException 413 where the application reads a body that is too large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        promised = headers.get(b"content-length", b"0")
        is_unread = promised != b"0" or b"transfer-encoding" in headers
        most = MORE_BYTES.get(scope["path"], MAX_BODY_BYTES)
        is_large = len(promised) > len(str(most)) or int(promised) > most
        size = 0

        async def bounded_receive() -> Message:
            nonlocal is_unread, size
            message = await receive() if not is_large else {}
            size += len(message.get("body", b""))
            if is_large or size > most:
                raise HTTPException(413, BODY_LARGE(count=most))
            is_unread = is_unread and message.get("more_body", False)
            return message

        async def closing_send(message: Message) -> None:
            if message["type"] == "http.response.start" and is_unread:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self.app(scope, bounded_receive, closing_send)
