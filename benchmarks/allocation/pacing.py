"""What pacing earns and spends, next to the same prices without feedback, when customers come otherwise than planned.

`python benchmarks/allocation/pacing.py [--seeds 5]`. Prices come from 20,000 customers; the period has others, half as
many to twice as many, evenly or three quarters of them in its first half, with a plan that expects them evenly or as
they come. Net value as a share of the best for the period's customers in hindsight; spend as a share of the budget.
Prices without feedback stop when the money is gone.
"""

import sys
import time
from itertools import pairwise

import numpy as np

from patron.allocation import allocate

CUSTOMERS, OFFERS, BUDGET = 20_000, 5, 400_000.0
EVEN, EARLY = (0.0, 1.0), tuple(np.sqrt(np.linspace(0, 1, 41)).tolist())


def made_customers(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(0, 300, (count, OFFERS)), rng.uniform(5, 500, (count, OFFERS))


def one_period(seed: int, traffic: float, power: float, plan: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Value and spend with pacing, value without, and microseconds a decision."""
    rng = np.random.default_rng(seed)
    result = allocate(*made_customers(rng, CUSTOMERS), BUDGET)
    net, cost = made_customers(rng, int(traffic * CUSTOMERS))
    times = np.sort(rng.random(len(net)) ** power)
    pacing, value = result.pace(BUDGET, plan), 0.0
    since = time.process_time()
    for row, at in enumerate(times):
        offer, pacing = pacing.decide(net[row], cost[row], at)
        value += net[row, offer] if offer >= 0 else 0.0
    decision = (time.process_time() - since) / len(net)
    fixed, spent = 0.0, 0.0
    for row in range(len(net)):
        offer = result.decide(net[row], cost[row])
        if offer >= 0 and spent + cost[row, offer] <= BUDGET:
            fixed, spent = fixed + net[row, offer], spent + cost[row, offer]
    best = allocate(net, cost, BUDGET).bound
    return value / best, pacing.spent / BUDGET, fixed / best, decision * 1e6


def main(arguments: list[str] | None = None) -> None:
    seeds = int(dict(pairwise(arguments or [])).get("--seeds", "5"))
    print("| customers / planned | they come | plan | paced | spent | without feedback | us a decision |")
    print("|---|---|---|---|---|---|---|")
    for traffic in (0.5, 1.0, 2.0):
        for power, arrive, plans in ((1.0, "evenly", ("even",)), (2.0, "early", ("early", "even"))):
            for name in plans:
                plan = EARLY if name == "early" else EVEN
                rows = [one_period(seed, traffic, power, plan) for seed in range(seeds)]
                paced, spent, fixed, decision = np.mean(rows, axis=0)
                cells = f"{paced:.1%} | {spent:.1%} | {fixed:.1%} | {decision:.0f}"
                print(f"| {traffic:g} | {arrive} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
