"""The loop with a simulated shop that responds to the outbox, so that the truth is known; for demos and studies."""

import csv
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from patron.collect.loader import load_events
from patron.commands.data.init_workspace import create
from patron.run import FinishedRun, run_loop
from patron.schema.data.counts import IngestionCounts
from patron.schema.progress import Progress, silent
from patron.schema.table_definition import TEXT, TIME
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import Offer, SimulatorSettings
from patron.storage.durable_files import make_private_folder, write_durably
from patron.storage.master_key import VARIABLE, keys_folder
from patron.storage.shop import POLICY_FILE, SETTINGS_FILE, Shop

SOURCE = "simulated"
PREFIX = "PATRON_"
"""How environment variables of settings begin."""
OFFERS = pa.schema([("user_id", TEXT), ("offer_id", TEXT), ("decision_id", TEXT), ("exposed_at", TIME)])

POLICY = """\
# The promises of the simulated shop. Its customers have agreed to be written to, and its outbox is really sent.

[consent]
unknown = "allow"

[channel]
confirm = "automatic"

[measure]
window_days = 28

[budget]
# each run may spend all of it: the months of a simulation have 30 days, so that two can begin in one of the calendar
amount = {budget}
period = "day"

[holdout]
share = 0.1

[recommendations]
ranking = "counts"

[at_risk]
lifecycle_stages = ["at_risk", "lapsed"]
active_within_days = 90

"""
OFFER = """\
[[offers]]
id = "{id}"
{terms}
contact_cost_cents = {contact_cost_cents}
cost_per_order_cents = {order_cost_cents}
delivery_free_from = {delivery_free_from}
valid_days = {days}
assumed_purchase_uplift = 0.05

"""


@contextmanager
def settings_of_files_alone() -> Iterator[None]:
    """Let no environment variable name the key, the store or the inbox of another workspace, such as a server's own."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.upper().startswith(PREFIX)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def seeded_workspace(folder: Path, seed: int, settings: Mapping[str, str | bool]) -> Shop:
    """Make and open a workspace whose master key comes from a seed, so that ids, holdout and random draws reproduce.

    For simulated shops alone: such a key protects nobody.
    """
    key = hashlib.sha256(f"simulated shop {seed}".encode()).hexdigest()
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = key  # why: a new workspace takes the key from there, or makes a random one
    try:
        workspace = create(folder, settings)
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
    make_private_folder(keys_folder())
    write_durably(keys_folder() / f"{workspace.workspace_id}.key", f"{key}\n".encode())
    return Shop.open(folder)


def write_rules(folder: Path, settings: SimulatorSettings, *, budget_cents: int, contact_cost_cents: int = 5) -> None:
    """Give a workspace the simulated shop's margin and offers."""
    text = (folder / SETTINGS_FILE).read_text(encoding="utf-8")
    text = text.replace("margin_share = 0.3 ", f"margin_share = {settings.margin_share} ")
    write_durably(folder / SETTINGS_FILE, text.encode())
    policy = POLICY.format(budget=f"{budget_cents / 100:.2f}")
    for offer in settings.offers:
        policy += OFFER.format(
            id=offer.offer_id,
            terms=_terms(offer, settings),
            contact_cost_cents=offer.contact_cents if offer.is_call else contact_cost_cents,
            order_cost_cents=settings.shipping_cents if offer.is_free_shipping else 0,
            delivery_free_from=settings.free_shipping_from_cents / 100 if offer.is_free_shipping else 0,
            days=settings.offer_days,
        )
    write_durably(folder / POLICY_FILE, policy.encode())


def _terms(offer: Offer, settings: SimulatorSettings) -> str:
    """What an offer is, as policy.toml says it: a discount, unless it is points, a call or a reminder."""
    if offer.points_share:
        points = f"points_share = {offer.points_share}\nredeemed_share = {settings.points_redeemed_share}"
        return f'kind = "points"\n{points}'
    if offer.attention_share:
        return f'kind = "{"call" if offer.is_call else "reminder"}"'
    return f"discount_share = {offer.discount_share}"


def ingest_events(shop: Shop, events: pa.Table, *, received_at: datetime) -> IngestionCounts:
    """Load simulated events as history: each is known when it happened."""
    return load_events(shop, events, source=SOURCE, known="occurred", received_at=received_at)


def offers_in_outbox(folder: Path, run_id: str, exposed_at: datetime) -> pa.Table:
    """Read the run's outbox as the shop's mail system would."""
    with (folder / "outbox" / run_id / "offers_file.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            {
                "user_id": row["user_id"],
                "offer_id": row["offer"],
                "decision_id": row["decision_id"],
                "exposed_at": exposed_at,
            }
            for row in csv.DictReader(lines)
        ]
    return pa.Table.from_pylist(rows, OFFERS)


def run_until(
    shop: Shop, world: ShopSimulator, until: datetime, *, progress: Progress = silent
) -> tuple[FinishedRun, pa.Table]:
    """Run the loop now, deliver its offers to the simulated shop, and load the shop's events until then."""
    finished = run_loop(shop, world.now, progress=progress)
    offers = offers_in_outbox(shop.folder, finished.run_id, world.now)
    events = world.advance(until, offers if offers.num_rows else None)
    ingest_events(shop, events, received_at=until)
    return finished, events
