"""What a list's scores mean: how often products with such a score, in such a place, were bought after a past cutoff.

Logistic regression on the logarithms of the score and of the place among the customer's repeats or new products. Scores
order one customer's products; how they compare between customers is learned here: for new products the place says more.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy
from scipy.special import expit

from patron.predict.recommend.codes import Codes, places
from patron.schema.numbers import Numbers

PRIOR_BUYERS = 1.0
"""Bought and not bought that are added at the mean, so that a share is never 0 or 1."""
MIN_SLOPE = 1e-3
"""Of the logarithms: a higher score and an earlier place are always more likely."""
LOW_SHARE = 0.01
"""Scores below those of so many pairs count as theirs."""


@dataclass(frozen=True)
class ListedPairs:
    """Products that were listed at a past cutoff to customers who bought something after it."""

    score: Numbers
    place: Codes
    """From 1, among the customer's repeats or among what is new to them."""
    is_repeat: npt.NDArray[np.bool_]
    """Whether the customer had bought the product before."""
    is_bought: npt.NDArray[np.bool_]
    """Whether they bought it within the horizon."""

    def where(self, flags: npt.NDArray[np.bool_]) -> Self:
        """Some of the pairs."""
        return type(self)(*(column[flags] for column in vars(self).values()))


@dataclass(frozen=True)
class LogisticShare:
    """Probability of a pair of one kind: logistic in the logarithms of its score and place."""

    least_score: float
    """Lower scores count as this one."""
    intercept: float
    of_score: float
    of_place: float
    """Added per unit of the logarithm, the place's with a minus."""

    @classmethod
    def fit(cls, pairs: ListedPairs) -> Self:
        """Maximum likelihood; without a pair the probability is 0 but for rounding."""
        above = pairs.score[pairs.score > 0]
        if not len(above):
            return cls(1.0, -30.0, MIN_SLOPE, MIN_SLOPE)
        least = float(np.quantile(above, LOW_SHARE))
        design = _logarithms(pairs.score, pairs.place, least)
        mean = design.mean(axis=0)
        design = np.column_stack([np.ones(len(design)), design - mean])
        bought = pairs.is_bought.astype(np.float64)
        share = (bought.sum() + PRIOR_BUYERS) / (len(bought) + 2 * PRIOR_BUYERS)

        def loss(weights: Numbers) -> tuple[float, Numbers]:
            odds = design @ weights
            prior = 2 * PRIOR_BUYERS * (np.logaddexp(0, weights[0]) - share * weights[0])
            slope = design.T @ (expit(odds) - bought)
            slope[0] += 2 * PRIOR_BUYERS * (expit(weights[0]) - share)
            penalty = 0.5 * float(weights[1:] @ weights[1:])
            slope[1:] += weights[1:]
            return float((np.logaddexp(0, odds) - bought * odds).sum() + prior + penalty), slope

        start = np.array([np.log(share / (1 - share)), MIN_SLOPE, MIN_SLOPE])
        bounds = [(None, None), (MIN_SLOPE, None), (MIN_SLOPE, None)]
        intercept, of_score, of_place = scipy.optimize.minimize(
            loss, start, jac=True, method="L-BFGS-B", bounds=bounds
        ).x
        return cls(least, float(intercept - mean @ [of_score, of_place]), float(of_score), float(of_place))

    def of(self, score: Numbers, place: Codes) -> Numbers:
        """Probability of each pair, 0 to 1."""
        return expit(self.intercept + _logarithms(score, place, self.least_score) @ [self.of_score, self.of_place])


@dataclass(frozen=True)
class ListProbabilities:
    """Probability of what is listed, for products new to the customer and for repeats."""

    new: LogisticShare
    repeat: LogisticShare

    @classmethod
    def fit(cls, pairs: ListedPairs) -> Self:
        """Learn what scores and places meant, by kind."""
        return cls(*(LogisticShare.fit(pairs.where(pairs.is_repeat == is_repeat)) for is_repeat in (False, True)))

    def of(self, score: Numbers, place: Codes, is_repeat: npt.NDArray[np.bool_]) -> Numbers:
        """Probability of each listed product, 0 to 1."""
        return np.where(is_repeat, self.repeat.of(score, place), self.new.of(score, place))


def places_by_kind(customer: Codes, is_repeat: npt.NDArray[np.bool_]) -> Codes:
    """Place of each row among its customer's repeats or new products, from 1; rows of a customer are in their order."""
    groups = 2 * customer + is_repeat
    order = np.argsort(groups, kind="stable")
    place = np.empty(len(groups), dtype=np.int64)
    place[order] = places(groups[order])
    return place


def _logarithms(score: Numbers, place: Codes, least: float) -> Numbers:
    return np.column_stack([np.log(np.maximum(score, least)), -np.log(place)])
