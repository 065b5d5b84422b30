"""How long a year of the simulated shop takes: `python benchmarks/simulate/bench_simulate.py [customers] [days]`."""

import resource
import sys
import time
from dataclasses import replace

from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP


def main(customers: int = 10_000, days: int = 365) -> None:
    """Advance month by month, keeping nothing, as a large import would."""
    started = time.perf_counter()
    world = ShopSimulator(replace(DEFAULT_SHOP, customers=customers), seed=1)
    count, slowest = 0, 0.0
    for day in range(0, days, 30):
        step = time.perf_counter()
        count += world.history(min(30, days - day)).num_rows
        slowest = max(slowest, time.perf_counter() - step)
    seconds = time.perf_counter() - started
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{customers:,} customers x {days} days: {count:,} events in {seconds:.1f} s ({count / seconds:,.0f}/s)")
    print(f"slowest month {slowest:.2f} s, peak memory {memory_mb:,.0f} MB")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
