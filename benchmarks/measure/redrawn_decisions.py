"""How often do intervals of effects hold 0 when a shop's decisions are drawn again and offers do nothing?

The shop of `effect_truth.py`; each redraw draws the holdout and every randomised action anew with the logged
probabilities, and leaves margins as they are, so that the true effect is 0 in every part.

    python benchmarks/measure/redrawn_decisions.py 0
"""

import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from effect_truth import keep_needed_steps, play
from previous_estimator import effect_against_holdout

from patron.estimators.bootstrap import Interval
from patron.measure.decision_outcomes import NONE, DecisionOutcomes
from patron.measure.offer_effects import ANY, offer_effects
from patron.schema.numbers import Numbers

REDRAWS = 200
HOLDOUT_SHARE = 0.1


def redraw(outcomes: DecisionOutcomes, rng: np.random.Generator) -> DecisionOutcomes:
    """The same decisions and margins with another holdout and other actions."""
    names = [NONE, *(name for name in outcomes.propensities if name != NONE)]
    each = np.column_stack([outcomes.propensities[name] for name in names])
    each[each.sum(axis=1) == 0, 0] = 1.0
    customers, row = np.unique(outcomes.customer, return_inverse=True)
    is_held = (rng.random(len(customers)) < HOLDOUT_SHARE)[row]
    drawn = (each.cumsum(axis=1) < rng.random(len(each))[:, None]).sum(axis=1).clip(max=len(names) - 1)
    action = np.array(names)[np.where(is_held, 0, drawn)]
    propensities = {name: np.where(is_held, 0.0, chance) for name, chance in outcomes.propensities.items()}
    return replace(outcomes, action=action, is_holdout=is_held, propensities=propensities)


def intervals(outcomes: DecisionOutcomes) -> Iterator[tuple[str, Interval]]:
    """Every interval with the name of its kind."""
    yield "any offer, previously", effect_against_holdout(outcomes)
    for one in offer_effects(outcomes):
        whole = "any offer" if one.offer == ANY else "an offer"
        name = whole if one.stratum == "all" else f"{whole} in a stratum"
        yield f"{name}, raw", one.raw
        yield f"{name}, adjusted", one.adjusted


def report(outcomes: DecisionOutcomes) -> None:
    """Print the coverage of each kind of interval."""
    rng, rows = np.random.default_rng(0), defaultdict(list)
    for _ in range(REDRAWS):
        for name, one in intervals(redraw(outcomes, rng)):
            rows[name].append((one.low <= 0 <= one.high, one.high < 0, one.low > 0, one.value))
    print("| effect of | intervals | hold 0 | too low | too high | mean | scatter |")
    print(f"|{'---|' * 7}")
    for name, every in rows.items():
        held, low, high, value = (np.array(column, dtype=np.float64) for column in zip(*every, strict=True))
        shares = " | ".join(f"{share.mean():.1%}" for share in (held, low, high))
        print(f"| {name} | {len(held):,} | {shares} | {_dollars(value.mean())} | {value.std() / 100:.2f} |")


def _dollars(cents: Numbers | float) -> str:
    return f"{cents / 100:+.2f}"


def main() -> None:
    keep_needed_steps()
    for seed in [int(one) for one in sys.argv[1:]] or [0]:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CONFIG_HOME"] = f"{folder}/configuration"
            report(play(seed, Path(folder) / "shop").outcomes)


if __name__ == "__main__":
    main()
