"""Routes that check the key before they read a body."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from patron.commands.actors import key_actor
from patron.commands.manage_keys import require_key
from patron.interfaces.http.request_keys import request_key

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ReadKeyRoute(APIRoute):
    """A key that is brought must be a valid read key; without one only this machine asks."""

    def get_route_handler(self) -> Handler:
        """Check the key, then handle. Raises BadKey."""
        handle = super().get_route_handler()

        async def check_and_handle(request: Request) -> Response:
            header = request.headers.get("authorization")
            if header is not None:
                await run_in_threadpool(require_key, request.app.state.answers.shop, request_key(header), "read")
            return await handle(request)

        return check_and_handle


class SecretKeyRoute(APIRoute):
    """A secret key must be brought, on this machine too."""

    def get_route_handler(self) -> Handler:
        """Check the key, then handle. Raises BadKey."""
        handle = super().get_route_handler()

        async def check_and_handle(request: Request) -> Response:
            key = request_key(request.headers.get("authorization", ""))
            shop = request.app.state.answers.shop
            request.state.api_key = await run_in_threadpool(require_key, shop, key, "secret")
            return await handle(request)

        return check_and_handle


def actor_of(request: Request, name: str = "") -> str:
    """Who takes a step by a route of SecretKeyRoute: its key, and the name that the request gives."""
    return key_actor(request.state.api_key, name)
