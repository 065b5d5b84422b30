"""What a year of offers was worth: worlds of one seed that differ only by what was offered, counted in the same way.

Money spent is the discount and shipping of orders that used an offer, points that are expected to be redeemed, and
contacts. Profit is the margin of events over the year and `FOLLOWED_DAYS` more without offers, so that customers who
left for good count, less contacts.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.commands.data.simulated_loop import OFFERS
from patron.simulate import ground_truth
from patron.simulate.profit import contact_cents, profit_cents, spent_cents
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import SimulatorSettings

HISTORY_DAYS, MONTHS, MONTH_DAYS, FOLLOWED_DAYS = 300, 12, 30, 60
WINDOW_DAYS = 28
"""Days after a decision in which its effect is measured."""
HALVINGS = 10
"""Worlds tried to find how many random offers cost as much as ours."""


@dataclass(frozen=True)
class Month:
    """What was offered in a month, what it cost, and what customers did."""

    offered: int
    contact_cents: int
    spent_cents: float
    events: pa.Table


@dataclass(frozen=True)
class Year:
    """A year of one world."""

    profit_cents: float
    offered: int
    spent_cents: tuple[float, ...]
    """By month."""


def opened_world(settings: SimulatorSettings, seed: int) -> tuple[ShopSimulator, pa.Table]:
    """The world after its history, and the events of that."""
    world = ShopSimulator(settings, seed)
    return world, world.history(HISTORY_DAYS)


def offer_month(world: ShopSimulator, offers: pa.Table) -> Month:
    """Let a month pass in a world, with these offers at its beginning."""
    events = world.advance(world.now + timedelta(days=MONTH_DAYS), offers if offers.num_rows else None)
    contacts = contact_cents(offers["offer_id"], world.settings)
    return Month(offers.num_rows, contacts, spent_cents(events, offers["offer_id"], world.settings), events)


def year(months: Sequence[Month], world: ShopSimulator) -> Year:
    """Profit of the months and of the time after them without offers."""
    after = world.advance(world.now + timedelta(days=FOLLOWED_DAYS))
    events = pa.concat_tables([*(month.events for month in months), after])
    profit = profit_cents(events, world.settings) - sum(month.contact_cents for month in months)
    return Year(profit, sum(month.offered for month in months), tuple(month.spent_cents for month in months))


def without_offers(world: ShopSimulator) -> Year:
    """A year without offers."""
    nothing = OFFERS.empty_table()
    return year([offer_month(world, nothing) for _ in range(MONTHS)], world)


def with_offers(world: ShopSimulator, offers: Sequence[pa.Table]) -> tuple[Year, list[Month], list[np.ndarray]]:
    """A year of these offers month by month, and the true uplift of each in the days that it is measured for, cents."""
    months, uplifts = [], []
    for of_month in offers:
        uplifts.append(true_uplifts(world, of_month))
        months.append(offer_month(world, of_month))
    return year(months, world), months, uplifts


def true_uplifts(world: ShopSimulator, offers: pa.Table) -> np.ndarray:
    """True uplift of each offer if made now, before the cost of contact, cents."""
    known, ids = ground_truth.truth(world, window_days=WINDOW_DAYS), [offer.offer_id for offer in world.settings.offers]
    at = pc.index_in(offers["user_id"], known["user_id"].combine_chunks()).to_numpy()
    return uplift_of_customers(known, ids)[at, pc.index_in(offers["offer_id"], pa.array(ids)).to_numpy()]


def uplift_of_customers(known: pa.Table, offers: Sequence[str]) -> np.ndarray:
    """True uplift of each customer and offer, cents."""
    return np.column_stack([known[f"uplift_{name}_cents"].to_numpy() for name in offers])


def best_for_the_money(world: ShopSimulator, budget_cents: float) -> Year:
    """A year in which everybody gets the offer that truly gains most, if any does, the best first, within a budget.

    It knows the truth of each month, and not what the offers of this month cost the next ones.
    """
    played = []
    for _ in range(MONTHS):
        world, of_month = for_money(world, best_offers(world), budget_cents)
        played.append(of_month)
    return year(played, world)


def best_offers(world: ShopSimulator) -> pa.Table:
    """The offer that truly gains most of each customer to whom one gains more than its contact, the best first."""
    offers, known = world.settings.offers, ground_truth.truth(world)
    ids, contact = [offer.offer_id for offer in offers], np.array([offer.contact_cents for offer in offers])
    net = uplift_of_customers(known, ids) - contact
    off = np.array([offer.discount_share or world.settings.free_shipping_worth_share for offer in offers])
    paid = known["expected_net_paid_cents"].to_numpy() * world.settings.offer_days / 90
    earned = net / (contact + np.outer(paid, off))
    best = earned.argmax(axis=1)
    order = np.argsort(-earned.max(axis=1), kind="stable")
    order = order[net.max(axis=1)[order] > 0]
    columns = {
        "user_id": known["user_id"].take(order),
        "offer_id": np.array(ids)[best[order]].tolist(),
        "decision_id": [f"best-{world.day}-{at}" for at in range(len(order))],
        "exposed_at": [world.now] * len(order),
    }
    return pa.table(columns, schema=OFFERS)


def random_for_the_money(world: ShopSimulator, history: pa.Table, months: Sequence[Month], seed: int) -> Year:
    """A year of random offers to random buyers, each month for as much money as in these months."""
    rng = np.random.default_rng([seed, 1])
    buyers: set[str] = set()
    events, played = history, []
    for month in months:
        buyers |= set(events.filter(pc.equal(events["name"], "Order Completed"))["user_id"].to_pylist())
        world, of_month = for_money(world, random_offers(sorted(buyers), world, rng), month.spent_cents)
        events = of_month.events
        played.append(of_month)
    return year(played, world)


def random_offers(buyers: list[str], world: ShopSimulator, rng: np.random.Generator) -> pa.Table:
    """Every buyer in random order, each with a random offer."""
    ids = np.array([offer.offer_id for offer in world.settings.offers])
    columns = {
        "user_id": rng.permutation(buyers).tolist(),
        "offer_id": rng.choice(ids, len(buyers)).tolist(),
        "decision_id": [f"random-{world.day}-{place}" for place in range(len(buyers))],
        "exposed_at": [world.now] * len(buyers),
    }
    return pa.table(columns, schema=OFFERS)


def for_money(world: ShopSimulator, drawn: pa.Table, cents: float) -> tuple[ShopSimulator, Month]:
    """The world a month later, given as many of the drawn offers as cost no more than this; `world` stays as it is."""
    low, high = 0, drawn.num_rows + 1
    best: tuple[ShopSimulator, Month] | None = None
    for _ in range(HALVINGS):
        middle = (low + high) // 2
        if middle == low:
            break
        later = copy.deepcopy(world)
        month = offer_month(later, drawn.slice(0, middle))
        low, high = (middle, high) if month.spent_cents <= cents else (low, middle)
        best = (later, month) if low == middle else best
    if best is None:
        later = copy.deepcopy(world)
        best = (later, offer_month(later, drawn.slice(0, 0)))
    return best
