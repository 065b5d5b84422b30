"""Many requests to every operation of the API, drawn from a seed of the day: none ends in an answer of 500.

`python benchmarks/interfaces/fuzz.py [SEED]`; a failure prints the seed that repeats it.
"""

import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.interfaces.http.test_fuzz import MODES, fuzz, operations_at
from tests.support.shops.made_shop import fill

from patron.interfaces.console.screenshots import served
from patron.storage.shop import Shop

EXAMPLES = 300


def main() -> None:
    """Fuzz the made shop of the tests and print how many requests were answered."""
    number = int(sys.argv[1]) if sys.argv[1:] else secrets.randbelow(2**32)
    print(f"seed {number}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        shop = fill(Shop.create(Path(scratch) / "shop"))
        with served(shop) as address:
            for operation in operations_at(address):
                since = time.perf_counter()
                sent = sum(fuzz(operation, mode, examples=EXAMPLES, number=number) for mode in MODES)
                print(f"{operation.label:45} {sent:6,} requests {time.perf_counter() - since:6.1f} s", flush=True)
        shop.close()


if __name__ == "__main__":
    main()
