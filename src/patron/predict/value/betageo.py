"""BG/NBD: how many order days are to come, from how many there were and when (Fader, Hardie and Lee 2005).

While alive a customer orders at rate lambda ~ Gamma(r, alpha) and drops out after each repeat order with probability
p ~ Beta(a, b). `frequency` counts repeat order days, `recency` is days from the first to the last one, `T` days from
the first order to now. Times are in any one unit.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import minimize
from scipy.special import digamma, expit, gammaln

from patron.base.errors import NotEnoughData
from patron.predict.learner import Numbers

LOG_BOUND = 11.0
"""Parameters stay within exp(+-11) of the scaled data: a dimension that the data do not show stops there, finite."""
NODES = 48
FEWEST_CUSTOMERS = 10
NO_DROP_OUT = 0.005
"""Below this chance of dropping out at the first repeat order, a / (a + b), there is no drop-out to see."""


@dataclass(frozen=True)
class BetaGeo:
    """A fitted BG/NBD."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float = float("nan")

    @property
    def is_collapsed(self) -> bool:
        """Whether the fit says that nobody drops out: it is NBD then, and P(alive) means nothing."""
        return self.a / (self.a + self.b) < NO_DROP_OUT

    def probability_alive(self, frequency: Numbers, recency: Numbers, T: Numbers) -> Numbers:
        """Chance of not having dropped out, 0 to 1; always 1 without a repeat order, as the model has it."""
        x = np.maximum(frequency, 1.0)
        dead = np.log(self.a) - np.log(self.b + x - 1)
        dead = dead + (self.r + frequency) * (np.log(self.alpha + T) - np.log(self.alpha + recency))
        return np.where(frequency > 0, expit(-dead), 1.0)

    def expected_orders(self, frequency: Numbers, recency: Numbers, T: Numbers, *, horizon: float) -> Numbers:
        """Expected order days in the next `horizon`, by quadrature over the drop-out probability.

        E[(1 - (1 + p t / (alpha + T))^-(r + x)) / p] with p ~ Beta(a, b + x) has a positive, bounded integrand: unlike
        the hypergeometric form it stays finite at a = 1, a + b < 1 and for hundreds of orders.
        """
        expected = np.zeros(len(frequency))
        for x in np.unique(frequency):
            rows = frequency == x
            p, weight = beta_quadrature(self.a, self.b + x)
            stretch = horizon / (self.alpha + T[rows])
            orders = -np.expm1(-(self.r + x) * np.log1p(stretch[:, None] * p)) * (weight / p)
            # why not `@`: BLAS sums in an order that depends on how many rows there are, and one must equal many.
            expected[rows] = orders.sum(axis=1)
        return expected * self.probability_alive(frequency, recency, T)

    def probability_of_order(self, frequency: Numbers, recency: Numbers, T: Numbers, *, horizon: float) -> Numbers:
        """Chance of at least one order in the next `horizon`, 0 to 1; it ranks well even where P(alive) does not."""
        quiet = (self.r + frequency) * (np.log(self.alpha + T) - np.log(self.alpha + T + horizon))
        return -np.expm1(quiet) * self.probability_alive(frequency, recency, T)


def beta_quadrature(a: float, b: float, count: int = NODES) -> tuple[Numbers, Numbers]:
    """Gauss nodes in (0, 1) and weights summing to 1 for Beta(a, b), by Golub and Welsch: no overflow at any a, b."""
    alpha, beta = b - 1.0, a - 1.0
    n = np.arange(1, count)
    total = 2.0 * n + alpha + beta
    middle = np.empty(count)
    middle[0] = (beta - alpha) / (alpha + beta + 2)
    middle[1:] = (beta**2 - alpha**2) / (total * (total + 2))
    # n (n + alpha + beta) / (total - 1) is written out for n = 1, where both factors can vanish together.
    factor = np.ones(count - 1)
    factor[1:] = (n[1:] + alpha + beta) / (total[1:] - 1)
    side = 2 / total * np.sqrt(n * (n + alpha) * (n + beta) * factor / (total + 1))
    nodes, vectors = eigh_tridiagonal(middle, side)
    weights = vectors[0] ** 2
    return np.clip((1 + nodes) / 2, 1e-300, 1.0), weights / weights.sum()


def fit_beta_geo(frequency: Numbers, recency: Numbers, T: Numbers) -> BetaGeo:
    """Maximum likelihood from de-duplicated rows, with the analytic gradient in log-parameters.

    Raises NotEnoughData with fewer than ten customers.
    """
    if len(frequency) < FEWEST_CUSTOMERS:
        raise NotEnoughData(
            f"{len(frequency)} customers with an order", where="BG/NBD", todo="Import a longer history."
        )
    rows, counts = np.unique(np.column_stack([frequency, recency, T]), axis=0, return_counts=True)
    scale = max(float(np.average(rows[:, 2], weights=counts)), 1e-9)
    x, tx, age = rows[:, 0], rows[:, 1] / scale, rows[:, 2] / scale
    share = counts / counts.sum()
    found = minimize(
        _negative_mean,
        _start(x, age, share),
        args=(x, tx, age, share),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-LOG_BOUND, LOG_BOUND)] * 4,
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8, "maxls": 40},
    )
    r, alpha, a, b = np.exp(found.x)
    # The likelihood of times in the given unit: each repeat order's density is divided by the scale.
    log_likelihood = -float(found.fun) * counts.sum() - float(x @ counts) * np.log(scale)
    return BetaGeo(float(r), float(alpha * scale), float(a), float(b), float(log_likelihood))


def _start(x: Numbers, age: Numbers, share: Numbers) -> Numbers:
    """Moments of the orders per unit of time for r and alpha; a quarter of the customers dropping out per order."""
    rate = x / np.maximum(age, 1e-3)
    mean = max(float(share @ x) / max(float(share @ age), 1e-9), 1e-3)
    spread = max(float(share @ (rate - mean) ** 2), mean * 0.1)
    r = np.clip(mean**2 / spread, 0.1, 5.0)
    return np.log([r, r / mean, 0.8, 2.4])


def _negative_mean(logs: Numbers, x: Numbers, tx: Numbers, T: Numbers, share: Numbers) -> tuple[float, Numbers]:
    """Negative mean log-likelihood and its gradient in the logs of r, alpha, a, b."""
    r, alpha, a, b = np.exp(logs)
    repeat = x > 0
    known = np.maximum(x, 1.0)
    log_T, log_tx = np.log(alpha + T), np.log(alpha + tx)
    alive = -(r + x) * log_T
    dropped = np.where(repeat, np.log(a) - np.log(b + known - 1) - (r + x) * log_tx, -np.inf)
    both = np.logaddexp(alive, dropped)
    orders = gammaln(r + x) - gammaln(r) + r * logs[1]
    staying = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    dead = np.exp(dropped - both)
    d_r = digamma(r + x) - digamma(r) + logs[1] - (1 - dead) * log_T - dead * log_tx
    d_alpha = r / alpha - (r + x) * ((1 - dead) / (alpha + T) + dead / (alpha + tx))
    shared = digamma(a + b) - digamma(a + b + x)
    d_a = shared + dead / a
    d_b = shared + digamma(b + x) - digamma(b) - np.where(repeat, dead / (b + known - 1), 0.0)
    gradient = np.array([share @ d_r * r, share @ d_alpha * alpha, share @ d_a * a, share @ d_b * b])
    return -float(share @ (orders + staying + both)), -gradient
