"""How likely a shown product is clicked and bought: sources of interest that add up, learned from what was shown.

    P(click on product i at place p) = multiplier_i x sum over sources of weight_s x interest_is x p^-place_decay

Interests are 0 to 1: `personal` (the probability that the customer buys it soon), `session` (what this visit says for
it), `context` (what the page or cart says for it), `popular` (its share of the best seller's purchases) and `any`
(1: it is a product). Weights are rates that a gamma prior keeps near their defaults until there are clicks; a product's
multiplier has a gamma prior with mean 1. Both are conjugate to clicks that are counted as Poisson, so that an update is
a sum (multiplicative updates of Lee and Seung, 2001, with prior counts). Places are looked at as in position-based
click models (Craswell et al., 2008; Chuklin, Markov and de Rijke, 2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from patron.recommenders.ids import Codes
from patron.schema.numbers import Numbers

SOURCES = ("personal", "session", "context", "popular", "any")
DEFAULT_WEIGHTS: Mapping[str, float] = {
    "personal": 0.15,
    "session": 0.08,
    "context": 0.08,
    "popular": 0.004,
    "any": 0.001,
}
PRIOR_CLICKS = 20.0
"""Clicks that the default weights count as."""
ROUNDS = 50
"""Updates of the weights; each raises the likelihood."""


@dataclass(frozen=True)
class ClickWeights:
    """What each source counts, clicks per unit of interest, and how fast places are examined less."""

    weights: Numbers = field(default_factory=lambda: np.array(list(DEFAULT_WEIGHTS.values())))
    place_decay: float = 0.35
    """The place p is examined p^-place_decay as often as the first."""

    def rates(self, interests: Numbers) -> Numbers:
        """Clicks per look of each row of interests (columns as SOURCES)."""
        return interests @ self.weights

    def shares(self, interests: Numbers) -> Numbers:
        """What each source adds to the rate of each row, clicks per look."""
        return interests * self.weights

    def examined(self, places: Codes) -> Numbers:
        """How often each place (from 1) is looked at, of the first one's."""
        return np.asarray(places, dtype=np.float64) ** -self.place_decay

    def fit(self, interests: Numbers, places: Codes, is_clicked: Numbers) -> Self:
        """Weights after products were shown at places and clicked or not; these weights are the prior."""
        looks = self.examined(places)
        prior = self.weights
        prior_looks = PRIOR_CLICKS / len(SOURCES) / prior
        exposure = prior_looks + looks @ interests
        clicked = interests[is_clicked > 0]
        weights = prior
        for _ in range(ROUNDS):
            shares = clicked * weights
            credit = (shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)).sum(axis=0)
            weights = (prior_looks * prior + credit) / exposure
        return replace(self, weights=weights)


@dataclass(eq=False)
class ProductResponse:
    """Clicks and orders of each product against the clicks that its sources alone would bring; they grow by events."""

    clicks: Numbers
    expected_clicks: Numbers
    orders: Numbers
    prior: float = 2.0
    """Expected clicks that a multiplier of 1 counts as."""
    order_share: float = 0.1
    """Orders per click of all products, to which each product's are shrunk."""
    prior_clicks: float = 20.0
    """Clicks that this share counts as."""

    @classmethod
    def unknown(cls, product_count: int) -> Self:
        """Nothing was shown yet."""
        return cls(np.zeros(product_count), np.zeros(product_count), np.zeros(product_count))

    def multipliers(self, products: Codes) -> Numbers:
        """Posterior mean of each product's multiplier."""
        return (self.prior + self.clicks[products]) / (self.prior + self.expected_clicks[products])

    def draws(self, products: Codes, count: int, rng: np.random.Generator) -> Numbers:
        """Draws of the multipliers from their posteriors: draws x products."""
        shape, rate = self.prior + self.clicks[products], self.prior + self.expected_clicks[products]
        return rng.standard_gamma(shape, size=(count, len(products))) / rate

    def order_shares(self, products: Codes) -> Numbers:
        """Orders per click of each product."""
        return (self.order_share * self.prior_clicks + self.orders[products]) / (
            self.prior_clicks + self.clicks[products]
        )
