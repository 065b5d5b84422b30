"""NBD: buyers who never leave and order at a rate of their own, lambda ~ Gamma(r, alpha) (Ehrenberg 1959)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from patron.clv.count_model import CountLearner, CountModel, poisson_orders
from patron.clv.distinct_histories import Histories, Indices
from patron.clv.maximum_likelihood import Estimates, Objective
from patron.schema.numbers import Numbers


@dataclass(frozen=True)
class FittedNBD(CountModel):
    """A fitted NBD."""

    kind: ClassVar[str] = "nbd"

    def alive(self, rows: Histories) -> Numbers:
        """1 for everybody."""
        return np.ones(len(rows.T))

    def expected(self, rows: Histories, horizon: float) -> Numbers:
        """Expected orders of each row in a horizon."""
        return horizon * (self.params["r"] + rows.frequency) / (self.params["alpha"] + rows.T)

    def purchase_probability(self, rows: Histories, horizon: float) -> Numbers:
        """Chance of each row of at least one order in a horizon, 0 to 1."""
        exposure = self.params["alpha"] + rows.T
        return -np.expm1(-(self.params["r"] + rows.frequency) * np.log1p(horizon / exposure))

    def counts(self, rows: Histories, horizon: float, most: int) -> Numbers:
        """Chance of each row of 0, 1 ... `most` orders or more in a horizon; a row adds up to 1."""
        exposure = self.params["alpha"] + rows.T
        law = scipy.stats.nbinom(self.params["r"] + rows.frequency[:, None], (exposure / (exposure + horizon))[:, None])
        return np.column_stack([law.pmf(np.arange(most)), law.sf(most - 1)])

    def draw_orders(self, T: Numbers, rng: np.random.Generator) -> Iterator[tuple[Indices, Numbers]]:
        """Orders after the first of new customers until T: of the second orders, the third ..., whose and when."""
        rate = rng.gamma(self.params["r"], 1 / self.params["alpha"], len(T))
        return poisson_orders(rate, T, rng)


@dataclass(frozen=True)
class NBD(CountLearner[FittedNBD]):
    """NBD, to be fitted to a summary; recency does not matter to it."""

    name: ClassVar[str] = "NBD"
    letters: ClassVar[Sequence[str]] = ("r", "alpha")
    in_time: ClassVar[Sequence[str]] = ("alpha",)

    def objective(self, rows: Histories) -> Objective:
        """Mean log-likelihood of a customer."""
        share = rows.weight / rows.weight.sum()

        def mean(logs: Numbers) -> tuple[float, Numbers]:
            r, alpha = np.exp(logs)
            size, log_exposure = r + rows.frequency, np.log(alpha + rows.T)
            value = scipy.special.gammaln(size) - scipy.special.gammaln(r) + r * logs[1] - size * log_exposure
            d_r = scipy.special.digamma(size) - scipy.special.digamma(r) + logs[1] - log_exposure
            d_alpha = r / alpha - size / (alpha + rows.T)
            return float(share @ value), np.array([share @ d_r * r, share @ d_alpha * alpha])

        return mean

    def start(self, rows: Histories) -> Numbers:  # noqa: ARG002 - the signature of all models
        """Half an order of a customer in the mean time."""
        return np.log([0.5, 1.0])

    def fitted_model(self, estimates: Estimates) -> FittedNBD:
        """The fitted model."""
        return FittedNBD(estimates)
