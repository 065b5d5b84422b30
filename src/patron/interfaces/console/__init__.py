"""The console: pages for people, rendered on the server; every state is an address with a JSON twin."""

from fastapi import FastAPI

from patron.interfaces.console.console import Console
from patron.interfaces.console.routes import not_found, router


def add_console(app: FastAPI) -> None:
    """Add the pages to an application."""
    app.state.console = Console(app.state.answers)
    app.include_router(router, include_in_schema=False)
    app.add_exception_handler(404, not_found)
    app.add_exception_handler(405, not_found)
