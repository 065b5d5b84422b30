"""Whether events are accepted, answered from a place of its own: no other request keeps it waiting."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from patron.schema.data.collector_state import CollectorState
from patron.schema.errors import PatronError
from patron.storage.shop import Shop

CACHE_SECONDS = 0.5
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Health:
    """Whether the workspace can be read and the collector accepts events."""

    status: str
    """"ok" or "trouble"."""
    run_id: str | None
    """The run that is shown."""
    trouble: str = ""
    """What is wrong, and what to do."""
    is_accepting: bool = False
    """Whether events that arrive now are accepted."""


@dataclass
class HealthCheck:
    """Looks at the workspace in a thread of its own, at most twice a second."""

    shop: Shop
    collector_state: Callable[[], CollectorState]
    _looks_at: float = float("-inf")
    _look: "Future[Health] | None" = None
    _executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "health"))

    async def report(self) -> Health:
        """State of the workspace now."""
        now = time.monotonic()
        if self._look is None or (self._look.done() and now > self._looks_at + CACHE_SECONDS):
            self._look, self._looks_at = self._executor.submit(self._examine), now
        look = self._look
        if look.done():
            return look.result()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(look)), PATIENCE_SECONDS)
        except TimeoutError:
            return Health("trouble", None, f"the workspace has not answered for {PATIENCE_SECONDS:g} seconds")

    def _examine(self) -> Health:
        state = self.collector_state()
        report = Health("trouble" if state.trouble else "ok", None, state.trouble, state.is_accepting)
        try:
            view = self.shop.snapshot()
        except PatronError as error:
            return replace(report, status="trouble", trouble=report.trouble or str(error))
        return replace(report, run_id=view.run.run_id if view else None)
