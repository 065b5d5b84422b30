"""Accept eight events one by one into an inbox, each again until it is accepted; print what happened.

python tests/support/accept_events.py INBOX
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from patron.collect.inbox.inbox import Inbox
from patron.collect.inbox.inbox_writer import InboxWriter
from patron.collect.request import Message, Request
from patron.schema.errors import PatronError

KEY = bytes(range(32))
TRIES = 100


def main(path: Path) -> None:
    writer, accepted, refused = InboxWriter(lambda: Inbox(path, KEY)), 0, 0
    writer.start()
    for number in range(8):
        one = Request("web", datetime.now(UTC), [Message(str(number), {"event_id": str(number)})])
        for _ in range(TRIES):
            try:
                accepted += bool(writer.submit(one).result(10).total)
                break
            except PatronError:
                refused += 1
                time.sleep(0.1)
    writer.stop()
    with Inbox(path, KEY) as inbox:
        stored = inbox.counts()["web"].stored
    sys.stdout.write(json.dumps({"accepted": accepted, "refused_once": refused > 0, "stored": stored}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
