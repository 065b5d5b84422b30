"""Work that `patron serve` does by itself in a process of its own, whenever there is some.

It is no part of this process, so that the collector's answers do not wait for signatures and slow receivers.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from patron.service.child_process import ChildProcess
from patron.storage.shop import Shop

log = logging.getLogger(__name__)
CHECK_SECONDS = 5.0
STOP_SECONDS = 60.0
"""How long a process has for what is on its way when the server ends."""
LONGEST_TROUBLE = 500


@dataclass
class DueProcess(ABC):
    """Looks every few seconds whether there is work, and runs a module on the workspace when there is."""

    module: ClassVar[str]
    """By name, as a service imports no command."""
    work: ClassVar[str]
    """What it sends, in the plural."""
    shop: Shop
    clock: Callable[[], datetime]
    check_seconds: float = CHECK_SECONDS
    trouble: str = ""
    """What went wrong last."""
    ran_at: datetime | None = None
    """When the process was last started."""
    _child: ChildProcess = field(init=False)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._child = ChildProcess(self.module, self.shop.folder)

    def start(self) -> None:
        """Start looking for work."""
        self._thread = threading.Thread(target=self._keep_looking, name=self.work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let what is on its way be answered, and end."""
        self._child.end()
        if self._thread:
            self._thread.join(STOP_SECONDS)

    @abstractmethod
    def is_due(self, now: datetime) -> bool:
        """Whether there is work."""

    def _keep_looking(self) -> None:
        while not self._child.is_ending.wait(self.check_seconds):
            try:
                if self.is_due(now := self.clock()):
                    self.ran_at = now
                    finished = self._child.run()
                    has_died = finished.returncode and not self._child.is_ending.is_set()
                    died = f"its process ended with {finished.returncode}" if has_died else ""
                    self._report(finished.stderr.strip()[-LONGEST_TROUBLE:] or died)
            except Exception as error:  # noqa: BLE001 - such as a database that restarts: it is tried again
                self._report(str(error))

    def _report(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("not all %s can be sent: %s", self.work, trouble)
        self.trouble = trouble
