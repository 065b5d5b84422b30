"""Pages of the console take turns: a few are computed at once, and one reader holds half of the turns at most.

More do not end sooner: each takes its turn at the interpreter at each of some hundred reads, and so does the collector.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from fastapi import Request

from patron.interfaces.http.refusals import is_for_programs
from patron.schema.access.access_rights import Actor, Area, Right

PAGES_AT_ONCE = 2
"""In each process that answers."""
UNANSWERED = "unanswered"
"""In the state of a request: why no process answered that it was passed on to."""


class PageTurns:
    """Turns of the pages of one server."""

    def __init__(self, count: int = PAGES_AT_ONCE) -> None:
        self._count = count
        self._turns = asyncio.Semaphore(count)
        self._of_readers: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, reader: str) -> AsyncIterator[None]:
        """Wait for a turn in the order in which readers asked, and hold it within a block."""
        own = self._of_readers.setdefault(reader, asyncio.Semaphore(max(1, self._count // 2)))
        async with own, self._turns:
            yield


@asynccontextmanager
async def wait_for_turn(
    request: Request, right: Right | str | None, name_of: Callable[[Actor], str]
) -> AsyncIterator[None]:
    """Wait for a turn, and hold it while a page of the shop is computed.

    A program takes none, nor does a question of Explore, which waits for another process. Raises Overloaded where it
    was passed on to another process, which could not answer.
    """
    if unanswered := request.scope["state"].get(UNANSWERED):
        raise unanswered
    is_page = request.method in ("GET", "HEAD") and not is_for_programs(request.url.path)
    if not is_page or not isinstance(right, Right) or right.area == Area.QUESTIONS:
        yield
        return
    async with request.app.state.page_turns.hold(name_of(request.state.actor)):
        yield
