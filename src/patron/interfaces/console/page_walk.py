"""Every page of the console, found as a person finds it: by following links from the navigation."""

import re
from collections import deque
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

import httpx
from fastapi.routing import APIRoute

from patron.interfaces.console.mount import PAGES, ROUTERS

TRIES = 4
"""How many addresses of one route are opened in search of links to others."""


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep where a link leads."""
        target = dict(attrs).get("href")
        if tag == "a" and target:
            self.targets.append(target)


def page_routes() -> tuple[str, ...]:
    """Paths of everything that the console answers to GET."""
    routes = (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
    return tuple(route.path for route in routes if "GET" in (route.methods or ()))


def walk_pages(get: Callable[[str], httpx.Response], start: Iterable[str] = ()) -> dict[str, str]:
    """One address of each page that links lead to, by the path of its route; `get` follows redirects."""
    patterns = [(path, re.compile(re.sub(r"\\\{\w+(:\w+)?\\\}", "[^/]+", re.escape(path)))) for path in page_routes()]
    waiting = deque((*PAGES.values(), "/account", "/styleguide", *start))
    met = set(waiting)
    opened = dict.fromkeys(page_routes(), 0)
    addresses = dict[str, str]()
    while waiting:
        address = waiting.popleft()
        route = next((path for path, pattern in patterns if pattern.fullmatch(address.partition("?")[0])), None)
        if route is None or opened[route] >= TRIES:
            continue
        opened[route] += 1
        answer = get(address)
        if not (answer.is_success and answer.headers.get("content-type", "").startswith("text/html")):
            continue
        addresses.setdefault(route, address)
        links = _Links()
        links.feed(answer.text)
        for target in links.targets:
            reached = urldefrag(urljoin(address, target)).url
            if reached.startswith("/") and reached not in met and "lang=" not in reached and "theme=" not in reached:
                met.add(reached)
                waiting.append(reached)
    return addresses
