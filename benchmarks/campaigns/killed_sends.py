"""kill -9 at random moments while e-mails are sent: what was sent twice, what is lost, what is unknown.

    python benchmarks/campaigns/killed_sends.py [--count 10000] [--kills 20] [--senders 1]

The SMTP server refuses every 50th person, writes down whom it got mail for before it answers, and is never killed. Each
sender sends a campaign of its own; each kill comes once a random share of what is left has arrived, of one sender after
the other, which then starts again. At the end every message must be on record as sent, refused or unknown.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from mailing import address_of, mail_server, make_mailing, start_sender

from patron.govern.vault import Vault, initial_customer_id
from patron.storage.outreach.campaign_tables import MESSAGES
from patron.storage.outreach.email_settings import EmailSettings
from patron.storage.shop import Shop

SEED = 16
REFUSE_EVERY = 50


def arrived(path: Path) -> int:
    """Messages that the server took."""
    return path.read_text(encoding="utf-8").count("\n")


def kill_and_end(folder: Path, taken: Path, names: tuple[str, ...], moments: list[int]) -> list[int]:
    """Start the senders, kill one at each moment, let all end; returns their exit codes."""
    senders = {name: start_sender(folder, name) for name in names}
    for number, moment in enumerate(moments):
        name = names[number % len(names)]
        while arrived(taken) < moment and any(one.poll() is None for one in senders.values()):
            time.sleep(0.002)
        senders[name].kill()
        senders[name].wait()
        print(f"kill {number + 1}: {arrived(taken):,} had arrived", flush=True)
        senders[name] = start_sender(folder, name)
    return [one.wait() for one in senders.values()]


def main() -> None:
    """Kill, send to the end, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--senders", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(SEED)  # noqa: S311 - moments, no secret
    moments = sorted(rng.sample(range(options.count - options.count // REFUSE_EVERY), options.kills))
    names = tuple(f"mailing {number + 1}" for number in range(options.senders))
    with tempfile.TemporaryDirectory() as place:
        folder, taken = Path(place) / "shop", Path(place) / "recipients"
        with mail_server(taken, refuse_every=REFUSE_EVERY) as port:
            shop = make_mailing(folder, options.count, port, names)
            vault = Vault.open(shop)
            customers = {
                initial_customer_id(vault.token("user_id", f"p{n}")): address_of(n) for n in range(options.count)
            }
            shop.close()
            codes = kill_and_end(folder, taken, names, moments)
        shop = Shop.open(folder)
        with shop.store.begin() as connection:
            states = dict(connection.execute(sa.select(MESSAGES.c.customer_id, MESSAGES.c.state)).all())
        received = taken.read_text(encoding="utf-8").split()
    by_state = {
        kind: {customers[one] for one, of in states.items() if of == kind} for kind in ("sent", "failed", "unknown")
    }
    sent, refused, unknown = by_state.values()
    people, connections = set(received), EmailSettings().connections
    print(f"exit codes at the end: {codes}")
    print(f"{options.count:,} planned = {len(sent):,} sent + {len(refused):,} refused + {len(unknown):,} unknown")
    print(f"sent twice: {len(received) - len(people)}")
    print(f"lost (neither received, refused nor unknown): {len(set(customers.values()) - people - refused - unknown)}")
    print(f"on record as sent and not received: {len(sent - people)}; as refused and received: {len(refused & people)}")
    print(f"of the {len(unknown)} unknown, {len(unknown & people)} had arrived")
    print(f"unknown a kill: {len(unknown) / options.kills:.1f}, with {connections} connections")


if __name__ == "__main__":
    main()
