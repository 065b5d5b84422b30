"""The process that `patron serve` starts when there is something to report: it sends what is due, and ends."""

import signal
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from patron.commands.data.send_webhooks import send_webhooks
from patron.schema.errors import SendingHeld, WorkspaceBusy
from patron.storage.shop import Shop


def main(folder: Path) -> None:
    """Send what is due; terminated (SIGTERM), it lets what is on its way be answered, and ends."""
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    shop = Shop.open(folder)
    try:
        with suppress(WorkspaceBusy, SendingHeld):  # why: another server sends them, or nobody may
            send_webhooks(shop, clock=lambda: datetime.now(UTC), should_stop=stop.is_set)
    finally:
        shop.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
