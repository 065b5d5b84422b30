"""20,000 queries drawn from a grammar of hostile SQL: none shows a hidden column, another file or a path.

`python benchmarks/interfaces/hostile_queries.py [SEED]`; a failure prints the statement.
"""

import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from tests.support.hostile.hostile_queries import HostileQueries, outcome, plant

from patron.storage.shop import Shop

STATEMENTS = 20_000
REPORTED = 2_000
"""Statements after which the counts are printed."""
MINUTES = 60


def main() -> None:
    """Ask a shop whose hidden columns and stray files hold canaries, and print how many queries had rows."""
    seed = int(sys.argv[1]) if sys.argv[1:] else secrets.randbelow(2**32)
    print(f"seed {seed}", flush=True)
    since, outcomes = time.process_time(), Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        shop = Shop.create(Path(scratch) / "shop")
        queries = HostileQueries(np.random.default_rng(seed), plant(shop))
        for number in range(1, STATEMENTS + 1):
            outcomes[outcome(shop, queries.statement())] += 1
            if number % REPORTED == 0:
                spent = time.process_time() - since
                counts = ", ".join(f"{count:,} {name}" for name, count in sorted(outcomes.items()))
                print(f"{number:6,} statements: {counts}; {spent:6.1f} s of a processor", flush=True)
        shop.close()


if __name__ == "__main__":
    main()
