"""A budget alone: the upper hull of each customer's offers, and its increments sorted by return.

The linear relaxation of the multiple-choice knapsack (Sinha and Zoltners, 1979): the sorted increments are its optimum
for every budget at once, with at most one customer between two offers.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.allocation.problem import NONE, ROUNDING, Codes
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class Increments:
    """Steps along the customers' hulls, from nothing upwards, in falling order of gain over cost; ties in row order."""

    row: npt.NDArray[np.int32]
    offer: npt.NDArray[np.int32]
    """The offer that a step reaches."""
    gain: Numbers
    cost: Numbers

    @classmethod
    def of(cls, net: Numbers, cost: Numbers) -> "Increments":
        """Steps of all customers; offers without net value are on no hull."""
        row, offer, gain, step = _hull_steps(net, cost)
        rate = np.divide(gain, step, out=np.full(len(gain), np.inf), where=step > 0)
        order = np.argsort(-rate, kind="stable")
        return cls(row[order], offer[order], gain[order], step[order])

    def choice(self, customers: int, budget: float) -> Codes:
        """The offers that a budget buys in order of return, without those too dear for the rest of it."""
        return _buy(self.row, self.offer, self.cost, customers, budget)

    def price(self, budget: float) -> float:
        """Gain over cost of the first step that the budget does not buy in full; 0 where it buys all."""
        at = int(np.searchsorted(np.cumsum(self.cost), budget * (1 + ROUNDING), side="right"))
        return float(self.gain[at] / self.cost[at]) if at < len(self.gain) else 0.0


@kernel()
def _next_step(net, cost, at_net, at_cost):  # noqa: ANN001, ANN202
    """The offer with the best return from a point of the hull, or -1; of two equal returns the longer step."""
    best, best_rate, best_gain = -1, 0.0, 0.0
    for offer in range(len(net)):
        gain, step = net[offer] - at_net, cost[offer] - at_cost
        if gain <= 0 or step < 0:
            continue
        rate = gain / step if step > 0 else np.inf
        if rate > best_rate or (rate == best_rate and gain > best_gain):
            best, best_rate, best_gain = offer, rate, gain
    return best


@kernel()
def _hull_steps(net, cost):  # noqa: ANN001, ANN202
    customers = len(net)
    count = 0
    for row in range(customers):
        at_net, at_cost = 0.0, 0.0
        offer = _next_step(net[row], cost[row], at_net, at_cost)
        while offer >= 0:
            count += 1
            at_net, at_cost = net[row, offer], cost[row, offer]
            offer = _next_step(net[row], cost[row], at_net, at_cost)
    rows, offers = np.empty(count, np.int32), np.empty(count, np.int32)
    gains, steps = np.empty(count), np.empty(count)
    place = 0
    for row in range(customers):
        at_net, at_cost = 0.0, 0.0
        offer = _next_step(net[row], cost[row], at_net, at_cost)
        while offer >= 0:
            rows[place], offers[place] = row, offer
            gains[place], steps[place] = net[row, offer] - at_net, cost[row, offer] - at_cost
            at_net, at_cost = net[row, offer], cost[row, offer]
            place += 1
            offer = _next_step(net[row], cost[row], at_net, at_cost)
    return rows, offers, gains, steps


@kernel()
def _buy(row, offer, cost, customers, budget):  # noqa: ANN001, ANN202
    choice = np.full(customers, NONE, np.int64)
    # why: a customer whose step is skipped cannot have the next one, which starts from it
    is_skipped = np.zeros(customers, np.bool_)
    spent, limit = 0.0, budget * (1 + ROUNDING / 2)
    for at in range(len(row)):
        if is_skipped[row[at]]:
            continue
        if spent + cost[at] <= limit:
            spent += cost[at]
            choice[row[at]] = offer[at]
        else:
            is_skipped[row[at]] = True
    return choice
