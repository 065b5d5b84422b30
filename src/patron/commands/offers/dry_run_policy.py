"""A policy tried on a simulated shop, whose customers answer offers, next to the policy in force."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from patron.commands.data.simulated_loop import ingest_events, run_until, seeded_workspace, settings_of_files_alone
from patron.schema.progress import Progress
from patron.schema.tables import EXPOSURES
from patron.simulate.profit import contact_cents, profit_cents, spent_cents
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, Offer, SimulatorSettings
from patron.storage.master_key import keys_folder
from patron.storage.offers import policy as policies

CUSTOMERS = 600
HISTORY_DAYS = 270
MONTH_DAYS = 30
FOLLOWED_DAYS = 60
REMINDER_SHARE, CALL_SHARE = 0.02, 0.15
"""Discounts that a reminder and a call are as attractive as; see CATALOGUE_SHOP."""
USUAL_ORDER_CENTS, MAX_DISCOUNT = 6_000, 0.9
"""A coupon's amount counts as a share of an order of this size, or of the least that it needs."""
FOR_THE_SIMULATION = {
    "consent": {"unknown": "allow"},
    "channel": {"confirm": "automatic"},
    "fairness": {},
    "models": {"retrain_days": 365},
}
"""What differs from the policy's file: simulated customers may be contacted, and their shop sends its outbox."""


@dataclass(frozen=True)
class DryRun:
    """Some months of a policy on a simulated shop."""

    offer_count: int
    spent_cents: float
    """Discounts, shipping and points of orders that used an offer, and contacts."""
    gain_cents: float
    """Profit above that of the same shop without offers, over the months and the time after them."""


@dataclass(frozen=True)
class DryRuns:
    """Two policies on the same simulated shop."""

    months: int
    seed: int
    customer_count: int
    """Customers with whom the shop opened."""
    followed_days: int
    """Days after the months, without offers, whose profit counts too."""
    candidate: DryRun
    today: DryRun


@dataclass(frozen=True)
class _Past:
    """The simulated shop before the first month."""

    seed: int
    history_days: int


def dry_run(  # noqa: PLR0913 - what a dry run depends on
    candidate: policies.Policy,
    today: policies.Policy,
    *,
    margin_share: float,
    months: int,
    seed: int,
    progress: Progress,
    customers: int = CUSTOMERS,
    history_days: int = HISTORY_DAYS,
) -> DryRuns:
    """Run both policies for some months on the same simulated shop, each in a workspace that is deleted afterwards."""
    offers = {offer.id: simulated_offer(offer) for offer in (*today.offers, *candidate.offers)}
    settings = replace(DEFAULT_SHOP, customers=customers, margin_share=margin_share, offers=tuple(offers.values()))
    world = ShopSimulator(settings, seed)
    world.history(history_days)
    none = profit_cents(world.history(months * MONTH_DAYS + FOLLOWED_DAYS), settings)
    past = _Past(seed, history_days)
    runs = [_play(policy, settings, past, none, months=months, progress=progress) for policy in (candidate, today)]
    return DryRuns(months, seed, customers, FOLLOWED_DAYS, *runs)


def simulated_offer(offer: policies.Offer) -> Offer:
    """The offer as simulated customers answer it: by what it takes off and credits, or by attention alone."""
    discount = offer.discount_share
    if offer.kind == "coupon":
        discount = min(offer.amount_off_cents / max(offer.least_order_cents, USUAL_ORDER_CENTS), MAX_DISCOUNT)
    is_free = offer.cost_per_order_cents > 0 and offer.kind in {"free_delivery", "discount"} and discount == 0
    is_price = bool(discount or is_free or offer.points_share)
    attention = CALL_SHARE if offer.kind == "call" else 0.0 if is_price else REMINDER_SHARE
    return Offer(
        offer.id,
        discount_share=discount,
        is_free_shipping=is_free,
        points_share=offer.points_share,
        attention_share=attention,
        contact_cents=offer.contact_cost_cents,
        is_call=offer.kind == "call",
    )


def _play(
    policy: policies.Policy,
    settings: SimulatorSettings,
    past: _Past,
    none_cents: float,
    *,
    months: int,
    progress: Progress,
) -> DryRun:
    """The months of one policy, and the time after them."""
    with settings_of_files_alone(), tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "shop"
        shop = seeded_workspace(folder, past.seed, {"name": "Dry run", "currency": "USD", "time_zone": "UTC"})
        try:
            shop.policy = policies.Policy.model_validate(policy.model_dump(exclude_unset=True) | FOR_THE_SIMULATION)
            shop.settings = shop.settings.model_copy(
                update={"shop": shop.settings.shop.model_copy(update={"margin_share": settings.margin_share})}
            )
            world = ShopSimulator(settings, past.seed)
            ingest_events(shop, world.history(past.history_days), received_at=world.now)
            tables = []
            for _ in range(months):
                _, events = run_until(shop, world, world.now + timedelta(days=MONTH_DAYS), progress=progress)
                tables.append(events)
            offers = shop.lake.read(EXPOSURES)["action"]
        finally:
            shop.close()
            delete_keys(shop.workspace_id)
    events = pa.concat_tables([*tables, world.history(FOLLOWED_DAYS)])
    profit = profit_cents(events, settings) - contact_cents(offers, settings)
    return DryRun(len(offers), spent_cents(events, offers, settings), profit - none_cents)


def delete_keys(workspace_id: str) -> None:
    """Delete the key of a workspace that is gone, and the head of its audit log."""
    leftover: Iterable[Path] = keys_folder().glob(f"{workspace_id}*") if workspace_id else ()
    for path in leftover:
        path.unlink(missing_ok=True)
