"""The process that `patron serve` keeps while journeys are under way: it advances them, round after round.

It works every ROUND_SECONDS, sooner when a step is due, and ends when its input is closed (the server ended or was
killed), once nothing is under way any more, or when it is terminated; what is on its way is answered first. After each
round it writes what went wrong as a line of JSON to its output.
"""

import json
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from patron.commands.outreach.journeys.advance_journeys import advance_journeys
from patron.schema.common_sentences import RETRIED_AUTOMATICALLY
from patron.schema.errors import PatronError, WorkspaceBusy
from patron.schema.sentences import Sentence
from patron.storage.outreach.outreach_counts import has_journey_work
from patron.storage.shop import Shop

JOURNEYS_STUCK = Sentence("journeys_stuck", "journeys cannot advance ({cause})")

ROUND_SECONDS = 2.0
MIN_SECONDS = 0.2
"""Shortest pause between rounds."""
INPUT, READ_BYTES = 0, 65_536


def main(folder: Path) -> None:
    """Advance journeys until there is nothing to do, or the input is closed."""
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    shop = Shop.open(folder)
    try:
        while not stop.is_set() and has_journey_work(shop.store):
            pause = _round(shop, stop)
            stop.wait(pause)
    finally:
        shop.close()


def _round(shop: Shop, stop: threading.Event) -> float:
    """Take a round; returns how many seconds to wait for the next one."""
    due_at, troubles = None, list[PatronError]()
    try:
        shop.reload_settings()
        due_at, troubles = advance_journeys(shop, clock=lambda: datetime.now(UTC), should_stop=stop.is_set)
    except WorkspaceBusy:
        pass  # why: another process stores, or advances them in the foreground; it goes on afterwards
    except PatronError as error:
        troubles = [error]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported and tried again
        troubles = [PatronError(JOURNEYS_STUCK(cause=error), todo=RETRIED_AUTOMATICALLY)]
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps([str(trouble) for trouble in troubles]).encode() + b"\n")
    left = (due_at - datetime.now(UTC)).total_seconds() if due_at and not troubles else ROUND_SECONDS
    return min(max(left, MIN_SECONDS), ROUND_SECONDS)


def _watch_input(stop: threading.Event) -> None:
    """Stop when the input is closed."""
    while select.select([INPUT], [], []) and os.read(INPUT, READ_BYTES):
        pass
    stop.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
