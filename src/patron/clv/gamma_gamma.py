"""Gamma-Gamma: the mean spend of an order, from how many there were and their mean (Fader and Hardie 2013).

Each order's spend is Gamma(p, nu) and nu ~ Gamma(q, v) over customers, independent of how often they order; covariates
multiply the scale v of a customer. What the independence costs is measured and kept with the fit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import digamma, gammaln
from scipy.stats import spearmanr

from patron.clv.distinct_histories import FEWEST_CUSTOMERS, WEIGHT, Values, arrow, numbers
from patron.clv.maximum_likelihood import Estimates, covariance, maximised
from patron.schema.errors import NotEnoughData
from patron.schema.json_files import read_json, write_json
from patron.schema.numbers import Numbers

LETTERS = ("p", "q", "v")
START = np.log([3.0, 3.0, 1.0])


@dataclass(frozen=True)
class Independence:
    """Whether those who order more often spend more an order, which the model assumes they do not."""

    spearman: float
    """Rank correlation of frequency and mean spend, -1 to 1, of customers with a repeat order."""
    p_value: float
    """Chance of so large a correlation where there is none."""
    pearson: float

    @property
    def is_doubtful(self) -> bool:
        """Whether the correlation is larger than chance and than what does no harm (0.1)."""
        return self.p_value < 0.01 and abs(self.spearman) > 0.1


@dataclass(frozen=True)
class FittedGammaGamma:
    """A fitted Gamma-Gamma; `observed_mean` is the mean spend of the customers it was fitted to."""

    estimates: Estimates
    observed_mean: float
    independence: Independence | None = None
    covariates: tuple[str, ...] = ()

    kind: ClassVar[str] = "gammagamma"

    @property
    def params(self) -> dict[str, float]:
        """p, q, v, and the effect of each covariate on the logarithm of spend."""
        return dict(self.estimates.params)

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard error of each parameter; NaN where the data do not tell."""
        return self.estimates.standard_errors

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the mean spends, in the unit of money."""
        return self.estimates.log_likelihood

    @property
    def has_infinite_mean(self) -> bool:
        """Whether q <= 1: the model's mean over customers is infinite, and the observed mean stands in for it."""
        return self.params["q"] <= 1

    @property
    def population_mean(self) -> float:
        """Expected spend of an order by an unknown customer whose covariates are 0, in the unit of the data."""
        p, q, v = (self.params[name] for name in LETTERS)
        return self.observed_mean if self.has_infinite_mean else p * v / (q - 1)

    def expected_spend(self, summary: Any) -> Numbers:
        """Expected spend of an order of each customer, from frequency, monetary_value and covariates; never below 0."""
        table = arrow(summary)
        seen = (numbers(table, "frequency"), numbers(table, "monetary_value"))
        return self.expected_of(*seen, self.effect_of(table))

    def effect_of(self, summary: Any) -> Numbers:
        """Factor by which the covariates of each customer multiply the scale of spend."""
        table = arrow(summary)
        logs = [self.params[name] * numbers(table, name) for name in self.covariates]
        return np.exp(np.sum([np.zeros(table.num_rows), *logs], axis=0))

    def expected_of(self, count: Numbers, mean: Numbers, effect: Numbers | float = 1.0) -> Numbers:
        """Expected spend of an order given `count` orders of this `mean`; without orders, the population's. Never < 0.

        It is the weighted mean of the population's mean and the customer's own with weights q - 1 and p * count; with
        q <= 1 the population's weight is 0 and the customer's own mean stands alone.
        """
        p, q, _ = (self.params[name] for name in LETTERS)
        own, prior = p * np.maximum(count, 0.0), max(q - 1, 0.0)
        known = (count > 0) & (mean > 0)
        share = np.where(known, own / np.maximum(own + prior, 1e-300), 0.0)
        return share * np.where(known, mean, 0.0) + (1 - share) * self.population_mean * effect

    def simulate(self, count: Numbers, rng: np.random.Generator) -> Numbers:
        """Mean spend of new customers with so many orders; 0 for those with none."""
        p, q, v = (self.params[name] for name in LETTERS)
        nu = rng.gamma(q, 1 / v, len(count))
        return np.where(count > 0, rng.gamma(p * np.maximum(count, 1), 1.0) / nu / np.maximum(count, 1), 0.0)

    def saved(self) -> dict[str, Any]:
        """The model as JSON can hold it."""
        told = None if self.independence is None else vars(self.independence)
        own = {"observed_mean": self.observed_mean, "independence": told, "covariates": list(self.covariates)}
        return {"kind": self.kind, "estimates": self.estimates.saved(), **own}

    @classmethod
    def restored(cls, saved: Mapping[str, Any]) -> Self:
        """What `saved` gave."""
        told = saved["independence"]
        independence = None if told is None else Independence(**told)
        return cls(
            Estimates.restored(saved["estimates"]), saved["observed_mean"], independence, tuple(saved["covariates"])
        )

    def save(self, path: Path) -> None:
        """Write the model as JSON."""
        write_json(path, self.saved())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls.restored(read_json(path))


@dataclass(frozen=True)
class GammaGamma:
    """Gamma-Gamma, to be fitted to customers with a repeat order and a mean spend above zero."""

    covariates: Sequence[str] = ()
    """Columns of the summary that multiply spend: numbers, best about 0 and of size 1."""

    def fit(self, summary: Any) -> FittedGammaGamma:
        """Maximum likelihood. Raises NotEnoughData with fewer than ten such customers."""
        table = arrow(summary)
        count, mean = numbers(table, "frequency"), numbers(table, "monetary_value")
        weight = numbers(table, WEIGHT) if WEIGHT in table.column_names else np.ones(table.num_rows)
        given = [numbers(table, name) for name in self.covariates]
        return fit_spend(count, mean, weight, dict(zip(self.covariates, given, strict=True)))


def fit_spend(
    count: Numbers, mean: Numbers, weight: Numbers | None = None, covariates: Mapping[str, Numbers] | None = None
) -> FittedGammaGamma:
    """As `GammaGamma.fit`, from the number of orders and their mean. Raises NotEnoughData."""
    weight = np.ones(len(count)) if weight is None else weight
    keep = (count > 0) & (mean > 0) & (weight > 0)
    if weight[keep].sum() < FEWEST_CUSTOMERS:
        raise NotEnoughData(
            f"{weight[keep].sum():g} customers with a spend", where="Gamma-Gamma", todo="Import more orders."
        )
    x, share = count[keep], weight[keep] / weight[keep].sum()
    scale = float(share @ mean[keep])
    names = tuple(covariates or ())
    design = np.column_stack([column[keep] for column in (covariates or {}).values()]) if names else None
    objective = _Likelihood(Values.of(x), x, mean[keep] / scale, share, design)
    start, free = np.concatenate([START, np.zeros(len(names))]), (False,) * 3 + (True,) * len(names)
    at, second = maximised(objective, start, free=free)
    value, _ = objective(at)
    customers = float(weight[keep].sum())
    p, q, v = np.exp(at[:3])
    params = {"p": float(p), "q": float(q), "v": float(v * scale)}
    params |= {name: float(effect) for name, effect in zip(names, at[3:], strict=True)}
    log_likelihood = value * customers - customers * math.log(scale)
    estimates = Estimates(
        params, float(log_likelihood), covariance(second, at, customers), customers, tuple(not one for one in free)
    )
    return FittedGammaGamma(estimates, scale, _independence(x, mean[keep]), names)


def _independence(count: Numbers, mean: Numbers) -> Independence | None:
    if len(count) < FEWEST_CUSTOMERS or np.ptp(count) == 0 or np.ptp(mean) == 0:
        return None
    found = spearmanr(count, mean)
    return Independence(float(found.statistic), float(found.pvalue), float(np.corrcoef(count, mean)[0, 1]))


@dataclass(frozen=True)
class _Likelihood:
    """Mean log-likelihood of a mean spend in the logs of p, q and v, and the effects of covariates."""

    counts: Values
    x: Numbers
    z: Numbers
    share: Numbers
    design: Numbers | None

    def __call__(self, at: Numbers) -> tuple[float, Numbers]:
        p, q, v = np.exp(at[:3])
        own = v * np.exp(self.design @ at[3:]) if self.design is not None else v
        log_own = at[2] + (self.design @ at[3:] if self.design is not None else 0.0)
        distinct = p * self.counts.values
        gammas = (gammaln(distinct + q) - gammaln(distinct) - gammaln(q))[self.counts.place]
        both = digamma(distinct + q)
        d_gamma_p = (self.counts.values * (both - digamma(distinct)))[self.counts.place]
        d_gamma_q = (both - digamma(q))[self.counts.place]
        px, log_z, log_x, log_sum = p * self.x, np.log(self.z), np.log(self.x), np.log(own + self.x * self.z)
        value = gammas + q * log_own + (px - 1) * log_z + px * log_x - (px + q) * log_sum
        d_p = d_gamma_p + self.x * (log_z + log_x - log_sum)
        d_q = d_gamma_q + log_own - log_sum
        d_own = q - (px + q) * own / (own + self.x * self.z)
        slopes = [np.dot(self.share, d_p) * p, np.dot(self.share, d_q) * q, np.dot(self.share, d_own)]
        if self.design is not None:
            slopes += list((self.share * d_own) @ self.design)
        return float(self.share @ value), np.array(slopes)
