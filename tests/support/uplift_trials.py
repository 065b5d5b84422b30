"""Trials whose effects are known, and the rows on which peers' numbers were recorded."""

from typing import Any

import numpy as np

ROWS = 600
CASES = ("no ties", "ties", "few control")
BUDGETS = (0.1, 0.3, 0.6)


def trial_rows(case: str) -> dict[str, Any]:
    """A small trial with 0/1 outcomes and some score."""
    rng = np.random.default_rng(CASES.index(case))
    score = rng.normal(size=ROWS)
    treatment = (rng.random(ROWS) < (0.9 if case == "few control" else 0.5)).astype(int)
    outcome = (rng.random(ROWS) < 0.3 + 0.1 * treatment * (score > 0)).astype(int)
    return {"outcome": outcome, "effect": np.round(score, 1) if case == "ties" else score, "treatment": treatment}


def effect_rows() -> dict[str, Any]:
    """A trial with three arms, numbers and a money outcome; effects are linear in the first two columns."""
    rng = np.random.default_rng(7)
    features = rng.normal(size=(3_000, 3))
    arm = rng.integers(0, 3, size=3_000)
    effect = np.column_stack([np.zeros(3_000), 1 + features[:, 0], 0.5 * features[:, 1]])
    outcome = features @ [1.0, -1.0, 0.5] + effect[np.arange(3_000), arm] + rng.normal(size=3_000)
    return {"features": features, "arm": arm, "outcome": outcome}


def curve_rows() -> dict[str, np.ndarray]:
    """Estimated gains, noisy unbiased gains and costs of three offers."""
    rng = np.random.default_rng(11)
    truth = rng.normal([0.2, 0.4, 0.6], 1.0, size=(2_000, 3))
    estimate = truth + 0.5 * rng.normal(size=truth.shape)
    return {
        "reward": estimate,
        "scores": truth + rng.normal(size=truth.shape),
        "cost": rng.uniform(0.5, 2, truth.shape),
    }


def shop_trial(rows: int, seed: int, *, kind: str = "money", chosen: bool = False) -> tuple[dict[str, Any], np.ndarray]:
    """Two offers and none, with numbers, texts and missing values; and the true effects of call and coupon.

    The coupon helps those with a large first number, the call everybody alike. `chosen`: arms follow the first number.
    """
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, rows))
    channel = np.array(["app", "shop", "web"])[rng.integers(0, 3, rows)]
    lean = 0.7 * first if chosen else np.zeros(rows)
    odds = np.exp(np.column_stack([np.zeros(rows), lean, -lean]))
    arm = (rng.random(rows)[:, None] > np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)[:, :2]).sum(axis=1)
    level = 2 + 0.5 * second + (channel == "web")
    effects = np.column_stack([0.5 + first, np.full(rows, 0.3)])
    if kind != "money":
        level, effects = level / 10, np.clip(effects / 10, -0.09, 0.4)
        level = np.clip(level, 0.1, 0.5)
    mean = level + np.column_stack([np.zeros(rows), effects])[np.arange(rows), arm]
    draws = {
        "money": lambda: mean + rng.normal(size=rows),
        "count": lambda: rng.poisson(mean).astype(float),
        "binary": lambda: (rng.random(rows) < mean).astype(float),
    }

    def with_gaps(values: np.ndarray) -> list[Any]:
        return [None if is_gap else one for one, is_gap in zip(values.tolist(), rng.random(rows) < 0.05, strict=True)]

    table = {
        "first": first.tolist(),
        "second": with_gaps(second),
        "channel": with_gaps(channel),
        "offer": np.array(["none", "coupon", "call"])[arm].tolist(),
        "outcome": draws[kind]().tolist(),
    }
    return table, effects[:, ::-1]
