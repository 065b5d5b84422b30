"""One browser for all tests that need one: it takes seconds to start and to end."""

import os
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest

from patron.interfaces.console.screenshots import browser
from patron.schema.errors import MissingExtra


class SharedBrowser:
    """Chromium, opened by the first test that asks for it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._chromium: Any = None

    def open(self) -> Any:
        """The browser. Raises MissingExtra when it or Playwright is not installed."""
        if self._chromium is None:
            self._chromium = self._stack.enter_context(browser())
        return self._chromium

    def close(self) -> None:
        """End the browser and Playwright's event loop."""
        self._chromium = None
        self._stack.close()


SHARED = SharedBrowser()


def needs_browser(item: pytest.Item | None) -> bool:
    """Whether a test asks for the browser, itself or through a fixture."""
    return "chromium" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that need a browser, and let one worker run them one after the other."""
    for item in filter(needs_browser, items):
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Close the browser before a test without one: while Playwright runs, nothing else may run an event loop."""
    try:
        return (yield)
    finally:
        if not needs_browser(nextitem):
            SHARED.close()


@pytest.fixture
def chromium() -> Any:
    """The browser of all tests; without one the test skips, and fails in CI."""
    try:
        return SHARED.open()
    except MissingExtra as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
