"""Whole tasks as people do them: each in the languages and on the screens that are asked for."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
import sqlalchemy as sa
from tests.interfaces.console.test_every_page import AFTER_FORMS, OF_LINKS
from tests.support.console_walk import COMBINATIONS, USUAL, Walk, walking
from tests.support.mail_server import MailServer
from tests.support.shops.team_shop import team_shop

from patron.interfaces.console.page_walk import page_routes
from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Actor
from patron.storage.outreach.campaign_tables import CAMPAIGNS, SEGMENT_DEFINITIONS
from patron.storage.shop import Shop

IS_ALL = os.environ.get("PATRON_TEST_BROWSER") == "all"


def pattern_of(routes: Iterable[str]) -> re.Pattern[str]:
    """Paths of routes."""
    return re.compile("|".join(re.sub(r"\{\w+\}", "[^/]+", route) for route in routes))


OWN, LINKED = pattern_of(OF_LINKS | AFTER_FORMS), pattern_of(page_routes())


def is_elsewhere(path: str) -> bool:
    """Whether `test_every_page.py` examines a page: a usual run of the tests does so once."""
    return not IS_ALL and not OWN.fullmatch(path) and LINKED.fullmatch(path) is not None


@pytest.fixture(params=COMBINATIONS if IS_ALL else USUAL, ids=lambda one: f"{one[0]}-{one[1]}")
def walk(request: pytest.FixtureRequest, chromium: Any, made_shop: Shop) -> Iterator[Walk]:
    """A person with a browser, in one language at one screen."""
    with walking(chromium, *request.param, is_elsewhere=is_elsewhere) as one:
        one.spoken.update(names_in(made_shop))  # why: other tests have worked in the shop before
        yield one


def names_in(shop: Shop) -> list[str]:
    """What people of a shop have called things."""
    named = [SEGMENT_DEFINITIONS.c.name, CAMPAIGNS.c.name]
    with shop.store.begin() as connection:
        return [name for column in named for name in connection.scalars(sa.select(column).distinct())]


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
