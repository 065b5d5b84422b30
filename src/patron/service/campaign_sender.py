"""Campaigns that `patron serve` sends by itself: a process of its own whenever something is due.

It is no part of this process, so that the collector's answers do not wait for templates and signatures.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from patron.schema.errors import PatronError
from patron.service.child_process import ChildProcess
from patron.storage.campaigns import APPROVED, RUNNING, SavedCampaign, campaigns
from patron.storage.shop import Shop

log = logging.getLogger(__name__)
MODULE = "patron.interfaces.cli.due_campaigns"
CHECK_SECONDS = 5.0
LONGEST_PAUSE = timedelta(minutes=15)
"""After so long receipts become events, and messages that a person settled go on."""
RECEIPTS_COME_FOR = timedelta(days=30)
STOP_SECONDS = 60.0
"""How long a sender has for what is on its way when the server ends."""


@dataclass
class CampaignSender:
    """Starts the sender when a campaign is due, and lets it finish what is on its way when the server ends."""

    shop: Shop
    clock: Callable[[], datetime]
    check_seconds: float = CHECK_SECONDS
    trouble: str = ""
    """What the last sender said went wrong."""
    _child: ChildProcess = field(init=False)
    _thread: threading.Thread | None = None
    _signature: tuple[tuple[str, int], ...] = ()
    _next_at: datetime | None = None
    """When the sender has something to do again; None before it ran."""

    def __post_init__(self) -> None:
        self._child = ChildProcess(MODULE, self.shop.folder)

    def start(self) -> None:
        """Start looking for campaigns that are due."""
        self._thread = threading.Thread(target=self._keep_looking, name="campaigns", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages, and wait until those on their way are answered."""
        self._child.end()
        if self._thread:
            self._thread.join(STOP_SECONDS)

    def is_due(self, now: datetime) -> bool:
        """Whether a campaign has something to do: to send, to end, or receipts that come after its end."""
        zone = ZoneInfo(self.shop.settings.shop.time_zone)
        live = [one for one in campaigns(self.shop.store) if _is_live(one, now, zone)]
        signature = tuple((one.name, one.steps[-1].entry) for one in live)
        is_changed, self._signature = signature != self._signature, signature
        return bool(live) and (is_changed or self._next_at is None or now >= self._next_at)

    def _keep_looking(self) -> None:
        while not self._child.is_ending.wait(self.check_seconds):
            try:
                if self.is_due(self.clock()):
                    self._run()
            except (PatronError, OSError, ValueError) as error:
                self._report(str(error))

    def _run(self) -> None:
        finished = self._child.run()
        due_at = finished.stdout
        latest = self.clock() + LONGEST_PAUSE
        self._next_at = min(datetime.fromisoformat(due_at), latest) if due_at else latest
        self._report(finished.stderr.strip())

    def _report(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("a campaign cannot be sent: %s", trouble)
        self.trouble = trouble


def _is_live(saved: SavedCampaign, now: datetime, zone: ZoneInfo) -> bool:
    if saved.state in {APPROVED, RUNNING}:
        return saved.campaign.start_at(zone) <= now
    return saved.last("started") is not None and now < saved.campaign.end_at(zone) + RECEIPTS_COME_FOR
