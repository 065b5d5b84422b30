"""`patron demo`: the whole loop on a year of real purchases, or on a simulated shop where offers act."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from patron.commands.data.import_files import import_files
from patron.commands.data.init_workspace import create
from patron.commands.data.simulated_loop import (
    ingest_events,
    offers_in_outbox,
    run_until,
    seeded_workspace,
    write_rules,
)
from patron.run import FinishedRun, run_loop
from patron.schema.progress import Progress
from patron.schema.table_definition import TIME
from patron.schema.tables import EXPOSURES
from patron.simulate.profit import profit_cents, window_margins
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP, SimulatorSettings
from patron.storage.durable_files import write_durably
from patron.storage.shop import POLICY_FILE, SETTINGS_FILE, Shop

ZONE = "America/New_York"
CUTOFFS = tuple(datetime(*day, tzinfo=ZoneInfo(ZONE)) for day in ((2017, 7, 1), (2017, 10, 1), (2018, 1, 1)))
SEED = 7
MONTH_DAYS = 30
CONTACT_CENTS = 5

OFFERS = """
[[offers]]
id = "reminder"
kind = "reminder"
name = "A reminder of what is usually bought"
contact_cost_cents = 5
valid_days = 14
assumed_purchase_uplift = 0.01

[[offers]]
id = "picks"
kind = "recommendation"
name = "Products picked for the customer"
contact_cost_cents = 5
valid_days = 14
assumed_purchase_uplift = 0.015

[[offers]]
id = "three_off"
kind = "coupon"
name = "$3 off the next order of $30 or more"
amount_off = 3.00
least_order = 30.00
contact_cost_cents = 5
assumed_purchase_uplift = 0.06

[[offers]]
id = "call"
kind = "call"
name = "A call from the store"
contact_cost_cents = 300
least_value = 100.00
stock = 20
assumed_purchase_uplift = 0.15
"""
"""Cheaper and dearer ways to win a customer back than the two discounts that come with Patron; effects are assumed."""

REAL_DATA_LIMITS = (
    "what customers looked at: there is no clickstream, only purchases, campaigns and coupons",
    "what our offers cause: they were never sent, so the comparison is a placebo test whose interval should contain 0",
    "whether the third run's forecasts come true: it only forecasts; its report measures the first two",
)
SIMULATED_DATA_LIMITS = ("how real customers behave: this shop is simulated, so that the truth about it is known",)


@dataclass(frozen=True)
class Demo:
    """A completed demo: its runs, the truth where it is known, and the limits of its data."""

    shop: Shop
    runs: tuple[FinishedRun, ...]
    truth: tuple[str, ...]
    limits: tuple[str, ...]


def demo(folder: Path, *, now: datetime, progress: Progress) -> Demo:
    """Import Complete Journey and run the loop at three cutoffs, each seeing only what was known then.

    Raises MissingExtra without the `demo` extra; an interrupted demo is simply run again.
    """
    settings = {"name": "Complete Journey", "currency": "USD", "time_zone": ZONE, "is_demo": True}
    shop = _workspace(folder, settings)
    policy = folder / POLICY_FILE
    # Visible in the workspace: the demo assumes that customers may be written to. Nothing is ever sent.
    promised = policy.read_text(encoding="utf-8")
    promised = promised.replace('unknown = "refuse"', 'unknown = "allow" ')
    # why: a demo ends within two minutes; learned orders take one more minute a training
    promised = promised.replace('ranking = "learned" ', 'ranking = "counts" ')
    write_durably(policy, (promised if OFFERS in promised else promised + OFFERS).encode())
    shop = _reopen(shop)
    import_files(shop, [], "completejourney", progress=progress, now=now)
    runs = tuple(run_loop(shop, cutoff, now=now, progress=progress) for cutoff in CUTOFFS)
    return Demo(shop, runs, (), REAL_DATA_LIMITS)


@dataclass(frozen=True)
class SimulatedDemo:
    """Size of a simulated demo."""

    settings: SimulatorSettings = DEFAULT_SHOP
    history_days: int = 360
    """Days the shop lives before the first run."""
    months: int = 4
    """Months of 30 days, each begun with a run whose offers act."""
    budget_cents: int = 200_000
    """What one run may spend, cents."""


def demo_simulated(folder: Path, size: SimulatedDemo = SimulatedDemo(), *, progress: Progress) -> Demo:
    """Run the loop in a simulated shop for some months; the true effect of its offers is known."""
    settings = {"name": "Simulated shop", "currency": "USD", "time_zone": "UTC", "is_demo": True}
    shop = Shop.open(folder) if (folder / SETTINGS_FILE).exists() else seeded_workspace(folder, SEED, settings)
    write_rules(shop.folder, size.settings, budget_cents=size.budget_cents, contact_cost_cents=CONTACT_CENTS)
    shop = _reopen(shop)
    world = ShopSimulator(size.settings, SEED)
    ingest_events(shop, world.history(size.history_days), received_at=world.now)
    runs: list[FinishedRun] = []
    events_with_offers: list[pa.Table] = []
    effects: list[float] = []
    for _ in range(size.months):
        before = copy.deepcopy(world)
        finished, events = run_until(shop, world, world.now + timedelta(days=MONTH_DAYS), progress=progress)
        runs.append(finished)
        events_with_offers.append(events)
        effects += _effects_in_window(shop, size, before, finished, events)
    runs.append(run_loop(shop, world.now, progress=progress))
    return Demo(
        shop,
        tuple(runs),
        (
            *_truth_next_to_estimate(effects, shop),
            _true_profit(shop, size, pa.concat_tables(events_with_offers), world.now),
        ),
        SIMULATED_DATA_LIMITS,
    )


def _effects_in_window(
    shop: Shop, size: SimulatedDemo, before: ShopSimulator, finished: FinishedRun, events: pa.Table
) -> list[float]:
    """True change of margin in the measured window by each offer of a run, cents.

    The same month is simulated once more without these offers; customers' random numbers do not depend on offers.
    """
    days = shop.policy.measure.window_days
    since = before.now
    until = before.now + timedelta(days=MONTH_DAYS)
    offers = offers_in_outbox(shop.folder, finished.run_id, since)
    without = window_margins(before.advance(until), size.settings, since, days)
    with_offers = window_margins(events, size.settings, since, days)
    return [with_offers.get(user, 0.0) - without.get(user, 0.0) for user in offers["user_id"].to_pylist()]


def _truth_next_to_estimate(effects: list[float], shop: Shop) -> Iterator[str]:
    """The true mean effect of an offer on margin in the measured window, and what the last run measured of the same."""
    last = shop.snapshot()
    if last is None or not effects:
        return
    columns = "adjusted_cents, adjusted_low, adjusted_high"
    where = f"run_id = '{last.run.run_id}' and offer = 'any' and stratum = 'all' and not is_placebo"
    measured = last.query(f"select {columns} from effects where {where}").to_pylist()
    if not measured:
        return
    value, low, high = (_exact_money(cents) for cents in measured[0].values())
    days = shop.policy.measure.window_days
    yield (
        f"True effect of an offer on margin in the {days} days after it, mean of {len(effects):,} offers: "
        f"{_exact_money(sum(effects) / len(effects))}. The last run measured {value}, "
        f"95 % interval {low} to {high}."
    )


def _true_profit(shop: Shop, size: SimulatedDemo, events_with_offers: pa.Table, until: datetime) -> str:
    """What the offers did to profit: that of the shop less that of the same simulated shop without offers."""
    shop_without_offers = ShopSimulator(size.settings, SEED)
    shop_without_offers.history(size.history_days)
    without = profit_cents(shop_without_offers.advance(until), size.settings)
    exposed = shop.lake.read(EXPOSURES)
    sent = exposed.filter(pc.less(exposed["exposed_at"], pa.scalar(until, TIME))).num_rows
    with_offers = profit_cents(events_with_offers, size.settings, contacts=sent, contact_cents=CONTACT_CENTS)
    return (
        f"Profit, against the same shop simulated without offers: {sent:,} offers in {size.months} months changed "
        f"profit by {_money(with_offers - without)}, cost of sending included."
    )


def _workspace(folder: Path, settings: Mapping[str, str | bool]) -> Shop:
    if not (folder / SETTINGS_FILE).exists():
        create(folder, settings)
    return Shop.open(folder)


def _reopen(shop: Shop) -> Shop:
    shop.close()
    return Shop.open(shop.folder)


def _exact_money(cents: float) -> str:
    return f"{'-' if cents < 0 else '+'}${abs(cents) / 100:,.2f}"


def _money(cents: float) -> str:
    return f"{'-' if cents < 0 else ''}${abs(cents) / 100:,.0f}"
