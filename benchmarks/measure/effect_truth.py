"""Does the measured effect of offers agree with the true one? Estimate and truth side by side, one shop a seed.

Each seed is a simulated shop with its own workspace, whose key comes from the seed, so that rows reproduce. The shop
runs the loop some months; the same month is simulated once more without this month's offers, and customers' random
numbers do not depend on offers, so that the truth is known customer by customer. Estimate and truth are of the same:
the mean change of an offered customer's margin in the window, over all measured decisions with an offer.

    python benchmarks/measure/effect_truth.py 0 1 2 3 4
"""

import copy
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from previous_estimator import effect_against_holdout

from patron import measure, run, understand
from patron.commands.data.simulated_loop import ingest_events, offers_in_outbox, seeded_workspace, write_rules
from patron.estimators.bootstrap import Interval
from patron.measure.decision_outcomes import NONE, DecisionOutcomes
from patron.measure.effect_measurement import measured_outcomes
from patron.measure.offer_effects import OfferEffect, offer_effects
from patron.schema.tables import EVENTS
from patron.simulate.profit import window_margins
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.runs.runs import Run
from patron.storage.shop import POLICY_FILE, Shop
from patron.understand.facts import build_facts

HISTORY_DAYS, MONTHS, MONTH_DAYS, WINDOW_DAYS = 300, 4, 30, 28
BUDGET_CENTS = 200_000
NEEDED = ("facts", "later refunds", "cutoffs", "features", "measure", "predict", "segments", "decide", "engage")
"""Steps of a run that decisions and their effects need."""
UNNEEDED = ("measure_lists", "check_forecasts", "measure_drift", "write_recommendations", "build_stage_transitions")


@dataclass(frozen=True)
class Row:
    """One shop: the truth and what was measured, cents an offer."""

    seed: int
    offers: int
    true_cents: float
    estimate: OfferEffect
    previous: Interval
    outcomes: DecisionOutcomes
    seconds: float


def open_shop(folder: Path, seed: int) -> Shop:
    """A workspace with the simulated shop's rules."""
    shop = seeded_workspace(folder, seed, {"name": f"Shop {seed}", "currency": "USD", "time_zone": "UTC"})
    write_rules(shop.folder, DEFAULT_SHOP, budget_cents=BUDGET_CENTS)
    policy = shop.folder / POLICY_FILE
    policy.write_text(policy.read_text(encoding="utf-8") + "\n[models]\nretrain_days = 365\n", encoding="utf-8")
    shop.close()
    return Shop.open(shop.folder)


def month(shop: Shop, world: ShopSimulator) -> list[float]:
    """Run the loop, let a month pass, and return the true effect of each offer, cents."""
    finished = run.run_loop(shop, world.now)
    now, until = world.now, world.now + timedelta(days=MONTH_DAYS)
    offers = offers_in_outbox(shop.folder, finished.run_id, now)
    without = window_margins(copy.deepcopy(world).advance(until), DEFAULT_SHOP, now, WINDOW_DAYS)
    events = world.advance(until, offers if offers.num_rows else None)
    ingest_events(shop, events, received_at=until)
    with_offers = window_margins(events, DEFAULT_SHOP, now, WINDOW_DAYS)
    return [with_offers.get(one, 0.0) - without.get(one, 0.0) for one in offers["user_id"].to_pylist()]


def outcomes_of(shop: Shop, now: datetime) -> DecisionOutcomes:
    """The decisions and their outcomes as a run would see them now."""
    at, pinned = Run.at(now), {EVENTS.name: shop.lake.version(EVENTS)}
    build_facts(run.stage_view(shop, understand, run=at, pinned=pinned))
    measured = measured_outcomes(run.stage_view(shop, measure, run=at, pinned=pinned))
    if measured is None:
        raise ValueError("no decision was measured")
    return measured.outcomes


def play(seed: int, folder: Path) -> Row:
    """A shop's months, and what was measured at their end."""
    started = time.process_time()
    shop, world = open_shop(folder, seed), ShopSimulator(DEFAULT_SHOP, seed)
    ingest_events(shop, world.history(HISTORY_DAYS), received_at=world.now)
    effects = [effect for _ in range(MONTHS) for effect in month(shop, world)]
    outcomes = outcomes_of(shop, world.now)
    shop.close()
    offered = int((outcomes.action != NONE).sum())
    whole = next(one for one in offer_effects(outcomes) if (one.offer, one.stratum) == ("any", "all"))
    true_cents = sum(effects) / offered
    previous = effect_against_holdout(outcomes)
    return Row(seed, offered, true_cents, whole, previous, outcomes, time.process_time() - started)


def keep_needed_steps() -> None:
    """Leave out what a run does besides deciding and measuring offers."""
    run.STEPS = tuple(
        run.Step(step.name, step.stage, tuple(one for one in step.functions if one.__name__ not in UNNEEDED))
        for step in run.STEPS
        if step.name in NEEDED
    )


def text(interval: Interval, true_cents: float) -> str:
    """A number with its interval, and whether the interval holds the truth."""
    ends = f"{interval.value / 100:+.2f} [{interval.low / 100:+.2f}, {interval.high / 100:+.2f}]"
    return f"{ends} {'yes' if interval.low <= true_cents <= interval.high else 'NO'}"


def main() -> None:
    keep_needed_steps()
    seeds = [int(one) for one in sys.argv[1:]] or list(range(20))
    print("| seed | offers | truth | adjusted, holds it | raw, holds it | at every look | previously, holds it | s |")
    print(f"|{'---|' * 8}", flush=True)
    rows = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CONFIG_HOME"] = f"{folder}/configuration"  # why: the keys of these shops are for nobody
            rows.append(play(seed, Path(folder) / "shop"))
        one = rows[-1]
        every = (one.estimate.adjusted, one.estimate.raw, one.estimate.sequence, one.previous)
        cells = " | ".join(text(interval, one.true_cents) for interval in every)
        print(
            f"| {seed} | {one.offers:,} | {one.true_cents / 100:+.2f} | {cells} | {one.seconds:.0f} |",
            flush=True,
        )
    truth = np.array([one.true_cents for one in rows])
    for name, every in {
        "adjusted": [one.estimate.adjusted for one in rows],
        "raw": [one.estimate.raw for one in rows],
        "at every look": [one.estimate.sequence for one in rows],
        "previously": [one.previous for one in rows],
    }.items():
        error = np.array([one.value for one in every]) - truth
        held = sum(one.low <= cents <= one.high for one, cents in zip(every, truth, strict=True))
        bias, spread = error.mean() / 100, error.std() / 100
        print(f"{name}: {held} of {len(rows)} intervals hold the truth; error {bias:+.2f} +- {spread:.2f} an offer")


if __name__ == "__main__":
    main()
