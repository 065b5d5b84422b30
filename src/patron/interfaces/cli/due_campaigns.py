"""The process that `patron serve` starts when a campaign is due: it sends what is due of every campaign, and ends.

It writes when the next message is due to its output, as an ISO time, or nothing; what went wrong, to its errors.
"""

import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from patron.commands.send_due_campaigns import send_due_campaigns
from patron.storage.shop import Shop

FAILED = 1


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
