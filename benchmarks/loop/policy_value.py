"""Does a year of monthly runs earn more than no offers, and than random offers for the same money?

Each seed has four worlds that differ only by what is offered: ours (the real run, from history to outbox), nothing,
offers at random for as much money as ours spent in the same month, and offers at random to as many customers. Money
spent is the discount and shipping of orders that used an offer, and sending. Profit is the margin of events over
the year and `FOLLOWED_DAYS` more without offers, so that customers who left for good count, less sending.
The policy never reads the truth; the true effect of what was offered is only printed.

    python benchmarks/loop/policy_value.py 0 1 2 3 4 5 6 7 8 9
"""

import copy
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.commands.init_workspace import create
from patron.commands.simulated_loop import OFFERS, ingest_events, offers_in_outbox, run_until, write_rules
from patron.simulate.ground_truth import truth
from patron.simulate.profit import profit_cents
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.shop import Shop

SETTINGS = replace(DEFAULT_SHOP, customers=800)
HISTORY_DAYS, MONTHS, MONTH_DAYS, FOLLOWED_DAYS = 300, 12, 30, 60
BUDGET_CENTS, CONTACT_CENTS = 80_000, 5
PROCESSES = 2
HALVINGS = 9
"""Worlds tried to find how many random offers cost as much as ours."""


@dataclass(frozen=True)
class Month:
    """What was offered in a month, what it cost, and what customers did."""

    offered: int
    spent_cents: float
    events: pa.Table


@dataclass(frozen=True)
class Year:
    """A year of one world."""

    profit_cents: float
    offered: int
    spent_cents: float


@dataclass(frozen=True)
class Seed:
    """The four worlds of a seed."""

    seed: int
    ours: Year
    nothing: Year
    random_money: Year
    random_count: Year
    true_cents: float
    """True effect of an offer of ours over the days it is valid, mean, before sending."""
    seconds: float


def spent_cents(events: pa.Table, offered: int) -> float:
    """Discount and waived shipping of orders that used an offer, and sending."""
    codes = pa.array([offer.offer_id for offer in SETTINGS.offers])
    orders = events.filter(pc.and_(pc.equal(events["name"], "Order Completed"), pc.is_in(events["coupon"], codes)))
    discount = orders["discount_cents"].to_numpy()
    charged = pc.fill_null(orders["shipping_cents"], 0).to_numpy()
    is_below = orders["revenue_cents"].to_numpy() + discount < SETTINGS.free_shipping_from_cents
    return float((discount + SETTINGS.shipping_cents * is_below - charged).sum() + CONTACT_CENTS * offered)


def year(months: Sequence[Month], world: ShopSimulator) -> Year:
    """Profit of the months and of the time after them without offers."""
    after = world.advance(world.now + timedelta(days=FOLLOWED_DAYS))
    events, offered = pa.concat_tables([*(month.events for month in months), after]), sum(m.offered for m in months)
    profit = profit_cents(events, SETTINGS, offered, CONTACT_CENTS)
    return Year(profit, offered, sum(month.spent_cents for month in months))


def ours(seed: int, folder: Path) -> tuple[list[Month], ShopSimulator, float]:
    """A year of the loop, and the true effect of its offers."""
    create(folder, {"name": f"Shop {seed}", "currency": "USD", "time_zone": "UTC"})
    write_rules(folder, SETTINGS, budget_cents=BUDGET_CENTS, contact_cost_cents=CONTACT_CENTS)
    shop, world = Shop.open(folder), ShopSimulator(SETTINGS, seed)
    ingest_events(shop, world.history(HISTORY_DAYS), received_at=world.now)
    months, effects = [], []
    for _ in range(MONTHS):
        known, now = truth(world), world.now
        finished, events = run_until(shop, world, now + timedelta(days=MONTH_DAYS))
        offers = offers_in_outbox(folder, finished.run_id, now)
        months.append(Month(offers.num_rows, spent_cents(events, offers.num_rows), events))
        effects.append(true_effects(known, offers))
        print(f"  {seed} {finished.run_id}: {offers.num_rows} offers, {effects[-1].sum() / 100:+,.0f}", file=sys.stderr)
    shop.close()
    every = np.concatenate(effects)
    return months, world, float(every.mean()) if len(every) else 0.0


def true_effects(known: pa.Table, offers: pa.Table) -> np.ndarray:
    """True uplift of each offer, cents."""
    at = pc.index_in(offers["user_id"], known["user_id"].combine_chunks()).to_numpy()
    uplift = np.column_stack([known[f"uplift_{offer.offer_id}_cents"].to_numpy() for offer in SETTINGS.offers])
    which = pc.index_in(offers["offer_id"], pa.array([offer.offer_id for offer in SETTINGS.offers])).to_numpy()
    return uplift[at, which]


def without(seed: int) -> Year:
    """A year without offers."""
    world = ShopSimulator(SETTINGS, seed)
    world.history(HISTORY_DAYS)
    events = world.advance(world.now + timedelta(days=MONTHS * MONTH_DAYS))
    return year([Month(0, 0.0, events)], world)


def at_random(seed: int, months: Sequence[Month], *, is_same_money: bool) -> Year:
    """A year of offers at random, each month for as much money, or to as many, as in these months."""
    world, rng = ShopSimulator(SETTINGS, seed), np.random.default_rng([seed, 1])
    events = world.history(HISTORY_DAYS)
    buyers: set[str] = set()
    world_months: list[Month] = []
    for month in months:
        buyers |= set(events.filter(pc.equal(events["name"], "Order Completed"))["user_id"].to_pylist())
        drawn = draw_offers(sorted(buyers), world, rng)
        if is_same_money:
            world, world_month = for_money(world, drawn, month.spent_cents)
        else:
            world, world_month = offered_to(world, drawn.slice(0, month.offered))
        world_months.append(world_month)
        events = world_month.events
    return year(world_months, world)


def draw_offers(buyers: list[str], world: ShopSimulator, rng: np.random.Generator) -> pa.Table:
    """Every buyer in random order, each with a random offer."""
    offers = np.array([offer.offer_id for offer in SETTINGS.offers])
    columns = {
        "user_id": rng.permutation(buyers).tolist(),
        "offer_id": rng.choice(offers, len(buyers)).tolist(),
        "decision_id": [f"random-{world.day}-{place}" for place in range(len(buyers))],
        "exposed_at": [world.now] * len(buyers),
    }
    return pa.table(columns, schema=OFFERS)


def offered_to(world: ShopSimulator, offers: pa.Table) -> tuple[ShopSimulator, Month]:
    """The world a month later, given the offers; the world given stays as it is."""
    later = copy.deepcopy(world)
    events = later.advance(later.now + timedelta(days=MONTH_DAYS), offers if offers.num_rows else None)
    return later, Month(offers.num_rows, spent_cents(events, offers.num_rows), events)


def for_money(world: ShopSimulator, drawn: pa.Table, cents: float) -> tuple[ShopSimulator, Month]:
    """The world a month later, given as many of the drawn offers as cost no more than this."""
    low, high = 0, drawn.num_rows + 1
    best = offered_to(world, drawn.slice(0, 0))
    for _ in range(HALVINGS):
        middle = (low + high) // 2
        if middle == low:
            break
        tried = offered_to(world, drawn.slice(0, middle))
        low, high = (middle, high) if tried[1].spent_cents <= cents else (low, middle)
        best = tried if low == middle else best
    return best


def play(seed: int) -> Seed:
    """All four worlds of a seed."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        months, world, true_cents = ours(seed, Path(place) / "shop")
    return Seed(
        seed,
        year(months, world),
        without(seed),
        at_random(seed, months, is_same_money=True),
        at_random(seed, months, is_same_money=False),
        true_cents,
        time.perf_counter() - started,
    )


def line(one: Seed) -> str:
    """A row of the table."""
    found = [one.ours.profit_cents - other.profit_cents for other in (one.nothing, one.random_money, one.random_count)]
    gains = " | ".join(f"{cents / 100:+,.0f}" for cents in found)
    offered, spent = f"{one.ours.offered:,}", f"{one.ours.spent_cents / 100:,.0f}"
    return (
        f"| {one.seed} | {one.nothing.profit_cents / 100:,.0f} | {gains} | {offered} | {spent}"
        f" | {one.random_money.offered:,} | {one.random_money.spent_cents / 100:,.0f} | {one.true_cents / 100:+.2f} |"
    )


def compared(name: str, gains: np.ndarray) -> str:
    """Mean paired difference, its standard error and their ratio."""
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    mean = gains.mean()
    return f"ours - {name}: {mean / 100:+,.0f} dollars, standard error {error / 100:,.0f}, ratio {mean / error:+.1f}"


def main() -> None:
    seeds = [int(text) for text in sys.argv[1:]] or list(range(10))
    print(
        "| seed | profit without offers | ours - none | ours - random, same money | ours - random, as many offers",
        end="",
    )
    print(" | offers of ours | spent | random offers for it | spent | true effect of an offer of ours |")
    print(f"|{'---|' * 10}", flush=True)
    done = []
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for one in pool.imap(play, seeds, chunksize=1):
            print(line(one), flush=True)
            done.append(one)
    if len(done) > 1:
        profit = {name: np.array([getattr(one, name).profit_cents for one in done]) for name in NAMES | {"ours": ""}}
        for name, words in NAMES.items():
            print(compared(words, profit["ours"] - profit[name]))
    print(f"{sum(one.seconds for one in done) / len(done):.0f} s a seed")


NAMES = {
    "nothing": "none",
    "random_money": "random for the same money",
    "random_count": "random to as many",
}

if __name__ == "__main__":
    main()
