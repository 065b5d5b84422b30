"""Campaigns that `patron serve` sends by itself: a process of its own whenever something is due."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from patron.service.due_process import DueProcess
from patron.storage.outreach.approved_terms import approved_zone
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.sending_hold import current_hold
from patron.storage.outreach.versioned_drafts import APPROVED, RUNNING, SavedVersion

MAX_WAIT = timedelta(minutes=15)
"""After so long receipts become events, and messages that a person settled go on."""
RECEIPTS_COME_FOR = timedelta(days=30)


@dataclass
class CampaignSender(DueProcess):
    """Starts the sender when a campaign is due, and lets it finish what is on its way when the server ends."""

    module: ClassVar = "patron.interfaces.cli.outreach.due_campaigns"
    work: ClassVar = "campaigns"
    _signature: tuple[tuple[str, int], ...] = ()
    _next_at: datetime | None = None
    """When the sender has something to do again; None before it ran."""

    def is_due(self, now: datetime) -> bool:
        """Whether a campaign has something to do: to send, to end, or receipts that come after it; none while held."""
        if current_hold(self.shop.store):
            return False
        saved = CAMPAIGN.all_saved_in(self.shop.store)
        live = [one for one in saved if _is_live(one, now, approved_zone(self.shop, one))]
        signature = tuple((one.name, one.steps[-1].entry) for one in live)
        is_changed, self._signature = signature != self._signature, signature
        is_late = self._next_at is None or now >= self._next_at or self.is_clock_back(now)
        return bool(live) and (is_changed or is_late)

    def _trouble_in(self, output: str) -> str:
        """What went wrong with some of them; when the next message is due is kept."""
        report, latest = json.loads(output), self.clock() + MAX_WAIT
        due_at = datetime.fromisoformat(report["due_at"]) if report["due_at"] else latest
        self._next_at = min(due_at, latest)
        return "\n".join(report["troubles"])


def _is_live(saved: SavedVersion[Campaign], now: datetime, zone: ZoneInfo) -> bool:
    if saved.state in {APPROVED, RUNNING}:
        return saved.content.start_at(zone) <= now
    return saved.last("started") is not None and now < saved.content.end_at(zone) + RECEIPTS_COME_FOR
