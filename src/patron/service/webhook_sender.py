"""Webhooks that `patron serve` sends by itself: a process of its own whenever something happened or one is due.

It is no part of this process, so that the collector's answers do not wait for signatures and slow receivers.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from patron.service.child_process import ChildProcess
from patron.storage.shop import Shop
from patron.storage.webhooks import fact_marks, next_delivery_at, webhook_endpoints

log = logging.getLogger(__name__)
MODULE = "patron.interfaces.cli.due_webhooks"
CHECK_SECONDS = 5.0
LONGEST_PAUSE = timedelta(hours=1)
"""After so long deadlines that came near are looked for, which nothing marks."""
STOP_SECONDS = 60.0


@dataclass
class WebhookSender:
    """Starts the process that sends webhooks when there is something to send."""

    shop: Shop
    clock: Callable[[], datetime]
    check_seconds: float = CHECK_SECONDS
    trouble: str = ""
    """What went wrong last."""
    _child: ChildProcess = field(init=False)
    _thread: threading.Thread | None = None
    _marks: tuple[str, ...] = ()
    _looked_at: datetime | None = None

    def __post_init__(self) -> None:
        self._child = ChildProcess(MODULE, self.shop.folder)

    def start(self) -> None:
        """Start looking for what is to be sent."""
        self._thread = threading.Thread(target=self._keep_looking, name="webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let what is on its way be answered, and end."""
        self._child.end()
        if self._thread:
            self._thread.join(STOP_SECONDS)

    def is_due(self, now: datetime) -> bool:
        """Whether something happened since the last look, or a delivery is due."""
        store = self.shop.store
        if not any(one.is_enabled for one in webhook_endpoints(store)):
            return False
        marks = fact_marks(store)
        is_changed, self._marks = marks != self._marks, marks
        due_at = next_delivery_at(store)
        is_late = self._looked_at is None or now - self._looked_at >= LONGEST_PAUSE
        return is_changed or is_late or (due_at is not None and due_at <= now)

    def _keep_looking(self) -> None:
        while not self._child.is_ending.wait(self.check_seconds):
            try:
                if self.is_due(now := self.clock()):
                    self._looked_at = now
                    self._run()
            except Exception as error:  # noqa: BLE001 - such as a database that restarts: it is tried again
                self._report(str(error))

    def _run(self) -> None:
        finished = self._child.run()
        self._report(finished.stderr.strip()[-500:] if finished.returncode else "")

    def _report(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("webhooks cannot be sent: %s", trouble)
        self.trouble = trouble
