"""Add the console's pages to an application, and warm what its first readers ask for."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from patron.interfaces.console import experiment_pages, page_routes, retention_pages, styleguide_pages
from patron.interfaces.console.navigation import listed_pages
from patron.interfaces.console.page_frame import Console
from patron.interfaces.console.page_routes import answer_unknown, warm

ROUTERS = (page_routes.router, retention_pages.router, experiment_pages.router, styleguide_pages.router)
"""The pages, module by module."""
PAGES = listed_pages({route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)})
"""Addresses of the pages that the navigation lists, by their code."""


def add_console(app: FastAPI) -> None:
    """Add the pages to an application."""
    app.state.console = Console(app.state.answers, PAGES)
    for router in ROUTERS:
        app.include_router(router, include_in_schema=False)
    for status in (400, 404, 405, 413):
        app.add_exception_handler(status, answer_unknown)


@asynccontextmanager
async def warm_up_while_running(app: FastAPI) -> AsyncIterator[None]:
    """While the application runs: compute what its first readers will ask for, without keeping them waiting."""
    stopping = threading.Event()
    thread = threading.Thread(target=warm, args=(app.state.console, stopping.is_set), name="warm", daemon=True)
    thread.start()
    yield
    stopping.set()
    # why: a thread that draws while the process ends brings it down with a signal of its own
    thread.join()
