"""BG/BB: buyers with a chance to buy in each of n periods, who may leave after any (Fader, Hardie and Shang 2010).

While alive a customer buys in a period with probability p ~ Beta(alpha, beta) and leaves at the start of one with
probability theta ~ Beta(gamma, delta). Here `frequency` counts periods with an order, `recency` is the last of them (0
when there is none) and `T` how many periods there were.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from patron.clv.count_model import CountLearner, CountModel
from patron.clv.distinct_histories import Histories, Indices
from patron.clv.maximum_likelihood import Estimates, Objective
from patron.schema.numbers import Numbers

LETTERS = ("alpha", "beta", "gamma", "delta")


def _check_whole_periods(rows: Histories) -> None:
    """Reject times that are no number of periods. Raises ValueError."""
    for name, column in (("frequency", rows.frequency), ("recency", rows.recency), ("T", rows.T)):
        if (column != np.round(column)).any():
            raise ValueError(f"{name}: BG/BB counts whole periods, not {column[column != np.round(column)][0]:g}")
    if (rows.frequency > rows.recency).any():
        raise ValueError("frequency: more periods with an order than periods up to the last one")


@dataclass(frozen=True)
class _Likelihood:
    """Mean log-likelihood of a customer in the logs of alpha, beta, gamma, delta.

    A customer is alive now, or left after the i-th period since the last order: each is a term, and the terms of all
    rows lie in one long column, so that their logarithms are found together.
    """

    rows: Histories
    share: Numbers
    row: np.ndarray
    quiet: Numbers
    """Quiet periods that the customer was alive for, of each term."""
    is_now: np.ndarray

    @classmethod
    def of(cls, rows: Histories) -> "_Likelihood":
        count = (rows.T - rows.recency).astype(np.int64)
        row = np.repeat(np.arange(len(count)), count + 1)
        quiet = np.arange(len(row)) - np.repeat(np.cumsum(count + 1) - (count + 1), count + 1)
        return cls(rows, rows.weight / rows.weight.sum(), row, quiet.astype(float), quiet == count[row])

    def terms(self, params: Numbers) -> Numbers:
        """Logarithm of each term."""
        alpha, beta, gamma, delta = params
        x, tx = self.rows.frequency[self.row], self.rows.recency[self.row]
        buys = scipy.special.betaln(alpha + x, beta + tx - x + self.quiet) - scipy.special.betaln(alpha, beta)
        leaves = scipy.special.betaln(gamma + ~self.is_now, delta + tx + self.quiet)
        leaves -= scipy.special.betaln(gamma, delta)
        return buys + leaves

    def summed(self, params: Numbers) -> tuple[Numbers, Numbers]:
        """Log-likelihood of each row, and the share of each term in it."""
        terms = self.terms(params)
        top = np.full(len(self.share), -np.inf)
        np.maximum.at(top, self.row, terms)
        part = np.exp(terms - top[self.row])
        total = np.bincount(self.row, part, len(self.share))
        return top + np.log(total), part / total[self.row]

    def __call__(self, logs: Numbers) -> tuple[float, Numbers]:
        alpha, beta, gamma, delta = params = np.exp(logs)
        x, tx = self.rows.frequency[self.row], self.rows.recency[self.row]
        value, part = self.summed(params)
        weight = self.share[self.row] * part
        periods, left = tx + self.quiet, (~self.is_now).astype(float)
        buys = scipy.special.digamma(alpha + beta) - scipy.special.digamma(alpha + beta + periods)
        leaves = scipy.special.digamma(gamma + delta) - scipy.special.digamma(gamma + delta + periods + left)
        slopes = (
            buys + scipy.special.digamma(alpha + x) - scipy.special.digamma(alpha),
            buys + scipy.special.digamma(beta + periods - x) - scipy.special.digamma(beta),
            leaves + scipy.special.digamma(gamma + left) - scipy.special.digamma(gamma),
            leaves + scipy.special.digamma(delta + periods) - scipy.special.digamma(delta),
        )
        return float(self.share @ value), np.array([weight @ one for one in slopes]) * params


@dataclass(frozen=True)
class FittedBetaGeoBetaBinom(CountModel):
    """A fitted BG/BB; horizons are a number of periods."""

    kind: ClassVar[str] = "betageobetabinom"
    is_discrete: ClassVar[bool] = True

    def _params(self) -> Numbers:
        return np.array([self.params[name] for name in LETTERS])

    def alive(self, rows: Histories) -> Numbers:
        """Probability for each row to be alive at the end of the last period, 0 to 1."""
        _check_whole_periods(rows)
        likelihood = _Likelihood.of(rows)
        _, part = likelihood.summed(self._params())
        alive = np.bincount(likelihood.row[likelihood.is_now], part[likelihood.is_now], len(rows.T))
        return alive.astype(np.float64)

    def _survival(self, rows: Histories, periods: int) -> Numbers:
        """Chance of somebody alive now to be alive in each of the periods to come: a row each, a column a period."""
        gamma, delta = self.params["gamma"], self.params["delta"]
        ahead = rows.T[:, None] + np.arange(1, periods + 1)
        return np.exp(scipy.special.betaln(gamma, delta + ahead) - scipy.special.betaln(gamma, delta + rows.T)[:, None])

    def expected(self, rows: Histories, horizon: float) -> Numbers:
        """Expected periods with an order of each row in a number of periods."""
        buys = (self.params["alpha"] + rows.frequency) / (self.params["alpha"] + self.params["beta"] + rows.T)
        return self.alive(rows) * buys * self._survival(rows, _periods(horizon)).sum(axis=1)

    def purchase_probability(self, rows: Histories, horizon: float) -> Numbers:
        """Probability for each row of at least one order in a number of periods, 0 to 1."""
        return 1 - self.counts(rows, horizon, 1)[:, 0]

    def counts(self, rows: Histories, horizon: float, most: int) -> Numbers:
        """Probability for each row of 0, 1 ... `most` periods with an order or more; a row adds up to 1."""
        periods, alive = _periods(horizon), self.alive(rows)
        still = np.column_stack([np.ones(len(alive)), self._survival(rows, periods)])
        lives = still - np.column_stack([still[:, 1:], np.zeros(len(alive))])
        probabilities = np.zeros((len(alive), most + 1))
        a = self.params["alpha"] + rows.frequency
        b = self.params["beta"] + rows.T - rows.frequency
        for lived in range(periods + 1):
            for count in range(lived + 1):
                chance = np.exp(
                    scipy.special.betaln(a + count, b + lived - count)
                    - scipy.special.betaln(a, b)
                    - scipy.special.betaln(count + 1, lived - count + 1)
                    - np.log(lived + 1)
                )
                probabilities[:, min(count, most)] += lives[:, lived] * chance
        probabilities *= alive[:, None]
        probabilities[:, 0] += 1 - alive
        return probabilities

    def draw_orders(self, T: Numbers, rng: np.random.Generator) -> Iterator[tuple[Indices, Numbers]]:
        """Periods with an order of new customers until T: of each period, whose."""
        alpha, beta, gamma, delta = self._params()
        buys, leaves = rng.beta(alpha, beta, len(T)), rng.beta(gamma, delta, len(T))
        who = np.arange(len(T))
        for period in range(1, int(T.max(initial=0)) + 1):
            who = who[(rng.random(len(who)) >= leaves[who]) & (period <= T[who])]
            buying = who[rng.random(len(who)) < buys[who]]
            yield buying, np.full(len(buying), float(period))


def _periods(horizon: float) -> int:
    if horizon != round(horizon) or horizon < 0:
        raise ValueError(f"BG/BB looks ahead by whole periods, not {horizon:g}")
    return int(horizon)


@dataclass(frozen=True)
class BetaGeoBetaBinom(CountLearner[FittedBetaGeoBetaBinom]):
    """BG/BB, to be fitted to a summary of periods."""

    name: ClassVar[str] = "BG/BB"
    letters: ClassVar[Sequence[str]] = LETTERS
    in_time: ClassVar[Sequence[str]] = ()

    def objective(self, rows: Histories) -> Objective:
        """Mean log-likelihood of a customer. Raises ValueError for times that are no whole periods."""
        _check_whole_periods(rows)
        return _Likelihood.of(rows)

    def start(self, rows: Histories) -> Numbers:  # noqa: ARG002 - the signature of all models
        """Uniform chances."""
        return np.zeros(4)

    def fitted_model(self, estimates: Estimates) -> FittedBetaGeoBetaBinom:
        """The fitted model."""
        return FittedBetaGeoBetaBinom(estimates)
