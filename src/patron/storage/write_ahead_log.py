"""The write-ahead log of a SQLite file, which keeps what was deleted until it is emptied."""

import time
from collections.abc import Callable

PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 0.2


def empty_write_ahead_log(is_busy: Callable[[], bool]) -> bool:
    """Run a checkpoint that empties the log until it is not busy; False when it still is after a minute.

    SQLite waits by itself for whoever reads or writes, but not for another process that moves the log at that moment,
    as each does that commits after a large change.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while is_busy():
        if time.monotonic() > until:
            return False
        time.sleep(PAUSE_SECONDS)
    return True
