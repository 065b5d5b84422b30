"""Time and memory of `patron.uplift`: three offers for 1M customers fitted and scored with intervals.

`python benchmarks/uplift/cost.py [ROWS]`. Times are processor seconds (user + system), wall seconds next to them.
"""

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from patron.uplift import DEFAULT, Policy, choose_policy, cost_curve, qini

OFFERS = 3
NUMBERS = 12


def shop(rows: int, seed: int) -> pa.Table:
    """A simulated trial: 12 numbers, two texts, four arms, purchases."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, NUMBERS))
    arm = rng.integers(0, OFFERS + 1, size=rows)
    lift = np.column_stack([np.zeros(rows), 0.03 + 0.02 * numbers[:, :OFFERS]])[np.arange(rows), arm]
    bought = rng.random(rows) < np.clip(0.1 + 0.03 * numbers[:, 4] + lift, 0, 1)
    columns: dict[str, Any] = {f"number {at}": numbers[:, at] for at in range(NUMBERS)}
    columns["channel"] = np.array(["web", "app", "shop"])[rng.integers(0, 3, rows)]
    columns["region"] = np.array([f"region {at}" for at in range(8)])[rng.integers(0, 8, rows)]
    columns["offer"] = np.array(["none", "coupon", "call", "points"])[arm]
    columns["bought"] = bought.astype(np.int64)
    return pa.table(columns)


def timed(name: str, work: Callable[[], Any]) -> Any:
    """Run and print processor seconds, wall seconds and peak memory so far."""
    start, wall = time.process_time(), time.perf_counter()
    result = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    seconds = time.process_time() - start, time.perf_counter() - wall
    sys.stdout.write(f"{name:34} {seconds[0]:6.1f} s processor, {seconds[1]:6.1f} s wall, peak {peak:.1f} GB\n")
    return result


def main(rows: int = 1_000_000) -> None:
    """Fit and score all rows; judge a policy on others."""
    table, others = shop(rows, 0), shop(rows, 1)
    fitted = timed("fit", lambda: DEFAULT.fit(table, treatment="offer", control="none", outcome="bought"))
    effects = timed("effects with intervals", lambda: fitted.effects(table))
    trial: Any = {"treatment": "offer", "control": "none", "outcome": "bought"}
    cost = {"coupon": 0.02, "call": 0.04, "points": 0.01}
    policy: Policy = timed("choose_policy", lambda: choose_policy(fitted, others, **trial, cost=cost))
    sys.stdout.write(f"{policy.reason}\n")
    timed("decide", lambda: policy.decide(table))
    curve = timed("cost_curve", lambda: cost_curve(fitted, others, **trial, cost=cost))
    for row in curve.test(0.01):
        sys.stdout.write(f"{row.name}: {row.value:.5f} [{row.low:.5f}, {row.high:.5f}]\n")
    outcome, arm = np.asarray(table["bought"]), np.asarray(table["offer"])
    timed("qini with interval", lambda: qini(outcome, effects, arm, "none"))


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))
