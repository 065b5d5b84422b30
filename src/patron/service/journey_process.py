"""Journeys that `patron serve` advances: a process of its own that lives while a journey is under way.

It stays, so that a message that is due waits for no Python to start. It is started again when it dies.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from patron.service.child_process import ChildProcess, LastingProcess
from patron.service.due_process import DueProcess
from patron.storage.outreach.outreach_counts import has_journey_work

CHECK_SECONDS = 3.0


@dataclass
class JourneyProcess(DueProcess):
    """Keeps the process that advances journeys while one is under way."""

    module: ClassVar = "patron.interfaces.cli.outreach.running_journeys"
    work: ClassVar = "journeys"
    check_seconds: float = CHECK_SECONDS

    def is_due(self, now: datetime) -> bool:  # noqa: ARG002 - a journey that waits is under way, too
        """Whether a journey is under way."""
        return has_journey_work(self.shop.store)

    def _new_child(self) -> ChildProcess:
        return LastingProcess(self.module, self.shop.folder, on_line=lambda line: self._report(_trouble_of_round(line)))


def _trouble_of_round(line: str) -> str:
    try:
        return "\n".join(json.loads(line))
    except (ValueError, TypeError):  # why: a line that was cut off, or a library that speaks
        return f"the process that advances them reported {line[:200]!r}"
