"""A million customers, five offers, one budget: seconds, and the gap to the bound of the linear relaxation."""

import resource
import time

import numpy as np

from patron.decide.allocation import allocate

CUSTOMERS, OFFERS = 1_000_000, 5


def main() -> None:
    rng = np.random.default_rng(1)
    cost = rng.uniform(5, 500, (CUSTOMERS, OFFERS))
    net = rng.normal(0, 300, (CUSTOMERS, OFFERS))
    rows = np.arange(CUSTOMERS)
    budget = 20_000_000.0
    started = time.perf_counter()
    chosen = allocate(net, cost, budget)
    seconds = time.perf_counter() - started
    offered = chosen >= 0
    spent = cost[rows, chosen][offered].sum()
    gained = net[rows, chosen][offered].sum()
    price = np.linspace(0, 10, 41)
    bounds = [np.maximum((net - p * cost).max(axis=1), 0).sum() + p * budget for p in price]
    at = int(np.argmin(bounds))
    fine = np.linspace(price[max(at - 1, 0)], price[min(at + 1, 40)], 81)
    bound = min(np.maximum((net - p * cost).max(axis=1), 0).sum() + p * budget for p in fine)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{seconds:.1f} s; spent {spent / budget:.6f} of the budget")
    print(f"gap to the dual bound {1 - gained / bound:.2e}; peak {memory:.1f} GB")


if __name__ == "__main__":
    main()
