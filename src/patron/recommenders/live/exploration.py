"""Exploring one place of a list: Thompson sampling among products that rules allow, with known probabilities.

With the share `explore` of its requests a list hands one place to the product that is best in one draw of all
multipliers from their posteriors. The probability of each product is the share of draws in which it is best, and the
product is drawn from exactly these probabilities; so the logged propensity is the true one, and lists can be evaluated
off-policy. What this costs is the rate of the greedy product less the expected rate of the drawn one. Exploring stops
while its cost is above its budget: a share of the clicks that greedy lists would have had (Thompson, 1933; Chapelle and
Li, 2011).
"""

import threading
from dataclasses import dataclass

import numpy as np

from patron.schema.numbers import Numbers

DRAWS = 200


@dataclass(frozen=True, eq=False)
class Drawn:
    """The product that takes the place, and with which probability each had taken it."""

    place: int
    """Of the drawn product, among those that were offered; the first is the greedy one."""
    propensities: Numbers
    cost: float
    """Expected clicks that exploring costs, per look."""


def draw_product(rates: Numbers, draws: Numbers, explore: float, rng: np.random.Generator) -> Drawn:
    """Draw one product: `rates` of the products, the greedy one first; `draws` of their multipliers (draws x products).

    `rates` hold the posterior mean of the multipliers; `draws` are relative to it.
    """
    best = np.argmax(draws * rates, axis=1)
    propensities = explore * np.bincount(best, minlength=len(rates)) / len(draws)
    propensities[0] += 1 - explore
    place = int(rng.choice(len(rates), p=propensities / propensities.sum()))
    return Drawn(place, propensities, float(max(rates[0] - propensities @ rates, 0.0)))


class RegretBudget:
    """Clicks that exploring may cost: a share of those expected of all lists so far; safe from several threads."""

    def __init__(self, share: float) -> None:
        self.share = share
        """Largest share of the expected clicks, 0 to 1."""
        self.spent = 0.0
        """Expected clicks that exploring has cost."""
        self.expected = 0.0
        """Expected clicks of all greedy lists."""
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
