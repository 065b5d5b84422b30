"""What noisy effects cost an allocation: the loss split into estimation and allocation, and what remedies give back.

`python benchmarks/allocation/noise.py [--seeds 20]`. 20,000 customers, five offers, a budget for about a tenth of them.
True net values are normal around each offer's mean; estimates have a standard error of their own each, and are right on
average. The best possible is the bound of the linear relaxation with true values. Loss of allocation: whole offers with
true values against that bound. Loss of estimation: the rest. All as a share of the best possible, mean of the seeds
with its standard error; `promised` is what the allocation thought it would bring, over what it brought.
"""

import sys
from itertools import pairwise

import numpy as np

from patron.allocation import allocate, shrink_effects

CUSTOMERS, OFFERS, BUDGET = 20_000, 5, 400_000.0
SPREAD = 100.0
NOISE = (25.0, 100.0, 300.0)
"""Middle standard error of the estimates; each is within a factor of 3."""
WAYS = ("estimates", "lower bound, z = 1", "shrunk", "shrunk, lower bound, z = 1")


def one_seed(seed: int, noise: float, *, is_normal: bool) -> dict[str, tuple[float, float]]:
    """Share of the best possible that is lost, and what was promised over what came, of each way."""
    rng = np.random.default_rng(seed)
    cost = rng.uniform(50, 350, (CUSTOMERS, OFFERS))
    draws = rng.normal(0, 1, (CUSTOMERS, OFFERS)) if is_normal else rng.standard_t(3, (CUSTOMERS, OFFERS)) / np.sqrt(3)
    truth = rng.normal(-50, 30, OFFERS) + SPREAD * draws
    error = noise * np.exp(rng.uniform(-np.log(3), np.log(3), truth.shape))
    estimate = rng.normal(truth, error)
    rows = np.arange(CUSTOMERS)
    exact = allocate(truth, cost, BUDGET)
    shrunk = shrink_effects(estimate, error)
    results = {
        WAYS[0]: allocate(estimate, cost, BUDGET),
        WAYS[1]: allocate(estimate, cost, BUDGET, standard_error=error, z=1.0),
        WAYS[2]: allocate(shrunk.effect, cost, BUDGET),
        WAYS[3]: allocate(shrunk.effect, cost, BUDGET, standard_error=shrunk.standard_error, z=1.0),
    }
    losses = {"allocation": (1 - exact.value / exact.bound, 1.0)}
    for way, result in results.items():
        at = rows[result.choice >= 0]
        earned = truth[at, result.choice[at]].sum()
        losses[way] = (1 - earned / exact.bound, result.value / earned)
    return losses


def main(arguments: list[str] | None = None) -> None:
    seeds = int(dict(pairwise(arguments or [])).get("--seeds", "20"))
    print("| true effects | standard error | way | lost | +- | promised / came |\n|---|---|---|---|---|---|")
    for is_normal in (True, False):
        for noise in NOISE:
            every = [one_seed(seed, noise, is_normal=is_normal) for seed in range(seeds)]
            for way in ("allocation", *WAYS):
                lost, promise = np.array([one[way] for one in every]).T
                shape = "normal" if is_normal else "heavy-tailed (t, 3)"
                error = lost.std(ddof=1) / np.sqrt(seeds)
                print(f"| {shape} | {noise:g} | {way} | {lost.mean():.2%} | {error:.2%} | {np.median(promise):.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
