"""Send what is due of every campaign: what `patron serve` does in a process of its own."""

from collections.abc import Callable
from datetime import datetime, timedelta

from patron.commands.outreach.messages.message_events import load_message_events
from patron.commands.outreach.messages.message_handover import Clock
from patron.commands.outreach.messages.send_campaign import keep_going, send_campaign
from patron.engage.message_queue import settle_by_receipts
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import PatronError, WorkspaceBusy
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.versioned_drafts import APPROVED, RUNNING, SavedVersion
from patron.storage.shop import Shop

RECEIPTS_COME_FOR = timedelta(days=30)
"""How long after the end of a campaign its receipts still become events."""
RETRY_AFTER = timedelta(minutes=1)


def send_due_campaigns(
    shop: Shop, *, clock: Clock, should_stop: Callable[[], bool] = keep_going
) -> tuple[datetime | None, list[PatronError]]:
    """Send what is due of every campaign; returns when the next message is due, and what went wrong.

    One campaign that cannot be sent does not keep the others back.
    """
    next_due: list[datetime] = []
    troubles: list[PatronError] = []
    for saved in CAMPAIGN.all_saved_in(shop.store):
        if should_stop():
            break
        try:
            if saved.state in {APPROVED, RUNNING}:
                summary = send_campaign(
                    RequestContext.from_name(shop, now=clock(), clock=clock),
                    saved.name,
                    should_stop=should_stop,
                )
                next_due += [summary.next_due_at] if summary.next_due_at else []
            elif _has_receipts(saved, clock()):
                with shop.store.begin() as connection:
                    settle_by_receipts(connection, saved.name)
                load_message_events(shop, saved.name, now=clock())
        except WorkspaceBusy:
            next_due.append(clock() + RETRY_AFTER)  # why: somebody sends it in the foreground
        except PatronError as error:
            troubles.append(error)
            next_due.append(clock() + RETRY_AFTER)
    return min(next_due, default=None), troubles


def _has_receipts(saved: SavedVersion[Campaign], now: datetime) -> bool:
    started = saved.last("started")
    return started is not None and now - started.taken_at < RECEIPTS_COME_FOR + saved.content.window
