"""Exploration: how likely each customer gets another action than the best, for a limited regret in money.

Replacing the best action by another one gives up d of expected net value, with a standard error s. Information about
the difference grows with p (1 - p) of the probability p of the other action, weighed by s, and the regret with p d. So
the most is learned per cent where

    p = (1 - z / limit) / 2 for z = d / s < limit, else 0,

with one limit for all customers, as high as the regret allows: actions that are about as good are drawn most, and what
is worse with a probability of 90 % not at all. Several actions share the half.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.decide.expected_value import OPTIMISM, ExpectedValue
from patron.decide.fair_prices import FairPrices
from patron.decide.randomisation import NOTHING, SLOTS, Codes, certain_counts
from patron.schema.numbers import Numbers

MIN_SLOTS = 12
"""A probability below 5 % is none: the few who get the action would weigh too much."""
MAX_ALTERNATIVES = 3
"""Actions that a customer may get instead of the best: nothing, and offers that are about as good."""
STEPS = 12
"""Halvings of the interval that the limit is searched in."""


@dataclass(frozen=True)
class Alternatives:
    """Actions besides the best of each customer; columns are the offers and, last, nothing."""

    best: Codes
    loss: Numbers
    """Expected net value that is given up, cents; below 0 is 0."""
    ratio: Numbers
    """Loss by its standard error; infinite where there is nothing to learn."""

    @classmethod
    def of(
        cls, expectation: ExpectedValue, best: Codes, is_allowed: npt.NDArray[np.bool_], prices: FairPrices
    ) -> "Alternatives":
        """Compare every action with the best one.

        Another price is tried only where the best action is one, with the same probability for all of the group. What
        would be worth more, if budget and stock did not end, is left alone: its money is not exploration's.
        """
        rows, nothing = np.arange(len(best)), expectation.cost.shape[1]
        net, error = (
            np.column_stack([values, np.zeros(len(best))]) for values in (expectation.net, expectation.standard_error)
        )
        at = np.where(best == NOTHING, nothing, best)
        loss = net[rows, at][:, None] - net
        is_worth_it = prices.is_other | (expectation.optimistic_net > 0)
        is_open = np.column_stack([is_allowed & is_worth_it, np.ones(len(best), np.bool_)])
        is_open[rows, at] = False
        is_other = np.column_stack([prices.is_other, np.zeros(len(best), np.bool_)])
        is_open &= is_other | (loss >= 0)
        has_price = is_other.any(axis=1) & prices.is_price_of(best)
        is_open &= ~is_other | has_price[:, None]
        unsure = np.maximum(np.hypot(error, error[rows, at][:, None]), 1e-9)
        loss = np.maximum(loss, 0.0)
        ratio = loss / unsure
        ratio[:, :nothing] = np.where(prices.is_other, prices.ratio, ratio[:, :nothing])
        ratio[~is_open] = np.inf
        key = ratio.copy()
        key[np.isfinite(key[:, nothing]), nothing] = -1.0
        ratio[key.argsort(axis=1, kind="stable").argsort(axis=1) >= MAX_ALTERNATIVES] = np.inf
        return cls(best, loss, ratio)

    def counts(self, nothing_limit: float, offer_limit: float) -> Codes:
        """Slots of each action within these limits of `ratio`, for nothing and for offers."""
        offers = self.loss.shape[1] - 1
        limit = np.append(np.full(offers, offer_limit), nothing_limit)
        share = np.where(limit > 0, np.maximum(1.0 - self.ratio / np.maximum(limit, 1e-12), 0.0) / 2, 0.0)
        count = (SLOTS * share / np.maximum((self.ratio < OPTIMISM).sum(axis=1), 1)[:, None]).astype(np.int64)
        count[count < MIN_SLOTS] = 0
        # why: an effect is the difference to nothing, so without nothing an offer teaches nothing
        count[np.ix_((self.best != NOTHING) & (count[:, -1] == 0), np.arange(offers))] = 0
        best = certain_counts(self.best, offers)
        return np.where(best > 0, SLOTS - count.sum(axis=1, keepdims=True), count)

    def regret(self, counts: Codes) -> float:
        """Expected net value that all customers together give up, cents."""
        return float((counts * self.loss).sum() / SLOTS)


def explore(alternatives: Alternatives, *, regret_cents: float, fits: Callable[[Codes], bool]) -> Codes:
    """Slots of each action, within the regret and such that `fits` holds.

    Nothing instead of an offer frees budget and stock, so it has only the regret's limit; offers get a lower one where
    they would not fit. Without regret everybody gets the best action.
    """
    if regret_cents <= 0:
        return alternatives.counts(0.0, 0.0)
    limit = _largest(lambda z: alternatives.regret(alternatives.counts(z, z)) <= regret_cents, OPTIMISM)
    return alternatives.counts(limit, _largest(lambda z: fits(alternatives.counts(limit, z)), limit))


def _largest(holds: Callable[[float], bool], most: float) -> float:
    """The largest limit up to `most` that was seen to hold; 0 without one."""
    if most == 0 or holds(most):
        return most
    low, high = 0.0, most
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
