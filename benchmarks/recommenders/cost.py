"""What candidates cost as a catalogue grows: processor seconds to fit and to recommend to all users, and memory.

`python benchmarks/recommenders/cost.py [--rows 1000000] [--items 1000,10000,100000,300000] [--users N] [LEARNER ...]`,
where lists are for N users only; `--rows 10000000 --items 100000 --users 2000 learned_ranking` is the training of the
product's candidates and their order. Baskets are made: 50,000 users at 1,000,000 rows, items by Zipf's law, half of a
user's rows among ten items of their own. Each learner has a process of its own, so that the peak is its own. Seconds
are of the processor, of all threads; those of the clock are in brackets.
"""

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from patron.recommenders import LEARNERS

NAMES = ("recent_popularity", "personal_frequency", "item_hazard", "item_knn", "co_visitation", "als", "rp3beta")
ROWS_A_USER, ROWS_A_BASKET, HABITS, DAYS = 20, 5, 10, 365
SECONDS_A_DAY = 86_400


def made_baskets(rows: int, items: int, seed: int = 0) -> pa.Table:
    """Columns user_id, item_id, at; half of the rows are habits."""
    rng = np.random.default_rng(seed)
    users = max(rows // ROWS_A_USER, 1)
    basket = np.arange(rows) // ROWS_A_BASKET
    user = rng.integers(0, users, basket[-1] + 1)[basket]
    seconds = rng.integers(0, DAYS * SECONDS_A_DAY, basket[-1] + 1)[basket]
    share = 1 / np.arange(1, items + 1)
    drawn = np.searchsorted(np.cumsum(share / share.sum()), rng.random(rows)).clip(max=items - 1)
    habits = drawn[rng.integers(0, rows, (users, HABITS))]
    item = np.where(rng.random(rows) < 1 / 2, habits[user, rng.integers(0, HABITS, rows)], drawn)
    return pa.table({"user_id": user, "item_id": item, "at": seconds.astype(np.float64)})


class Cost(NamedTuple):
    """Seconds of the processor and of the clock, and the peak of memory in GB."""

    fit: float
    fit_clock: float
    recommend: float
    recommend_clock: float
    peak: float


def cost(name: str, rows: int, items: int, users: int | None) -> Cost:
    """Fit, and recommend ten items to so many users, by default to all."""
    LEARNERS[name]().fit(made_baskets(200, 50)).recommend([0])  # compiled code is not what is measured
    table = made_baskets(rows, items)
    wanted = table["user_id"].unique().slice(0, users)
    marks = [(time.process_time(), time.perf_counter())]
    fitted = LEARNERS[name]().fit(table)
    marks.append((time.process_time(), time.perf_counter()))
    fitted.recommend(wanted, 10, exclude_seen=False)
    marks.append((time.process_time(), time.perf_counter()))
    steps = np.diff(marks, axis=0).ravel().tolist()
    return Cost._make([*steps, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6])


def main(arguments: list[str]) -> None:
    settings = dict(pairwise(arguments))
    rows = int(settings.get("--rows", "1000000"))
    sizes = [int(part) for part in settings.get("--items", "1000,10000,100000,300000").split(",")]
    users = int(settings["--users"]) if "--users" in settings else None
    names = [argument for argument in arguments if argument in LEARNERS] or list(NAMES)
    print(f"| {rows:,} rows | " + " | ".join(f"{size:,} items" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name in names:
        cells = []
        for size in sizes:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                one = process.submit(cost, name, rows, size, users).result()
            seconds = f"{one.fit:.1f} ({one.fit_clock:.1f}) + {one.recommend:.1f} ({one.recommend_clock:.1f}) s"
            cells.append(f"{seconds}, {one.peak:.1f} GB")
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
