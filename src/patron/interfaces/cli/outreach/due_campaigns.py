"""The process that `patron serve` starts when a campaign is due: it sends what is due of every campaign, and ends.

It writes a JSON object: when the next message is due (`due_at`, an ISO time or null), and what went wrong with single
campaigns (`troubles`). It ends with another code than 0 only where it could not finish its round.
"""

import json
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from patron.commands.outreach.messages.send_due_campaigns import send_due_campaigns
from patron.storage.shop import Shop


def main(folder: Path) -> None:
    """Send what is due; terminated (SIGTERM), it lets what is on its way be answered, and ends."""
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    shop = Shop.open(folder)
    try:
        due_at, troubles = send_due_campaigns(shop, clock=lambda: datetime.now(UTC), should_stop=stop.is_set)
    finally:
        shop.close()
    report = {"due_at": due_at.isoformat() if due_at else None, "troubles": [str(trouble) for trouble in troubles]}
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
