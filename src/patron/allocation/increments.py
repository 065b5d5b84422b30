"""A budget alone: the steps along the hull of each customer's offers, sorted by return.

They are the optimum of the linear relaxation for every budget at once, with at most one customer between two offers.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.allocation.problem import NONE, ROUNDING, Codes
from patron.estimators.hulls import HullSteps
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
        steps = HullSteps.of(net, cost)
        order = steps.order_by_return()
        return cls(steps.row[order], steps.choice[order], steps.gain[order], steps.cost[order])

    def choice(self, customers: int, budget: float) -> Codes:
        """The offers that a budget buys in order of return, without those too dear for the rest of it."""
        return _buy(self.row, self.offer, self.cost, customers, budget)

    def price(self, budget: float) -> float:
        """Gain over cost of the first step that the budget does not buy in full; 0 where it buys all."""
        at = int(np.searchsorted(np.cumsum(self.cost), budget * (1 + ROUNDING), side="right"))
        return float(self.gain[at] / self.cost[at]) if at < len(self.gain) else 0.0


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
