"""Whole tasks as people do them: each in the languages and on the screens that are asked for."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from tests.support.console_walk import COMBINATIONS, USUAL, Walk, walking
from tests.support.mail_server import MailServer
from tests.support.team_shop import team_shop

from patron.interfaces.console.mount import VISITOR_PAGES
from patron.interfaces.console.screenshots import browser, served
from patron.schema.access_rights import Actor
from patron.schema.errors import MissingExtra
from patron.storage.shop import Shop

IS_ALL = os.environ.get("PATRON_TEST_BROWSER") == "all"
ELSEWHERE = frozenset[str]() if IS_ALL else frozenset(VISITOR_PAGES.values())
"""Pages that `test_browser.py` examines by themselves: a usual run of the tests does so once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every task as one that needs a browser."""
    for item in items:
        if "walk" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for every walk of a task."""
    opening = browser()
    try:
        opened = opening.__enter__()
    except MissingExtra as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    yield opened
    opening.__exit__(None, None, None)


@pytest.fixture(params=COMBINATIONS if IS_ALL else USUAL, ids=lambda one: f"{one[0]}-{one[1]}")
def walk(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Walk]:
    """A person with a browser, in one language at one screen."""
    with walking(chromium, *request.param, elsewhere=ELSEWHERE) as one:
        yield one


@pytest.fixture(scope="module")
def team(made_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, MailServer]]:
    """A copy of the made shop with addresses, and its mail server, for every walk of a task."""
    with team_shop(made_shop, tmp_path_factory.mktemp("team") / "shop") as opened:
        yield opened


@pytest.fixture(scope="module")
def serve(team: tuple[Shop, MailServer]) -> Iterator[Callable[[Actor | None], str]]:
    """Address of the console as somebody sees it; nobody is signed in for None."""
    with ExitStack() as stack:
        yield cache(lambda visitor: stack.enter_context(served(team[0], visitor)))
