"""Pareto/NBD whose customers may leave sooner, or later, the oftener they order: Sarmanov's joint density.

Pareto/NBD has a customer's rate of orders lambda ~ Gamma(r, alpha) and rate of leaving mu ~ Gamma(s, beta) independent.
Here their joint density is

    g(lambda) h(mu) (1 + m (exp(-2 alpha lambda) - a) (exp(-2 beta mu) - b)), a = 3^-r, b = 3^-s

(Sarmanov 1966; Park and Fader 2004, Marketing Science 23(3), who take exp(-lambda) and exp(-mu): with 2 alpha and
2 beta the unit of time does not matter, and correlations reach about as far down as up). exp(-2 alpha lambda) g(lambda)
is a times the gamma density with 3 alpha: with k = m a b likelihoods and answers are those of four plain models,

    (1 + k) L(alpha, beta) + k L(3 alpha, 3 beta) - k L(3 alpha, beta) - k L(alpha, 3 beta).

The density is not below zero for k from -min(1, a b / ((1 - a) (1 - b))) to min(a / (1 - a), b / (1 - b)). For minima
stand smooth ones, a little smaller where their two are near each other, for the likelihood to have no edge. The
correlation of the rates is 4/9 k sqrt(r s), so that it is never large. A parameter `dependence` of any size, 0 for
none, gives by its hyperbolic tangent how far between these ends k is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patron.clv.count_model import CountLearner, CountModel, poisson_orders
from patron.clv.distinct_histories import DistinctValues, Histories, Indices
from patron.clv.maximum_likelihood import Estimates, Objective
from patron.clv.pareto_nbd import LETTERS, START, FittedParetoNBD, likelihoods
from patron.clv.pareto_nbd_covariates import log_gammas
from patron.schema.numbers import Numbers

DEPENDENCE = "dependence"
TIMES = 3.0
PARTS = ((1.0, 1.0), (TIMES, TIMES), (TIMES, 1.0), (1.0, TIMES))
"""What alpha and beta are multiplied by in each part."""
SIGNS = np.array([1.0, 1.0, -1.0, -1.0])
"""Of k in the weight of each part."""
FULL = 0.98
"""Share of the largest k that is reached: at the whole of it some customers are impossible."""
FALL = math.log(TIMES)
SHARP = 8.0
"""The smooth minimum of two equal numbers is a 1 / SHARP of ln 2 below them."""
CHANCE = 1e-12
"""A likelihood, against the largest of its parts, is not lower than this."""


def strength(r: float, s: float, dependence: float) -> tuple[float, Numbers]:
    """The weight k, and its slopes in r, s and the dependence."""
    of_a, of_b = (-size * FALL - math.log(-math.expm1(-size * FALL)) for size in (r, s))  # ln(a / (1 - a)), b likewise
    d_a, d_b = (FALL / math.expm1(-size * FALL) for size in (r, s))
    if dependence >= 0:
        log_most, share = _least(of_a, of_b)
        d_r, d_s = share * d_a, (1 - share) * d_b
    else:
        log_most, share = _least(of_a + of_b, 0.0)
        d_r, d_s = share * d_a, share * d_b
    most, reached = math.exp(log_most), FULL * math.tanh(dependence)
    k = reached * most
    return k, np.array([k * d_r, k * d_s, FULL * (1 - math.tanh(dependence) ** 2) * most])


def _least(one: float, other: float) -> tuple[float, float]:
    """Smooth minimum of two numbers, below both, and its slope in the first."""
    gap = SHARP * abs(one - other)
    share = math.exp(-gap) / (1 + math.exp(-gap))
    return min(one, other) - math.log1p(math.exp(-gap)) / SHARP, share if one > other else 1 - share


@dataclass(frozen=True)
class _Parts:
    """Likelihoods of rows in the four plain models, and the share of each in a row's likelihood."""

    log_likelihood: Numbers
    terms: list[tuple[Numbers, ...]]
    shares: Numbers
    """A row a part; they add up to 1, and may be below 0."""
    against: Numbers
    """Slope of the log-likelihood of each row in k."""

    @classmethod
    def of(cls, law: tuple[float, float, float, float], k: float, rows: Histories) -> "_Parts":
        """Of rows."""
        r, alpha, s, beta = law
        same, history = np.ones(len(rows.T)), (rows.frequency, rows.recency, rows.T)
        terms = [likelihoods(r, s, alpha * more * same, beta * longer * same, history) for more, longer in PARTS]
        values = np.array([one[0] for one in terms])
        top = values.max(axis=0)
        heights = np.exp(values - top)
        weights = (np.array([1.0, 0.0, 0.0, 0.0]) + k * SIGNS)[:, None] * heights
        total = np.maximum(weights.sum(axis=0), CHANCE)
        return cls(top + np.log(total), terms, weights / total, SIGNS @ heights / total)

    def mixed(self, answers: Sequence[Numbers]) -> Numbers:
        """An answer of each row, from that of each plain model."""
        shares = self.shares.reshape((len(PARTS), -1) + (1,) * (answers[0].ndim - 1))
        return np.maximum((shares * np.array(answers)).sum(axis=0), 0.0)


@dataclass(frozen=True)
class FittedCorrelatedParetoNBD(CountModel):
    """A fitted Pareto/NBD with correlated rates."""

    kind: ClassVar[str] = "paretonbd_correlated"

    @property
    def correlation(self) -> float:
        """Correlation of the rates of orders and of leaving: above 0, who orders more often leaves sooner."""
        r, s = self.params["r"], self.params["s"]
        return 4 / 9 * self._strength() * math.sqrt(r * s)

    def _strength(self) -> float:
        return strength(self.params["r"], self.params["s"], self.params[DEPENDENCE])[0]

    def _plain(self) -> list[FittedParetoNBD]:
        r, alpha, s, beta = (self.params[name] for name in LETTERS)
        laws = [(r, alpha * more, s, beta * longer) for more, longer in PARTS]
        return [FittedParetoNBD(Estimates(dict(zip(LETTERS, law, strict=True)))) for law in laws]

    def _parts(self, rows: Histories) -> _Parts:
        r, alpha, s, beta = (self.params[name] for name in LETTERS)
        return _Parts.of((r, alpha, s, beta), self._strength(), rows)

    def alive(self, rows: Histories) -> Numbers:
        """Probability for each row not to have left, 0 to 1."""
        return np.minimum(self._parts(rows).mixed([one.alive(rows) for one in self._plain()]), 1.0)

    def expected(self, rows: Histories, horizon: float) -> Numbers:
        """Expected orders of each row in a horizon."""
        return self._parts(rows).mixed([one.expected(rows, horizon) for one in self._plain()])

    def purchase_probability(self, rows: Histories, horizon: float) -> Numbers:
        """Probability for each row of at least one order in a horizon, 0 to 1."""
        return np.minimum(
            self._parts(rows).mixed([one.purchase_probability(rows, horizon) for one in self._plain()]), 1.0
        )

    def counts(self, rows: Histories, horizon: float, most: int) -> Numbers:
        """Probability for each row of 0, 1 ... `most` orders or more in a horizon; a row adds up to 1."""
        probabilities = self._parts(rows).mixed([one.counts(rows, horizon, most) for one in self._plain()])
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def draw_orders(self, T: Numbers, rng: np.random.Generator) -> Iterator[tuple[Indices, Numbers]]:
        """Orders after the first of new customers until T: of the second orders, the third ..., whose and when."""
        rate, leaving = self._rates(len(T), rng)
        return poisson_orders(rate, np.minimum(T, rng.exponential(1 / leaving)), rng)

    def _rates(self, count: int, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
        """Rates of customers: independent ones, kept with chances in proportion to how much likelier they are here."""
        r, alpha, s, beta = (self.params[name] for name in LETTERS)
        a, b = TIMES**-r, TIMES**-s
        m = self._strength() / max(a * b, 1e-300)
        ends = [(u - a) * (v - b) for u in (0.0, 1.0) for v in (0.0, 1.0)]
        most = 1 + max(m * end for end in ends)
        kept, kept_count = np.zeros((2, 0)), 0
        while kept_count < count:
            rate, leaving = rng.gamma(r, 1 / alpha, count), rng.gamma(s, 1 / beta, count)
            odds = 1 + m * (np.exp(-2 * alpha * rate) - a) * (np.exp(-2 * beta * leaving) - b)
            kept = np.column_stack([kept, np.array([rate, leaving])[:, rng.random(count) * most < odds]])
            kept_count = kept.shape[1]
        return kept[0, :count], kept[1, :count]


@dataclass(frozen=True)
class _Likelihood:
    """Mean log-likelihood of a customer in the logs of r, alpha, s, beta, and the dependence."""

    rows: Histories
    x: DistinctValues
    share: Numbers

    def __call__(self, at: Numbers) -> tuple[float, Numbers]:
        r, alpha, s, beta = (float(one) for one in np.exp(at[:4]))
        k, d_k = strength(r, s, float(at[4]))
        parts = _Parts.of((r, alpha, s, beta), k, self.rows)
        gammas, d_gammas = log_gammas(r, self.x)
        slopes = np.array([parts.shares * np.array([one[1 + letter] for one in parts.terms]) for letter in range(4)])
        slopes[1] *= alpha * np.array([more for more, _ in PARTS])[:, None]
        slopes[3] *= beta * np.array([longer for _, longer in PARTS])[:, None]
        d_r, d_alpha, d_s, d_beta = slopes.sum(axis=1) @ self.share
        against = float(self.share @ parts.against)
        d_r = (d_r + self.share @ d_gammas + against * d_k[0]) * r
        d_s = (d_s + against * d_k[1]) * s
        value = float(self.share @ (parts.log_likelihood + gammas))
        return value, np.array([d_r, d_alpha, d_s, d_beta, against * d_k[2]])


@dataclass(frozen=True)
class CorrelatedParetoNBD(CountLearner[FittedCorrelatedParetoNBD]):
    """Pareto/NBD with correlated rates, to be fitted to a summary; few customers show little of the dependence."""

    name: ClassVar[str] = "Pareto/NBD with correlated rates"
    letters: ClassVar[Sequence[str]] = LETTERS
    in_time: ClassVar[Sequence[str]] = ("alpha", "beta")

    def effects(self) -> Sequence[str]:
        """The dependence."""
        return (DEPENDENCE,)

    def objective(self, rows: Histories) -> Objective:
        """Mean log-likelihood of a customer."""
        return _Likelihood(rows, DistinctValues.of(rows.frequency), rows.weight / rows.weight.sum())

    def start(self, rows: Histories) -> Numbers:  # noqa: ARG002 - the signature of all models
        """As without dependence."""
        return np.concatenate([START, [0.0]])

    def fitted_model(self, estimates: Estimates) -> FittedCorrelatedParetoNBD:
        """The fitted model."""
        return FittedCorrelatedParetoNBD(estimates)
