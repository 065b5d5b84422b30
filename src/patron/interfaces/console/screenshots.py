"""Photographs of report and console in both languages and themes, by a headless Chromium."""

import os
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from patron.interfaces.console.mount import stop_queries
from patron.interfaces.console.page_walk import walk_pages
from patron.interfaces.http.application import create_app
from patron.interfaces.i18n import LOCALES
from patron.interfaces.report.html_report import write_report
from patron.schema.access.access_rights import VISITOR, Actor, Grant, Role, rights_of_user
from patron.schema.errors import MissingExtra
from patron.storage.shop import Shop

CHROMIUM = os.environ.get("PATRON_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = {"": 1400, "-wide": 1920, "-narrow": 390}
"""Widths that pages are photographed at, pixels, by what their names end in."""
THEMES = ("light", "dark")
PATIENCE_SECONDS = 20
EVERYBODY = Actor("photographer", rights_of_user(Role, Grant))
"""Who sees every page."""


@contextmanager
def served(shop: Shop, visitor: Actor | None = VISITOR) -> Iterator[str]:
    """Serve a shop on a free port of this machine, to whoever visits it as this actor, and give the address.

    Pages are computed when they are asked for, and none ahead: nobody waits for them.
    """
    app = create_app(shop, visitor=visitor)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:  # why: whoever comes before the server is up, waits
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
            stop_queries(app)


@contextmanager
def browser() -> Iterator[Any]:
    """Headless Chromium. Raises MissingExtra when it or Playwright is not installed."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra(
            "Playwright is not installed", todo="Run `make setup` in a checkout, or `pip install playwright`."
        ) from error
    if not Path(CHROMIUM).exists():
        raise MissingExtra("Chromium is not installed", where=CHROMIUM, todo="Run `apt-get install chromium`.")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield opened
        finally:
            opened.close()


def take_screenshots(shop: Shop, folder: Path) -> list[Path]:
    """Photograph every page, in every language and theme, at every width. Raises NoRunYet, MissingExtra."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, served(shop, EVERYBODY) as address, browser() as opened:
        pages = {_file_name(route): f"{address}{path}" for route, path in _walk(address).items()}
        taken: list[Path] = []
        for locale in LOCALES:
            report = write_report(shop, Path(scratch) / f"{locale}.html", locale).path
            localised = {name: f"{url}{'&' if '?' in url else '?'}lang={locale}" for name, url in pages.items()}
            for name, url in {"report": report.as_uri(), **localised}.items():
                for theme in THEMES:
                    taken += _shoot(opened, url, folder / f"{name}-{locale}-{theme}", theme)
    return taken


def _walk(address: str) -> dict[str, str]:
    """One address of every page that links lead to, by the path of its route."""
    with httpx.Client(base_url=address, follow_redirects=True, timeout=PATIENCE_SECONDS) as client:
        return walk_pages(client.get)


def _file_name(route: str) -> str:
    return re.sub(r"\W+", "-", route).strip("-").replace("_", "-") or "today"


def _shoot(opened: Any, url: str, path: Path, theme: str) -> list[Path]:
    page = opened.new_page(viewport={"width": 1400, "height": 900}, color_scheme=theme)
    page.goto(url)
    taken = []
    for suffix, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        taken.append(path.with_name(f"{path.name}{suffix}.png"))
        page.screenshot(path=str(taken[-1]), full_page=True)
    page.close()
    return taken


if __name__ == "__main__":
    workspace, target = (*sys.argv[1:], "", "")[:2]
    for path in take_screenshots(Shop.open(Path(workspace or ".")), Path(target or "screenshots")):
        sys.stdout.write(f"{path}\n")
