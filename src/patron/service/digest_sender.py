"""Mail digests that `patron serve` sends by itself: a process of its own after a run, and when one is tried again."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from patron.service.due_process import DueProcess
from patron.storage.insight.digests import FinishedRun, active_subscriptions, newest_run, next_digest_at
from patron.storage.outreach.sending_hold import current_hold


@dataclass
class DigestSender(DueProcess):
    """Starts the process that sends digests when a run finished that it has not looked at."""

    module: ClassVar = "patron.interfaces.cli.insight.due_digests"
    work: ClassVar = "digests"
    _last_run: FinishedRun | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether somebody gets digests, none is held, and a run finished since the last look or an attempt is due."""
        store, settings = self.shop.store, self.shop.settings
        if current_hold(store):
            return False
        with store.begin() as connection:
            has_readers = bool(active_subscriptions(connection))
        if not (has_readers and settings.channels.email.is_configured and settings.access.public_url):
            return False
        run, due_at = newest_run(store), next_digest_at(store)
        is_new, self._last_run = run != self._last_run, run
        return is_new or (due_at is not None and due_at <= now)
