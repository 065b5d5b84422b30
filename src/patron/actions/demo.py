"""`patron demo`: the whole loop on a year of real purchases, or on a simulated shop where offers act."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from patron.actions.imports import import_files
from patron.actions.loop import Progress, Turned, run_turn
from patron.actions.simulated_shop import live_until, tell, write_rules
from patron.actions.workspace import create
from patron.base.shop import POLICY_FILE, SETTINGS_FILE, Shop
from patron.simulate.money import profit_cents
from patron.simulate.settings import DEFAULT_SHOP
from patron.simulate.world import World

ZONE = "America/New_York"
MOMENTS = tuple(datetime(*day, tzinfo=ZoneInfo(ZONE)) for day in ((2017, 7, 1), (2017, 10, 1), (2018, 1, 1)))
SEED = 7
HISTORY_DAYS = 360
MONTHS = 4
MONTH_DAYS = 30
BUDGET_CENTS = 200_000

REAL_CANNOT_SHOW = (
    "what customers looked at: there is no clickstream, only purchases, campaigns and coupons",
    "what our offers cause: they were never sent, so offered against held-out is a placebo and should contain 0",
    "whether the third turn's forecasts come true: it only forecasts; its report measures the first two",
)
SIMULATED_CANNOT_SHOW = ("how real customers behave: this shop is made up, so that the truth about it is known",)


@dataclass(frozen=True)
class Demo:
    """A demo that has run: its turns, what is known beside what the report says, and what its data cannot show."""

    shop: Shop
    turns: tuple[Turned, ...]
    truth: tuple[str, ...]
    cannot_show: tuple[str, ...]


def demo(folder: Path, *, progress: Progress) -> Demo:
    """Import Complete Journey and turn the loop at three moments, each seeing only what was known then.

    Raises MissingExtra without the `demo` extra; a demo that was cut off is simply run again.
    """
    shop = _workspace(folder, {"name": "Complete Journey", "currency": "USD", "time_zone": ZONE})
    policy = folder / POLICY_FILE
    # Visible in the workspace: the demo assumes that customers may be written to. Nothing is ever sent.
    promised = policy.read_text(encoding="utf-8")
    policy.write_text(promised.replace('unknown = "refuse"', 'unknown = "allow" '), encoding="utf-8")
    shop = _reopened(shop)
    import_files(shop, [], "completejourney", progress=progress)
    turns = tuple(run_turn(shop, moment, progress=progress) for moment in MOMENTS)
    return Demo(shop, turns, (), REAL_CANNOT_SHOW)


def demo_simulated(folder: Path, *, progress: Progress) -> Demo:
    """Live four months with a simulated shop after a year of history; the true effect of its offers is known."""
    shop = _workspace(folder, {"name": "Simulated shop", "currency": "USD", "time_zone": "UTC"})
    write_rules(shop.folder, DEFAULT_SHOP, budget_cents=BUDGET_CENTS)
    shop = _reopened(shop)
    world, untouched = World(DEFAULT_SHOP, SEED), World(DEFAULT_SHOP, SEED)
    history = world.history(HISTORY_DAYS)
    untouched.history(HISTORY_DAYS)
    tell(shop, history, received_at=world.now)
    turns: list[Turned] = []
    lived: list[pa.Table] = []
    for _ in range(MONTHS):
        turned, told = live_until(shop, world, world.now + timedelta(days=MONTH_DAYS), progress=progress)
        turns.append(turned)
        lived.append(told)
    turns.append(run_turn(shop, world.now, progress=progress))
    without = untouched.advance(world.now)
    caused = profit_cents(pa.concat_tables(lived), DEFAULT_SHOP) - profit_cents(without, DEFAULT_SHOP)
    truth = f"True: in {MONTHS} months the offers changed profit by {_money(caused)}, before the cost of sending them."
    return Demo(shop, tuple(turns), (truth,), SIMULATED_CANNOT_SHOW)


def _workspace(folder: Path, settings: dict[str, str]) -> Shop:
    if not (folder / SETTINGS_FILE).exists():
        create(folder, settings)
    return Shop.open(folder)


def _reopened(shop: Shop) -> Shop:
    shop.close()
    return Shop.open(shop.folder)


def _money(cents: float) -> str:
    return f"{'-' if cents < 0 else ''}${abs(cents) / 100:,.0f}"
