"""Mail digests that `patron serve` sends by itself: a process of its own after a run, and when one is tried again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from patron.service.due_process import DueProcess
from patron.storage.digests import FinishedRun, active_subscriptions, newest_run, next_digest_at

TRIED_AGAIN_AFTER = timedelta(minutes=5)
"""After so long a process that failed, such as while the database restarted, is started again."""


@dataclass
class DigestSender(DueProcess):
    """Starts the process that sends digests when a run finished that it has not looked at."""

    module: ClassVar = "patron.interfaces.cli.due_digests"
    work: ClassVar = "digests"
    _run: FinishedRun | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether somebody gets digests, and a run finished since the last look or an attempt is due."""
        store = self.shop.store
        with store.begin() as connection:
            has_readers = bool(active_subscriptions(connection))
        if not has_readers or not self.shop.settings.channels.email.is_configured:
            return False
        if self.trouble and self.ran_at and now - self.ran_at < TRIED_AGAIN_AFTER:
            return False  # why: a process that fails at once would be started every few seconds
        run, due_at = newest_run(store), next_digest_at(store)
        is_new, self._run = run != self._run, run
        return is_new or bool(self.trouble and self.ran_at) or (due_at is not None and due_at <= now)
