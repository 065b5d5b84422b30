"""The navigation lists pages that are there, each with a key and a picture of its own kind."""

import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

from fastapi import APIRouter

from patron.interfaces import console
from patron.interfaces.console.mount import PAGES, ROUTERS
from patron.interfaces.console.navigation import NAVIGATION

ITEMS = [item for group in NAVIGATION for item in group.items]
ICONS = Path(console.__file__).parent / "static" / "icons.svg"


def test_every_page_of_the_navigation_is_served():
    assert list(PAGES) == [item.code for item in ITEMS]


def test_a_key_opens_one_page():
    assert [key for key, count in Counter(item.key for item in ITEMS).items() if count > 1] == []


def test_every_picture_is_among_the_icons():
    pictures = set(re.findall(r'id="([^"]+)"', ICONS.read_text("utf-8")))
    assert {item.icon for item in ITEMS} - pictures == set()


def test_every_module_with_pages_is_mounted():
    modules = [found.name for found in pkgutil.walk_packages(console.__path__, f"{console.__name__}.")]
    routers = {name: getattr(importlib.import_module(name), "router", None) for name in modules}
    found = {name for name, router in routers.items() if isinstance(router, APIRouter)}
    assert {name for name in found if not any(routers[name] is one for one in ROUTERS)} == set()
