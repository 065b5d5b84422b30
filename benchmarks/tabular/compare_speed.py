"""What a comparison costs against the size of its table: `python benchmarks/tabular/compare_speed.py [--full]`."""

import resource
import sys
import time

import numpy as np
import pyarrow as pa

from patron.tabular import compare

SIZES = ((1_000, 20), (10_000, 20), (10_000, 60), (50_000, 20))
FULL = ((200_000, 20), (1_000_000, 20))


def table_of(rows: int, columns: int, seed: int = 1) -> pa.Table:
    """Numbers of several shapes, three texts, an interaction; a third of the columns say nothing."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, columns - 3))
    numbers[:, 1] = np.exp(numbers[:, 1])
    numbers[:, 2] = rng.poisson(3, rows)
    weights = np.where(np.arange(columns - 3) % 3, 0.25, 0.0)
    log_odds = numbers @ weights + 0.4 * numbers[:, 0] * numbers[:, 3] - 2
    held: dict[str, object] = {f"x{at}": numbers[:, at] for at in range(columns - 3)}
    for at, levels in enumerate((3, 8, 40)):
        level = rng.integers(0, levels, rows)
        log_odds += 0.3 * (level % 2)
        held[f"c{at}"] = [f"level {one}" for one in level]
    label = rng.random(rows) < 1 / (1 + np.exp(-log_odds))
    return pa.table({**held, "label": label})


def main() -> None:
    for rows, columns in (*SIZES, *(FULL if "--full" in sys.argv else ())):
        table = table_of(rows, columns)
        since = time.perf_counter()
        comparison = compare(table, label="label")
        seconds = time.perf_counter() - since
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        found = len(comparison.findings)
        print(
            f"{rows:>9,} x {columns}: {seconds:6.1f} s, peak {peak:.1f} GB, preferred {comparison.preferred}, "
            f"{found} findings",
            flush=True,
        )


if __name__ == "__main__":
    main()
