"""One budget, many customers, a few offers each: the upper hull of each customer's offers, increments sorted by return.

Method: the linear relaxation of the multiple-choice knapsack (Sinha and Zoltners, 1979); the sorted increments are its
optimum up to one customer.
"""

import numpy as np
import numpy.typing as npt

from patron.schema.numbers import Numbers

NONE = -1
SKIPS = 50


def allocate(net: Numbers, cost: Numbers, budget_cents: float) -> npt.NDArray[np.int64]:
    """Column of the offer for each row, or -1: the most net value whose cost stays within the budget.

    An offer with net value at or below zero is never chosen. Costs are at least 0. Ties go to the earlier row.
    """
    row, offer, gain, step_cost = _increments(net, cost)
    rate = np.divide(gain, step_cost, out=np.full(len(gain), np.inf), where=step_cost > 0)
    order = np.argsort(-rate, kind="stable")
    bought = _bought(order, row, step_cost, budget_cents)
    chosen = np.full(len(net), NONE, dtype=np.int64)
    # why: a customer's increments are in falling order of return, so the last one bought is the offer that counts
    np.put(chosen, row[bought], offer[bought])
    return chosen


def _bought(
    order: npt.NDArray[np.intp], row: npt.NDArray[np.int64], step_cost: Numbers, budget_cents: float
) -> npt.NDArray[np.intp]:
    """Increments in order of return while the budget lasts, skipping some that are too dear for the rest of it."""
    taken, left = [], budget_cents
    for _ in range(SKIPS):
        spent = np.cumsum(step_cost[order])
        fits = int(np.searchsorted(spent, left, side="right"))
        taken.append(order[:fits])
        if fits == len(order):
            break
        left -= float(spent[fits - 1]) if fits else 0.0
        rest = order[fits + 1 :]
        # why: a customer whose increment is skipped cannot have the next one, which starts from it
        skipped = np.unique(np.append(row[rest][step_cost[rest] > left], row[order[fits]]))
        order = rest[~np.isin(row[rest], skipped)]
    return np.concatenate(taken)


def _increments(net: Numbers, cost: Numbers) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Numbers, Numbers]:
    """Steps along each row's upper hull, from 'none' upwards: row, offer reached, added net value, added cost."""
    rows, offers = net.shape
    at_net, at_cost = np.zeros(rows), np.zeros(rows)
    parts = []
    for _ in range(offers):
        gain, step = net - at_net[:, None], cost - at_cost[:, None]
        rate = np.divide(gain, step, out=np.where(gain > 0, np.inf, -np.inf), where=step > 0)
        rate = np.where((gain > 0) & (step >= 0), rate, -np.inf)
        # why: of two free steps the one that gains more, of two equal returns the longer one
        best = np.lexsort((gain, rate), axis=1)[:, -1] if offers > 1 else np.zeros(rows, dtype=np.int64)
        every = np.arange(rows)
        moves = np.flatnonzero(rate[every, best] > -np.inf)
        if not len(moves):
            break
        parts.append((moves, best[moves], gain[moves, best[moves]], step[moves, best[moves]]))
        at_net[moves], at_cost[moves] = net[moves, best[moves]], cost[moves, best[moves]]
    if not parts:
        return np.array([], np.int64), np.array([], np.int64), np.array([]), np.array([])
    row, offer, gain, step = (np.concatenate(column) for column in zip(*parts, strict=True))
    return row, offer, gain, step
