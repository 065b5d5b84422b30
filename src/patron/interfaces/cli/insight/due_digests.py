"""The process that `patron serve` starts after a run: it sends the mail digests that are due, and ends."""

import signal
import sys
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from patron.commands.insight.send_digests import send_digests
from patron.interfaces.report.digest_letter import digest_composer, facts_of_run
from patron.schema.errors import SendingHeld, WorkspaceBusy
from patron.storage.shop import Shop


def main(folder: Path) -> None:
    """Send what is due; terminated (SIGTERM), it lets what is on its way be answered, and ends."""
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    with closing(Shop.open(folder)) as shop, facts_of_run(shop) as facts:
        compose = digest_composer(facts)
        with suppress(WorkspaceBusy, SendingHeld):  # why: another server sends them, or nobody may
            send_digests(shop, compose=compose, clock=lambda: datetime.now(UTC), should_stop=stop.is_set)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
