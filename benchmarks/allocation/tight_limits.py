"""Small shops whose limits are all tight at once: how often whole offers are reached, and how near they come.

`python benchmarks/allocation/tight_limits.py [--shops 1500]`. 5 to 150 customers, one to five offers, a budget, stocks,
contacts, one to three floors that overlap, eligibility; in every second shop customers are equal by segment. HiGHS says
what the linear relaxation is worth, whether the limits can all hold, and, where ours reaches nothing, whether whole
offers could.
"""

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint, milp

from patron.allocation import allocate
from patron.schema.errors import ConflictingConstraints


def made_shop(seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Net value, cost and limits."""
    rng = np.random.default_rng(seed)
    customers, offers = int(rng.integers(5, 150)), int(rng.integers(1, 6))
    segments = int(rng.integers(1, 6))
    net, cost = rng.normal(20, 100, (customers, offers)), rng.uniform(1, 100, (customers, offers))
    if seed % 2:
        segment = rng.integers(0, segments, customers)
        net, cost = net[:segments][segment].round(-1), cost[:segments][segment].round(-1) + 10
    floors = [(rng.random(customers) < rng.uniform(0.2, 0.6), int(rng.integers(0, customers // 4 + 1))) for _ in "123"]
    return net, cost, {
        "budget": rng.uniform(0.1, 0.5) * cost.mean() * customers,
        "stock": rng.integers(customers // (3 * offers), customers // offers + 2, offers).tolist(),
        "contacts": int(rng.integers(customers // 5 + 1, customers // 2 + 2)),
        "floors": floors[: int(rng.integers(1, 4))],
        "eligible": rng.random((customers, offers)) < 0.9,
    }  # fmt: skip


def highs(net: np.ndarray, cost: np.ndarray, limits: dict[str, Any], *, whole: bool) -> float | None:
    """The optimum, or None where the limits cannot all hold."""
    customers, offers = net.shape
    rows = [cost.ravel(), *np.tile(np.eye(offers), customers), np.ones(net.size)]
    rows += [-np.repeat(mask.astype(float), offers) for mask, _ in limits["floors"]]
    most = [limits["budget"], *limits["stock"], limits["contacts"], *(-least for _, least in limits["floors"])]
    matrix = sp.vstack([sp.kron(sp.eye(customers), np.ones((1, offers))), sp.csr_array(np.array(rows))])
    solved = milp(
        -net.ravel(),
        integrality=np.full(net.size, int(whole)),
        bounds=Bounds(0, limits["eligible"].ravel().astype(float)),
        constraints=LinearConstraint(matrix, ub=np.r_[np.ones(customers), most]),
        options={"time_limit": 20},
    )
    return None if solved.x is None else -float(solved.fun)


def main(arguments: list[str] | None = None) -> None:
    shops = int(dict(pairwise(arguments or [])).get("--shops", "1500"))
    gaps, bounds, conflicts, missed, unknown = [], [], 0, 0, 0
    for seed in range(shops):
        net, cost, limits = made_shop(seed)
        best = highs(net, cost, limits, whole=False)
        try:
            result = allocate(net, cost, **limits)
        except ConflictingConstraints:
            conflicts += best is None
            missed += best is not None and highs(net, cost, limits, whole=True) is not None
            continue
        unknown += best is None
        if best is not None:
            gaps.append((best - result.value) / max(np.abs(net).max(), 1.0))
            bounds.append(abs(result.bound - best) / max(abs(best), 1.0))
    print(f"{shops:,} shops: {conflicts:,} whose limits cannot all hold, all refused; {unknown} of them were not")
    print(f"{len(gaps):,} allocated; {missed} refused although whole offers exist")
    print(
        f"below the relaxation, offers: mean {np.mean(gaps):.2f}, 99 % {np.quantile(gaps, 0.99):.2f}, {max(gaps):.2f}"
    )
    print(f"bound over the relaxation: {max(bounds):.1e} at most")


if __name__ == "__main__":
    main(sys.argv[1:])
