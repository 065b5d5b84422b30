"""Buyers who may leave after an order: BG/NBD, MBG/NBD, and both for regular buyers (BG/CNBD-k, MBG/CNBD-k).

While alive a customer's orders are k phases apart; phases pass at rate lambda ~ Gamma(r, alpha), so with k = 1 orders
are Poisson and with larger k more regular. After each order (in the modified models after the first one too) they leave
with probability p ~ Beta(a, b). Sources: Fader, Hardie and Lee (2005), Marketing Science 24(2), for BG/NBD; Batislam,
Denizel and Filiztekin (2007) for MBG/NBD; Reutterer, Platzer and Schroeder (2021), IJRM 38(1), for the regular ones.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import scipy

from patron.clv.beta_geo_kernels import BetaGeoLikelihood, count_probabilities, expected_orders
from patron.clv.count_model import CountLearner, CountModel
from patron.clv.distinct_histories import Histories, Indices
from patron.clv.maximum_likelihood import Estimates, Objective
from patron.schema.numbers import Numbers

LETTERS = ("r", "alpha", "a", "b")
LOG_GAPS = "log_gaps"
"""Column of a summary that regular models need: the sum of the logarithms of the times between orders."""
MOST_REGULAR = 12


@dataclass(frozen=True)
class FittedBetaGeo(CountModel):
    """A fitted model of buyers who may leave after an order."""

    k: int = 1
    first_too: bool = False

    kind: ClassVar[str] = "betageo"

    def _letters(self) -> tuple[float, float, float, float]:
        r, alpha, a, b = (self.params[name] for name in LETTERS)
        return r, alpha, a, b

    def alive(self, rows: Histories) -> Numbers:
        """P(alive) of each row; without a repeat order 1 unless the first order counts too."""
        r, alpha, a, b = self._letters()
        x = rows.frequency
        size, phases = r + self.k * x, np.arange(self.k)
        with np.errstate(divide="ignore", invalid="ignore"):
            quiet = np.where(rows.recency < rows.T, np.log(np.maximum(rows.T - rows.recency, 0.0)), -np.inf)
            steps = np.where(phases == 0, 0.0, phases * (quiet - np.log(alpha + rows.T))[:, None])
        passed = (
            scipy.special.gammaln(size[:, None] + phases)
            - scipy.special.gammaln(size)[:, None]
            - scipy.special.gammaln(phases + 1.0)
            + steps
        )
        log_alive = np.logaddexp.reduce(passed, axis=1) - size * np.log(alpha + rows.T)
        log_dead = (
            np.log(a) - np.log(np.maximum(b + x + self.first_too - 1, 1e-300)) - size * np.log(alpha + rows.recency)
        )
        can_have_left = (x > 0) | self.first_too
        return np.where(can_have_left, 1 / (1 + np.exp(np.minimum(log_dead - log_alive, 700.0))), 1.0)

    def expected(self, rows: Histories, horizon: float) -> Numbers:
        """Expected orders of each row in a horizon."""
        return self._future_orders(rows, horizon)[0] * self.alive(rows)

    def purchase_probability(self, rows: Histories, horizon: float) -> Numbers:
        """Probability for each row of at least one order in a horizon; it ranks well even where P(alive) does not."""
        return (1 - self._future_orders(rows, horizon)[1]) * self.alive(rows)

    def _future_orders(self, rows: Histories, horizon: float) -> tuple[Numbers, Numbers]:
        if horizon <= 0:
            return np.zeros(len(rows.T)), np.ones(len(rows.T))
        return expected_orders(*self._now(rows), float(horizon))

    def _now(
        self, rows: Histories
    ) -> tuple[tuple[float, float, float, int], Numbers, tuple[Numbers, Numbers, Numbers]]:
        """What the future follows from: the law, b with the orders so far, and what was seen."""
        r, alpha, a, b = self._letters()
        history = (rows.frequency, rows.T - rows.recency, rows.T)
        return (r, alpha, a, self.k), b + rows.frequency + self.first_too, history

    def counts(self, rows: Histories, horizon: float, most: int) -> Numbers:
        """Probability for each row of 0, 1 ... `most` orders or more in a horizon; a row adds up to 1."""
        probabilities = count_probabilities(*self._now(rows), float(horizon), most)
        alive = self.alive(rows)[:, None]
        probabilities *= alive
        probabilities[:, 0] += 1 - alive[:, 0]
        return probabilities

    def draw_orders(self, T: Numbers, rng: np.random.Generator) -> Iterator[tuple[Indices, Numbers]]:
        """Orders after the first of new customers until T: of the second orders, the third ..., whose and when."""
        r, alpha, a, b = self._letters()
        rate, leaves = rng.gamma(r, 1 / alpha, len(T)), rng.beta(a, b, len(T))
        who, now = np.arange(len(T)), np.zeros(len(T))
        if self.first_too:
            who = who[rng.random(len(T)) >= leaves]
        while len(who):
            now[who] += rng.standard_gamma(self.k, len(who)) / rate[who]
            who = who[now[who] <= T[who]]
            yield who, now[who]
            who = who[rng.random(len(who)) >= leaves[who]]


class _BetaGeoLearner(CountLearner[FittedBetaGeo]):
    """What the four have in common: a regularity k, and whether the first order counts."""

    letters: ClassVar[Sequence[str]] = LETTERS
    in_time: ClassVar[Sequence[str]] = ("alpha",)
    first_too: ClassVar[bool]

    @property
    def regularity(self) -> int:
        """How regular orders are, k."""
        return 1

    def columns(self) -> Sequence[str]:
        """`log_gaps` where customers are regular."""
        return (LOG_GAPS,) if self.regularity > 1 else ()

    def objective(self, rows: Histories) -> Objective:
        """Mean log-likelihood of a customer, without what does not depend on the parameters."""
        return BetaGeoLikelihood.of(rows, self.regularity, first_too=self.first_too)

    def constant(self, rows: Histories, scale: float) -> float:
        """Each order's density is divided by the scale; gaps of regular buyers have a shape of their own."""
        k, orders = self.regularity, float(rows.frequency @ rows.weight)
        shape = 0.0 if k == 1 else (k - 1) * float(rows.extras[LOG_GAPS] @ rows.weight) - orders * math.lgamma(k)
        return shape - k * orders * math.log(scale)

    def start(self, rows: Histories) -> Numbers:
        """Method of moments on orders per unit of time for r and alpha; a quarter of customers leaving per order."""
        share = rows.weight / rows.weight.sum()
        rate = rows.frequency / np.maximum(rows.T, 1e-3)
        mean = max(float(share @ rows.frequency) / max(float(share @ rows.T), 1e-9), 1e-3)
        spread = max(float(share @ (rate - mean) ** 2), mean * 0.1)
        r = np.clip(mean**2 / spread, 0.1, 5.0)
        return np.log([r, r / (self.regularity * mean), 0.8, 2.4])

    def fitted_model(self, estimates: Estimates) -> FittedBetaGeo:
        """The fitted model."""
        return FittedBetaGeo(estimates, self.regularity, self.first_too)


@dataclass(frozen=True)
class BetaGeo(_BetaGeoLearner):
    """BG/NBD: a customer may leave after each repeat order."""

    name: ClassVar[str] = "BG/NBD"
    first_too: ClassVar[bool] = False


@dataclass(frozen=True)
class ModifiedBetaGeo(_BetaGeoLearner):
    """MBG/NBD: a customer may leave after each order, the first one too."""

    name: ClassVar[str] = "MBG/NBD"
    first_too: ClassVar[bool] = True


@dataclass(frozen=True)
class _RegularLearner(_BetaGeoLearner):
    """With k to be found."""

    k: int | None = None
    """Regularity: 1 is Poisson, larger is more regular. None takes the first that beats the next, up to 12."""

    @property
    def regularity(self) -> int:
        """How regular orders are, k."""
        return self.k or 1

    def fit_table(self, table: pa.Table) -> FittedBetaGeo:
        """As `fit`, of k too where it is None; needs the column log_gaps. Raises NotEnoughData, ValueError."""
        if self.k is not None:
            return super().fit_table(table)
        best = replace(self, k=1).fit_table(table)
        for k in range(2, MOST_REGULAR + 1):
            candidate = replace(self, k=k).fit_table(table)
            if candidate.log_likelihood <= best.log_likelihood:
                return best
            best = candidate
        return best

    def with_settings_for(self, summary: Any) -> Self:
        """With k as `fit` finds it."""
        return self if self.k is not None else replace(self, k=self.fit(summary).k)


@dataclass(frozen=True)
class RegularBetaGeo(_RegularLearner):
    """BG/CNBD-k: as BG/NBD, for customers who order at regular intervals."""

    name: ClassVar[str] = "BG/CNBD-k"
    first_too: ClassVar[bool] = False


@dataclass(frozen=True)
class RegularModifiedBetaGeo(_RegularLearner):
    """MBG/CNBD-k: as MBG/NBD, for customers who order at regular intervals."""

    name: ClassVar[str] = "MBG/CNBD-k"
    first_too: ClassVar[bool] = True
