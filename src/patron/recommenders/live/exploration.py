"""Exploring one place of a list: Thompson sampling among products that rules allow, with known probabilities.

One place of a list goes to the product that is best in one draw of all multipliers from their posteriors: a hundred
draws are made, each worth a hundredth, and the product is drawn from exactly these probabilities. The logged propensity
is therefore the true one, to its last digit, and lists can be evaluated off-policy. What this costs is the rate of the
greedy product less the expected rate of the drawn one. Lists are greedy while the cost is above its budget: a share of
the clicks that greedy lists would have had (Thompson, 1933; Chapelle and Li, 2011).
"""

import threading
from dataclasses import dataclass

import numpy as np

from patron.schema.numbers import Numbers

DRAWS = 100
"""Of all multipliers, for each list; propensities have two decimals."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """The product that takes the place, and with which probability each had taken it."""

    place: int
    """Of the drawn product, among those that were offered; the first is the greedy one."""
    propensities: Numbers
    cost: float
    """What exploring is expected to cost, per look, in the unit of the rates."""


def draw_product(rates: Numbers, draws: Numbers, rng: np.random.Generator) -> Drawn:
    """Draw one product: `rates` of the products, the greedy one first; `draws` of their multipliers (draws x products).

    `rates` hold the posterior mean of the multipliers; `draws` are relative to it.
    """
    best = np.argmax(draws * rates, axis=1)
    propensities = np.bincount(best, minlength=len(rates)) / len(draws)
    place = int(best[rng.integers(len(draws))])
    return Drawn(place, propensities, float(max(rates[0] - propensities @ rates, 0.0)))


class RegretBudget:
    """What exploring may cost: a share of the worth that is expected of all lists so far; safe from several threads."""

    def __init__(self, share: float) -> None:
        self.share = share
        """Largest share of the expected worth, 0 to 1."""
        self.spent = 0.0
        """Expected worth that exploring has cost."""
        self.expected = 0.0
        """Expected worth of all greedy lists."""
        self._lock = threading.Lock()

    @property
    def allows(self) -> bool:
        """Whether exploring may go on."""
        return self.share > 0 and self.spent <= self.share * self.expected

    def add(self, *, expected: float, cost: float) -> None:
        """Count a list."""
        with self._lock:
            self.expected += expected
            self.spent += cost
