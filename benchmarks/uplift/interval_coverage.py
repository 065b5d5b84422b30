"""How often 95 % intervals of `patron.uplift` hold the truth, on simulated trials.

`python benchmarks/uplift/interval_coverage.py [RUNS]`. Customers have five numbers; arms follow the first one and
are not declared; outcomes are normal, 0/1, or money with lognormal errors (variance 1.7 times the squared mean).
Effects are the same for all (0), differ a little (.2) or much (1). Of effects the share is over customers, then
over runs, with its standard error; of averages, values and curves it is over runs.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from patron.schema.numbers import Numbers
from patron.uplift import DEFAULT, LEARNERS, average_effects, cost_curve, policy_value

RUNS = 500
ROWS, OTHERS = 4_000, 1_000
SPREADS = (0.0, 0.2, 1.0)
TRIAL: Any = {"treatment": "arm", "outcome": "y"}


def normal(x: Numbers, spread: float) -> tuple[Numbers, Numbers, Callable[[Numbers, np.random.Generator], Numbers]]:
    """Mean without offer, effect, and draws around a mean."""
    effect = 1 + spread * x[:, 1]
    return x @ [1, -0.5, 0.3, 0.5, 0], effect, lambda mean, rng: mean + rng.normal(size=len(mean))


def binary(x: Numbers, spread: float) -> tuple[Numbers, Numbers, Callable[[Numbers, np.random.Generator], Numbers]]:
    """As `normal`, of 0/1."""
    level = expit(x @ [0.5, -0.25, 0.15, 0.25, 0] - 1)
    effect = np.clip(level + 0.05 + spread * 0.05 * x[:, 1], 0.01, 0.99) - level
    return level, effect, lambda mean, rng: (rng.random(len(mean)) < mean).astype(np.float64)


def money(x: Numbers, spread: float) -> tuple[Numbers, Numbers, Callable[[Numbers, np.random.Generator], Numbers]]:
    """As `normal`, of money with a heavy tail."""
    level = 1 + np.exp(x @ [0.3, -0.15, 0.09, 0.15, 0])
    return level, 0.5 + spread * 0.5 * x[:, 1], lambda mean, rng: mean * rng.lognormal(-0.5, 1.0, len(mean))


WORLDS = (normal, binary, money)


def draw(world: Any, spread: float, rows: int, rng: np.random.Generator) -> tuple[dict[str, Any], Numbers, Numbers]:
    """A table, true effects, and true means without an offer."""
    x = rng.normal(size=(rows, 5))
    arm = (rng.random(rows) < expit(0.5 * x[:, 0])).astype(np.int64)
    level, effect, around = world(x, spread)
    table: dict[str, Any] = {f"x{at}": x[:, at] for at in range(5)}
    return table | {"arm": arm, "y": around(level + arm * effect, rng)}, effect, level


def effects_held(learner: Any, world: Any, spread: float, runs: int) -> Numbers:
    """Share of the customers whose effect is in its interval, run by run."""
    shares = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        table, _, _ = draw(world, spread, ROWS, rng)
        others, truth, _ = draw(world, spread, OTHERS, rng)
        effects = learner.fit(table, **TRIAL, seed=seed).effects(others)
        low, high = effects["1_low"].to_numpy(), effects["1_high"].to_numpy()
        shares.append(float(((low <= truth) & (truth <= high)).mean()))
    return np.array(shares)


def averages_held(world: Any, spread: float, runs: int) -> Mapping[str, Numbers]:
    """Whether intervals of one number hold it: mean effect, value of a policy, gain at a budget."""
    held: dict[str, list[bool]] = {"average_effects": [], "policy_value": [], "cost_curve": []}
    population, effect, level = draw(world, spread, 400_000, np.random.default_rng(10**6))
    worth = float((level + effect * (population["x1"] > 0)).mean())
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        table, _, _ = draw(world, spread, ROWS, rng)
        others, _, _ = draw(world, spread, ROWS, rng)
        (row,) = average_effects(table, **TRIAL).rows
        held["average_effects"].append(row.low <= effect.mean() <= row.high)
        fitted = DEFAULT.fit(table, **TRIAL)
        decision = (others["x1"] > 0).astype(int)
        features = {name: others[name] for name in ("x0", "x1", "x2", "x3", "x4")}
        value = policy_value(others["y"], decision, others["arm"], table=features)
        held["policy_value"].append(value.low <= worth <= value.high)
        curve = cost_curve(fitted, others, **TRIAL, cost={1: 1.0})
        some, truth, _ = draw(world, spread, 20_000, np.random.default_rng(10**6 + seed))
        estimate = fitted.effect_matrix(some)[:, 0]
        best = np.argsort(-estimate)[: int(0.3 * len(estimate))]
        gain = truth[best].sum() / len(estimate)
        one = curve.at(0.3)
        held["cost_curve"].append(one.low <= gain <= one.high)
    return {name: np.array(values, dtype=np.float64) for name, values in held.items()}


def main(runs: int = RUNS) -> None:
    """Print shares for every world, spread and learner."""
    for world in WORLDS:
        for spread in SPREADS:
            rows: dict[str, Numbers] = {}
            for learner in LEARNERS:
                count = runs if learner.is_orthogonal and learner.name != "tree" else max(runs // 10, 2)
                rows[learner.name] = effects_held(learner(), world, spread, count)
            rows |= averages_held(world, spread, max(runs // 2, 2))
            for name, shares in rows.items():
                error = shares.std() / np.sqrt(len(shares))
                print(f"{world.__name__:7} spread {spread:3} {name:16} {shares.mean():.3f} +/- {error:.3f}", flush=True)


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))
