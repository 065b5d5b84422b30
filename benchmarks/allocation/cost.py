"""What an allocation costs and how near it comes: seconds, memory, gap to the bound; HiGHS next to it where it is able.

`python benchmarks/allocation/cost.py [--customers 1000000]`. Five offers; random customers, and customers of 30
segments in each of which all are equal. The budget alone, then eight constraints: budget, the stock of four offers,
contacts and two floors. Each row has a process of its own, so that the peak is its own. Seconds are of the processor.
"""

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from patron.allocation import allocate

CUSTOMERS, SMALL, OFFERS, SEGMENTS = 1_000_000, 10_000, 5, 30
DECISIONS = 2_000


def made_offers(customers: int, *, in_segments: bool) -> tuple[np.ndarray, np.ndarray]:
    """Net value and cost."""
    rng = np.random.default_rng(1)
    rows = SEGMENTS if in_segments else customers
    net, cost = rng.normal(0, 300, (rows, OFFERS)), rng.uniform(5, 500, (rows, OFFERS)).round()
    segment = rng.integers(0, SEGMENTS, customers)
    return (net[segment], cost[segment]) if in_segments else (net, cost)


def made_limits(customers: int, *, is_budget_alone: bool) -> dict[str, Any]:
    """A budget, or eight constraints."""
    rng = np.random.default_rng(2)
    budget = {"budget": 20.0 * customers}
    if is_budget_alone:
        return budget
    stock = [0.06 * customers, 0.05 * customers, None, 0.08 * customers, 0.05 * customers]
    floors = [(rng.random(customers) < part, int(least * customers)) for part, least in ((0.2, 0.09), (0.1, 0.05))]
    return {**budget, "stock": stock, "contacts": 0.25 * customers, "floors": floors}


def measure(customers: int, is_budget_alone: bool, in_segments: bool) -> list[str]:  # noqa: FBT001 - a process's arguments
    """Seconds, gap, seconds of the curve, peak of memory, microseconds of a decision."""
    small = made_offers(2_000, in_segments=False)
    warm = allocate(*small, **made_limits(2_000, is_budget_alone=is_budget_alone))  # compiled code is not measured
    warm.curve.value_at(1.0)
    net, cost = made_offers(customers, in_segments=in_segments)
    limits = made_limits(customers, is_budget_alone=is_budget_alone)
    since, clock = time.process_time(), time.perf_counter()
    result = allocate(net, cost, **limits)
    seconds, wall = time.process_time() - since, time.perf_counter() - clock
    since = time.process_time()
    result.curve.value_at(1.0)
    of_curve = time.process_time() - since
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    since = time.process_time()
    same = sum(result.decide(net[row], cost[row]) == result.choice[row] for row in range(DECISIONS))
    decision = (time.process_time() - since) / DECISIONS
    agreeing = f"{same / DECISIONS:.2%}" if is_budget_alone else "-"
    costs = [f"{seconds:.1f}", f"{wall:.1f}", f"{result.gap:.1e}", f"{of_curve:.1f}", f"{peak:.2f}"]
    return [*costs, f"{decision * 1e6:.0f}", agreeing]


def measure_highs(customers: int, is_budget_alone: bool) -> list[str]:  # noqa: FBT001
    """Ours and the linear relaxation by HiGHS: seconds of both, and how far ours is below its optimum."""
    net, cost = made_offers(customers, in_segments=False)
    limits = made_limits(customers, is_budget_alone=is_budget_alone)
    since = time.process_time()
    result = allocate(net, cost, **limits)
    seconds = time.process_time() - since
    rows, bounds = [cost.ravel()], [limits["budget"]]
    if not is_budget_alone:
        for offer, most in enumerate(limits["stock"]):
            if most is not None:
                rows.append((np.arange(customers * OFFERS) % OFFERS == offer).astype(float))
                bounds.append(int(most))
        rows.append(np.ones(customers * OFFERS))
        bounds.append(int(limits["contacts"]))
        for mask, least in limits["floors"]:
            rows.append(-np.repeat(mask.astype(float), OFFERS))
            bounds.append(-least)
    matrix = sp.vstack([sp.kron(sp.eye(customers), np.ones((1, OFFERS))), sp.csr_array(np.array(rows))])
    since = time.process_time()
    solved = linprog(-net.ravel(), A_ub=matrix, b_ub=np.r_[np.ones(customers), bounds], bounds=(0, 1), method="highs")
    highs = time.process_time() - since
    best = -float(solved.fun)
    return [f"{seconds:.2f}", f"{highs:.2f}", f"{result.bound / best - 1:.1e}", f"{1 - result.value / best:.1e}"]


def main(arguments: list[str] | None = None) -> None:
    settings = dict(pairwise(arguments or []))
    customers = int(settings.get("--customers", str(CUSTOMERS)))
    print(
        "| customers | constraints | offers | processor s | wall s | gap | curve s | peak GB | us a decision | agree |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for alone in (True, False):
        for in_segments in (False, True):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                cells = pool.submit(measure, customers, alone, in_segments).result()
            kind = "by segment" if in_segments else "by customer"
            print(f"| {customers:,} | {1 if alone else 8} | {kind} | {' | '.join(cells)} |", flush=True)
    print("\n| customers | constraints | processor s | of HiGHS | bound over its optimum | value below it |")
    print("|---|---|---|---|---|---|")
    for alone in (True, False):
        print(f"| {SMALL:,} | {1 if alone else 8} | {' | '.join(measure_highs(SMALL, alone))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
