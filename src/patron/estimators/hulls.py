"""What each customer's choices bring against what they cost: steps along the upper hull, from nothing upwards.

The linear relaxation of the multiple-choice knapsack (Sinha and Zoltners, 1979) takes the steps of all customers in
falling order of their return.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers


@dataclass(frozen=True, eq=False)
class HullSteps:
    """Steps of all customers, row by row; what brings nothing is on no hull."""

    row: npt.NDArray[np.int32]
    choice: npt.NDArray[np.int32]
    """The choice that a step reaches."""
    gain: Numbers
    cost: Numbers

    @classmethod
    def of(cls, gain: Numbers, cost: Numbers) -> "HullSteps":
        """Steps along the hulls of rows x choices; a choice with a gain of -inf is none."""
        return cls(*_hull_steps(gain, cost))

    def order_by_return(self) -> npt.NDArray[np.intp]:
        """Positions of the steps in falling order of gain over cost; ties stay in the order of the rows."""
        rate = np.divide(self.gain, self.cost, out=np.full(len(self.gain), np.inf), where=self.cost > 0)
        return np.argsort(-rate, kind="stable")

    def rises(self, values: Numbers) -> Numbers:
        """How much each step adds of another value of rows x choices; of steps in the order of the rows."""
        reached = values[self.row, self.choice]
        is_first = np.diff(self.row, prepend=-1) != 0
        return reached - np.where(is_first, 0.0, np.roll(reached, 1))


@kernel()
def _next_step(gains, costs, gain, cost):  # noqa: ANN001, ANN202
    """The choice with the best return from a point of the hull, or -1; of two equal returns the longer step."""
    best = -1
    best_rate = 0.0
    best_gain = 0.0
    for choice in range(len(gains)):
        rise, step = gains[choice] - gain, costs[choice] - cost
        if rise <= 0 or step < 0:
            continue
        rate = rise / step if step > 0 else np.inf
        if rate > best_rate or (rate == best_rate and rise > best_gain):
            best = choice
            best_rate = rate
            best_gain = rise
    return best


@kernel()
def _hull_steps(gains, costs):  # noqa: ANN001, ANN202
    rows, choices = np.empty(gains.size, np.int32), np.empty(gains.size, np.int32)
    rises, steps = np.empty(gains.size), np.empty(gains.size)
    count = 0
    for row in range(len(gains)):
        gain, cost = 0.0, 0.0
        choice = _next_step(gains[row], costs[row], gain, cost)
        while choice >= 0:
            rows[count], choices[count] = row, choice
            rises[count], steps[count] = gains[row, choice] - gain, costs[row, choice] - cost
            gain, cost = gains[row, choice], costs[row, choice]
            count += 1
            choice = _next_step(gains[row], costs[row], gain, cost)
    return rows[:count].copy(), choices[:count].copy(), rises[:count].copy(), steps[:count].copy()
