"""Requests to an application in this process: a server of its own for each of many actors would take long to start."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute

from patron.interfaces.http.application import create_app
from patron.schema.access.access_rights import Actor
from patron.storage.shop import Shop


class DirectClient:
    """Requests as one actor, without redirects."""

    def __init__(self, shop: Shop, actor: Actor | None) -> None:
        self.app: FastAPI = create_app(shop, visitor=actor)

    @property
    def routes(self) -> list[APIRoute]:
        """Every endpoint of the application."""
        routers = [route.original_router for route in self.app.routes if hasattr(route, "original_router")]
        routes = (route for router in (self.app, *routers) for route in router.routes)
        return [route for route in routes if isinstance(route, APIRoute)]

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, path: str, **content: Any) -> httpx.Response:
        return self.request("POST", path, **content)

    def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        return asyncio.run(self._request(method, path, **content))

    async def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **content)
