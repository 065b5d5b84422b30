"""Gamma-Gamma: the mean spend of an order, from how many there were and their mean (Fader and Hardie 2013).

Each order's spend is Gamma(p, nu) and nu ~ Gamma(q, v) over customers, independent of how often they order.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from patron.base.errors import NotEnoughData
from patron.predict.learner import Numbers

LOG_BOUND = 12.0
FEWEST_CUSTOMERS = 10


@dataclass(frozen=True)
class GammaGamma:
    """A fitted Gamma-Gamma; `observed_mean` is the mean spend of the customers it was fitted to."""

    p: float
    q: float
    v: float
    observed_mean: float
    log_likelihood: float = float("nan")

    @property
    def has_infinite_mean(self) -> bool:
        """Whether q <= 1: the model's mean over customers is infinite, and the observed mean stands in for it."""
        return self.q <= 1

    @property
    def population_mean(self) -> float:
        """Expected spend of an order by an unknown customer, in the unit of the data."""
        return self.observed_mean if self.has_infinite_mean else self.p * self.v / (self.q - 1)

    def expected_spend(self, count: Numbers, mean: Numbers) -> Numbers:
        """Expected spend of an order given `count` orders of this `mean`; without orders, the population's. Never < 0.

        It is the weighted mean of the population's mean and the customer's own with weights q - 1 and p * count; with
        q <= 1 the population's weight is 0 and the customer's own mean stands alone.
        """
        own = self.p * np.maximum(count, 0.0)
        prior = max(self.q - 1, 0.0)
        known = (count > 0) & (mean > 0)
        share = np.where(known, own / np.maximum(own + prior, 1e-300), 0.0)
        return share * np.where(known, mean, 0.0) + (1 - share) * self.population_mean


def fit_gamma_gamma(count: Numbers, mean: Numbers) -> GammaGamma:
    """Maximum likelihood over customers with at least one order and a mean spend above zero.

    Raises NotEnoughData with fewer than ten of them.
    """
    keep = (count > 0) & (mean > 0)
    if keep.sum() < FEWEST_CUSTOMERS:
        raise NotEnoughData(f"{keep.sum()} customers with a spend", where="Gamma-Gamma", todo="Import more orders.")
    x, scale = count[keep], float(np.average(mean[keep]))
    z = mean[keep] / scale
    found = minimize(
        _negative_mean,
        np.log([3.0, 3.0, 1.0]),
        args=(x, z),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-LOG_BOUND, LOG_BOUND)] * 3,
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8, "maxls": 40},
    )
    p, q, v = np.exp(found.x)
    log_likelihood = -float(found.fun) * len(x) - len(x) * np.log(scale)
    return GammaGamma(float(p), float(q), float(v * scale), scale, float(log_likelihood))


def _negative_mean(logs: Numbers, x: Numbers, z: Numbers) -> tuple[float, Numbers]:
    """Negative mean log-likelihood and its gradient in the logs of p, q, v."""
    p, q, v = np.exp(logs)
    px, log_z, log_sum = p * x, np.log(z), np.log(v + x * z)
    likelihood = gammaln(px + q) - gammaln(px) - gammaln(q) + q * logs[2]
    likelihood = likelihood + (px - 1) * log_z + px * np.log(x) - (px + q) * log_sum
    d_p = x * (digamma(px + q) - digamma(px) + log_z + np.log(x) - log_sum)
    d_q = digamma(px + q) - digamma(q) + logs[2] - log_sum
    d_v = q / v - (px + q) / (v + x * z)
    return -float(likelihood.mean()), -np.array([d_p.mean() * p, d_q.mean() * q, d_v.mean() * v])
