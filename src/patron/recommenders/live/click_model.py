"""How likely a shown product is clicked and bought: sources of interest that add up, learned from what was shown.

    P(click on product i at place p) = multiplier_i x sum over sources of weight_s x interest_is x p^-place_decay

Interests are 0 to 1: `personal` (the probability that the customer buys it soon), `session` (what this visit says for
it), `context` (what the page or cart says for it), `taste` (the customer's share of interest in its category, times its
share of the category's best seller), `popular` (its share of the best seller's purchases) and `any` (1: it is a
product). Weights are rates that a gamma prior keeps near their defaults until there are clicks; a product's multiplier
has a gamma prior with mean 1. Both are conjugate to clicks that are counted as Poisson, so that an update is a sum
(multiplicative updates of Lee and Seung, 2001, with prior counts). Places are looked at as in position-based click
models (Craswell et al., 2008; Chuklin, Markov and de Rijke, 2015). An order after a click is likely as the sources that
brought the click make it, times a multiplier of the product.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from patron.recommenders.ids import Codes
from patron.schema.numbers import Numbers

SOURCES = ("personal", "session", "context", "taste", "popular", "any")
DEFAULT_WEIGHTS: Mapping[str, float] = {
    "personal": 0.15,
    "session": 0.08,
    "context": 0.08,
    "taste": 0.02,
    "popular": 0.004,
    "any": 0.001,
}
ASSUMED_ORDERS: Mapping[str, float] = {
    "personal": 0.2,
    "session": 0.1,
    "context": 0.1,
    "taste": 0.06,
    "popular": 0.06,
    "any": 0.06,
}
"""Orders per click that each source brings, until it is known."""
PRIOR_CLICKS = 20.0
"""Clicks that the defaults count as."""
TINY = 1e-12
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
    """Clicks and orders of each product against those that its sources alone would bring; they grow by events."""

    clicks: Numbers
    expected_clicks: Numbers
    orders: Numbers
    expected_orders: Numbers
    """Of the clicks."""
    source_clicks: Numbers
    """Of each source: clicks that it is credited with ..."""
    source_orders: Numbers
    """... and orders that followed."""
    prior: float = 2.0
    """Expected clicks that a multiplier of 1 counts as."""
    order_prior: float = 5.0
    """Expected orders that a multiplier of orders of 1 counts as."""

    @classmethod
    def unknown(cls, product_count: int) -> Self:
        """Nothing was shown yet."""
        of_products = [np.zeros(product_count) for _ in range(4)]
        assumed = np.array([ASSUMED_ORDERS[source] for source in SOURCES])
        return cls(*of_products, np.full(len(SOURCES), PRIOR_CLICKS), PRIOR_CLICKS * assumed)  # type: ignore[misc]

    def multipliers(self, products: Codes) -> Numbers:
        """Posterior mean of each product's multiplier."""
        return (self.prior + self.clicks[products]) / (self.prior + self.expected_clicks[products])

    def draws(self, products: Codes, count: int, rng: np.random.Generator) -> Numbers:
        """Draws of the multipliers from their posteriors: draws x products."""
        shape, rate = self.prior + self.clicks[products], self.prior + self.expected_clicks[products]
        return rng.standard_gamma(shape, size=(count, len(products))) / rate

    def order_shares(self, products: Codes, shares: Numbers) -> Numbers:
        """Orders per click of each product; `shares` is what each source adds to its rate (products x SOURCES)."""
        multiplier = (self.order_prior + self.orders[products]) / (self.order_prior + self.expected_orders[products])
        return np.minimum(self.expected_order_shares(shares) * multiplier, 1.0)

    def expected_order_shares(self, shares: Numbers) -> Numbers:
        """Orders per click by the sources alone."""
        of_sources = self.source_orders / self.source_clicks
        return shares @ of_sources / np.maximum(shares.sum(axis=1), TINY)

    @staticmethod
    def credit(shares: Numbers) -> Numbers:
        """What each source is credited with of some clicks or orders (rows of shares)."""
        return (shares / np.maximum(shares.sum(axis=1, keepdims=True), TINY)).sum(axis=0)

    def add_click(self, product: int, shares: Numbers) -> None:
        """Count a click; `shares` is what each source added to the product's rate."""
        self.clicks[product] += 1
        self.expected_orders[product] += float(self.expected_order_shares(shares[None, :])[0])
        self.source_clicks += self.credit(shares[None, :])

    def add_order(self, product: int, shares: Numbers) -> None:
        """Count an order after a click."""
        self.orders[product] += 1
        self.source_orders += self.credit(shares[None, :])
