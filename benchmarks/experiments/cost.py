"""Processor time and memory of `analyse`, `confidence_sequence` and `assign` on 10 million customers.

`python benchmarks/experiments/cost.py [--full]`: 1 million, and 10 million with --full.
"""

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from patron.experiments import analyse, assign, confidence_sequence

COLUMNS: dict[str, Any] = {"group": "arm", "outcome": "spend", "control": "control"}
EVERY: dict[str, Any] = COLUMNS | {"covariate": "before", "denominator": "visits", "strata": "region"}


def customers(rows: int) -> pa.Table:
    rng = np.random.default_rng(0)
    before = rng.gamma(1, 40, rows)
    return pa.table(
        {
            "arm": pa.array(["control", "offer"]).take(pa.array(rng.integers(0, 2, rows))),
            "spend": 0.7 * before + rng.gamma(1, 20, rows),
            "before": before,
            "visits": rng.poisson(3, rows) + 1,
            "region": rng.integers(0, 10, rows),
        }
    )


def measure(name: str, call: Callable[[], Any]) -> None:
    wall, processor = time.perf_counter(), time.process_time()
    call()
    print(f"  {name}: {time.process_time() - processor:.1f} s of processor time, {time.perf_counter() - wall:.1f} s")


def main() -> None:
    for rows in (1_000_000, 10_000_000) if "--full" in sys.argv else (1_000_000,):
        table = customers(rows)
        print(f"{rows:,} customers")
        measure("raw", lambda table=table: analyse(table, **COLUMNS))
        measure("raw and CUPED", lambda table=table: analyse(table, **COLUMNS, covariate="before"))
        measure("raw, CUPED, strata, ratio", lambda table=table: analyse(table, **EVERY))
        measure("confidence sequence of 50 looks", lambda table=table: confidence_sequence(table, **COLUMNS))
        ids = np.arange(rows)
        measure("assign", lambda ids=ids: assign("offer", ids, weights={"control": 1, "offer": 1}, salt="s"))
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
