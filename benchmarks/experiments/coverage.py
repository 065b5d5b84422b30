"""How often the intervals of experiments hold the true effect: 500 runs without an effect and 500 with one.

`python benchmarks/experiments/coverage.py`. Worlds: normal; clicks of 3 %; money, where 15 % buy and baskets are
lognormal with sigma 1.5 (the largest of 1,000 is about 100 times the median), in equal arms and with a control of 10 %.
Runs in which a confidence sequence
misses the truth at any of its looks count as missed. Shares of 500 have a standard error of 1.0 % at 95 %.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from patron.experiments import analyse, bootstrap_effects, confidence_sequence, sample_ratio_mismatch
from patron.schema.numbers import Numbers

RUNS = 500
ROWS = 4_000
LONG = 20_000
"""Rows of a run of a confidence sequence."""
BUYERS, SIGMA = 0.15, 1.5
MEAN_MONEY = BUYERS * 20 * float(np.exp(SIGMA**2 / 2))


def normal(rng: np.random.Generator, rows: int) -> Numbers:
    return rng.normal(50, 20, rows)


def clicks(rng: np.random.Generator, rows: int) -> Numbers:
    return (rng.random(rows) < 0.03).astype(np.float64)


def money(rng: np.random.Generator, rows: int) -> Numbers:
    return (rng.random(rows) < BUYERS) * 20 * rng.lognormal(0, SIGMA, rows)


WORLDS: dict[str, tuple[Callable[[np.random.Generator, int], Numbers], float]] = {
    "normal": (normal, 3.0),
    "clicks": (clicks, 0.01),
    "money": (money, 0.1 * MEAN_MONEY),
}
"""Outcomes of the control, and the effect: added, for clicks more of them, for money each basket larger by a tenth."""


def draw(
    world: str, effect: float, rng: np.random.Generator, rows: int, *, control: float = 0.5
) -> dict[str, np.ndarray]:
    """Customers, of whom a share is the control."""
    arm, outcome = (rng.random(rows) >= control).astype(int), WORLDS[world][0](rng, rows)
    before = outcome + rng.normal(0, outcome.std(), rows)
    if world == "normal":
        outcome = outcome + effect * arm
    elif world == "clicks":
        outcome = np.maximum(outcome, (rng.random(rows) < effect / 0.97) & (arm == 1))
    else:
        outcome = outcome * (1 + effect / MEAN_MONEY * arm)
    visits = rng.poisson(2, rows) + 1.0
    return {"arm": arm, "outcome": outcome, "before": before, "visits": visits, "half": rng.integers(0, 2, rows)}


COLUMNS = {"group": "arm", "outcome": "outcome", "control": 0}


def run_once(world: str, effect: float, control: float, seed: int) -> dict[str, bool]:
    """Whether each interval holds the effect."""
    rng = np.random.default_rng([seed, 15, effect > 0])
    rows = draw(world, effect, rng, ROWS, control=control)
    is_held = {}
    for row in analyse(rows, **COLUMNS, covariate="before", strata="half", denominator="visits"):
        truth = effect / 3 if row.method == "ratio" else effect
        is_held[row.method] = row.low <= truth <= row.high
    (row,) = bootstrap_effects(rows, **COLUMNS, resamples=500, seed=seed)
    is_held["bootstrap"] = row.low <= effect <= row.high
    looks = confidence_sequence(draw(world, effect, rng, LONG, control=control), **COLUMNS)
    is_held["sequence, every look"] = all(row.low <= effect <= row.high for row in looks)
    is_held["sequence, last look"] = looks.rows[-1].low <= effect <= looks.rows[-1].high
    return is_held


def peeking(runs: int) -> None:
    """Runs without an effect in which Welch's test is significant at one of 50 looks."""
    false_alarms = []
    for seed in range(runs):
        rows = draw("money", 0.0, np.random.default_rng([seed, 16]), LONG)
        arm, outcome = rows["arm"], rows["outcome"]
        p_values = [
            stats.ttest_ind(outcome[:end][arm[:end] == 1], outcome[:end][arm[:end] == 0], equal_var=False).pvalue
            for end in np.linspace(LONG / 50, LONG, 50).astype(int)
        ]
        false_alarms.append(min(p_values) < 0.05)
    print(f"\nWelch's test at 50 looks, money, no effect: significant at one of them in {np.mean(false_alarms):.1%}")


def ratio_alarm() -> None:
    """Share of sound assignments below each level."""
    drawn = np.random.default_rng(0).binomial(100_000, 0.2, 20_000)
    p_values = np.array(
        [
            sample_ratio_mismatch(counts={"a": 100_000 - one, "b": one}, weights={"a": 0.8, "b": 0.2}).p_value
            for one in drawn.tolist()
        ]
    )
    print("\nSample ratio, 20,000 sound assignments, below each level:")
    for level in (0.05, 0.01, 0.001):
        print(f"  {level:g}: {(p_values < level).mean():.4f} +- {(level * (1 - level) / len(p_values)) ** 0.5:.4f}")


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    for world, control in (*((name, 0.5) for name in WORLDS), ("money", 0.1)):
        for effect in (0.0, WORLDS[world][1]):
            since = time.process_time()
            each = [run_once(world, effect, control, seed) for seed in range(runs)]
            shares = {name: np.mean([one[name] for one in each]) for name in each[0]}
            text = ", ".join(f"{name} {share:.3f}" for name, share in shares.items())
            seconds = time.process_time() - since
            print(f"{world}, control {control:.0%}, effect {effect:.3g}: {text} ({seconds:.0f} s)", flush=True)
    peeking(runs)
    ratio_alarm()


if __name__ == "__main__":
    main()
