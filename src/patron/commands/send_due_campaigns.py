"""Send what is due of every campaign, and end: `patron serve` starts it as a process of its own.

It writes when the next message is due to its output, as an ISO time, or nothing; what went wrong, to its errors.
"""

import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from patron.commands.message_events import load_message_events
from patron.commands.message_handover import Clock
from patron.commands.send_campaign import never, send_campaign
from patron.schema.errors import PatronError, WorkspaceBusy
from patron.storage.campaigns import APPROVED, RUNNING, SavedCampaign, campaigns
from patron.storage.shop import Shop

RECEIPTS_COME_FOR = timedelta(days=30)
"""How long after the end of a campaign its receipts still become events."""
RETRY_AFTER = timedelta(minutes=1)
FAILED = 1


def send_due_campaigns(
    shop: Shop, *, clock: Clock, should_stop: Callable[[], bool] = never
) -> tuple[datetime | None, list[PatronError]]:
    """Send what is due of every campaign; returns when the next message is due, and what went wrong.

    One campaign that cannot be sent does not keep the others back.
    """
    next_due: list[datetime] = []
    troubles: list[PatronError] = []
    for saved in campaigns(shop.store):
        if should_stop():
            break
        try:
            if saved.state in {APPROVED, RUNNING}:
                summary = send_campaign(shop, saved.name, now=clock(), clock=clock, should_stop=should_stop)
                next_due += [summary.next_due_at] if summary.next_due_at else []
            elif _has_receipts(saved, clock()):
                load_message_events(shop, saved.name, now=clock())
        except WorkspaceBusy:
            next_due.append(clock() + RETRY_AFTER)  # why: somebody sends it in the foreground
        except PatronError as error:
            troubles.append(error)
            next_due.append(clock() + RETRY_AFTER)
    return min(next_due, default=None), troubles


def _has_receipts(saved: SavedCampaign, now: datetime) -> bool:
    started = saved.last("started")
    return started is not None and now - started.taken_at < RECEIPTS_COME_FOR + saved.campaign.window


def main(folder: Path) -> int:
    """Send what is due; terminated (SIGTERM), it lets what is on its way be answered, and ends."""
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    shop = Shop.open(folder)
    try:
        due_at, troubles = send_due_campaigns(shop, clock=lambda: datetime.now(UTC), should_stop=stop.is_set)
    finally:
        shop.close()
    sys.stdout.write(due_at.isoformat() if due_at else "")
    sys.stderr.write("".join(f"{one}\n" for one in troubles))
    return FAILED if troubles else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
