"""Webhooks that `patron serve` sends by itself: a process of its own whenever something happened or one is due."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from patron.service.due_process import DueProcess
from patron.storage.data.webhooks import fact_marks, next_delivery_at, webhook_endpoints
from patron.storage.outreach.sending_hold import current_hold

MAX_PAUSE = timedelta(hours=1)
"""After so long deadlines that came near are looked for, which nothing marks."""


@dataclass
class WebhookSender(DueProcess):
    """Starts the process that sends webhooks when there is something to send."""

    module: ClassVar = "patron.interfaces.cli.data.due_webhooks"
    work: ClassVar = "webhooks"
    _marks: tuple[str, ...] = ()

    def is_due(self, now: datetime) -> bool:
        """Whether something happened since the last look, or a delivery is due, and nothing is held."""
        store = self.shop.store
        if current_hold(store) or not any(endpoint.is_enabled for endpoint in webhook_endpoints(store)):
            return False
        marks = fact_marks(store)
        is_changed, self._marks = marks != self._marks, marks
        due_at = next_delivery_at(store)
        is_late = self.ran_at is None or now - self.ran_at >= MAX_PAUSE or self.is_clock_back(now)
        return is_changed or is_late or (due_at is not None and due_at <= now)
