"""kill -9 at 20 random moments of a send of 10,000 e-mails: what was sent twice, what is lost, what is unknown.

    python benchmarks/campaigns/killed_sends.py [--count 10000] [--kills 20]

The SMTP server writes down whom it got mail for before it answers, and is never killed. Each kill comes once a random
share of what is left has arrived; then the send goes on. At the end every message must be on record as sent or unknown.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from mailing import NAME, address_of, mail_server, make_mailing, start_sender

from patron.commands.outreach.messages.send_campaign import summary_of
from patron.govern.vault import Vault, initial_customer_id
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.shop import Shop

SEED = 16


def arrived(path: Path) -> int:
    """Messages that the server took."""
    return path.read_text(encoding="utf-8").count("\n")


def kill_at(folder: Path, taken: Path, moment: int) -> None:
    """Start the sender and kill it once so many messages have arrived."""
    sender = start_sender(folder)
    while arrived(taken) < moment and sender.poll() is None:
        time.sleep(0.002)
    sender.kill()
    sender.wait()


def main() -> None:
    """Kill, send to the end, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    rng = random.Random(SEED)  # noqa: S311 - moments, no secret
    moments = sorted(rng.sample(range(options.count), options.kills))
    with tempfile.TemporaryDirectory() as place:
        folder, taken = Path(place) / "shop", Path(place) / "recipients"
        with mail_server(taken) as port:
            shop = make_mailing(folder, options.count, port)
            vault = Vault.open(shop)
            customers = {
                initial_customer_id(vault.token("user_id", f"p{n}")): address_of(n) for n in range(options.count)
            }
            shop.close()
            for number, moment in enumerate(moments, 1):
                kill_at(folder, taken, moment)
                print(f"kill {number}: {arrived(taken):,} had arrived", flush=True)
            code = start_sender(folder).wait()
        shop = Shop.open(folder)
        summary = summary_of(shop, NAME)
        with shop.store.begin() as connection:
            states = dict(connection.execute(sa.select(MESSAGES.c.customer_id, MESSAGES.c.state)).all())
        received = taken.read_text(encoding="utf-8").split()
    unknown, sent = ({customers[one] for one, of in states.items() if of == state} for state in ("unknown", "sent"))
    people = set(received)
    print(f"exit code at the end: {code}; {summary.sent_count:,} sent, {summary.unknown_count} unknown")
    print(f"sent twice: {len(received) - len(people)}")
    print(f"lost (neither received nor unknown): {len(set(customers.values()) - people - unknown)}")
    print(f"on record as sent and not received: {len(sent - people)}")
    print(f"of the {len(unknown)} unknown, {len(unknown & people)} had arrived")


if __name__ == "__main__":
    main()
