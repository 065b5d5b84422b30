"""Pareto/NBD: buyers who order at a rate of their own and may leave at any time (Schmittlein, Morrison, Colombo 1987).

Orders are Poisson with rate lambda ~ Gamma(r, alpha), and the time until a customer leaves is exponential with rate
mu ~ Gamma(s, beta). The likelihood needs no hypergeometric function: what is unknown, when a customer left, is summed
over by quadrature of an integrand above zero, in the logarithm of time, which stays finite and exact where the usual
form gives NaN.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from patron.clv.count_model import CountLearner, CountModel, poisson_orders
from patron.clv.distinct_histories import DistinctValues, Histories, Indices
from patron.clv.maximum_likelihood import Estimates, Objective, digamma
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

LETTERS = ("r", "alpha", "s", "beta")
Law = tuple[float, float, float, float]
"""r, alpha, s, beta."""
MORE_NODES = 40
"""For counts of orders, where a number of them has to come before a customer leaves."""
FOLDS = 25.0
"""What lies beyond so many folds by e of the integrand is nothing."""
START = np.log([0.6, 0.9, 0.6, 0.5])
"""Where fits begin, times in units of their mean."""
COUNTS = (4, 6, 10, 14, 20)
STEPS = np.array([0.5, 1.5, 6.0, 14.0])
"""Folds that each number of nodes but the last is exact over; the last is over FOLDS."""
RULES = tuple(np.polynomial.legendre.leggauss(count) for count in COUNTS)
FIRSTS = np.cumsum([0, *COUNTS])
"""Where the nodes of each number begin."""
NODES = np.concatenate([nodes for nodes, _ in RULES])
WEIGHTS = np.concatenate([weights for _, weights in RULES])
MORE = np.polynomial.legendre.leggauss(MORE_NODES)


@kernel(nogil=True)
def dropout_integral(
    alpha: float, beta: float, size: float, s: float, start: float, end: float
) -> tuple[float, float, float, float, float]:
    """Logarithm of the integral of (alpha + y)^-size (beta + y)^-(s + 1) over [start, end], and weighted means.

    The means, with the integrand as weight, are of ln(alpha + y), 1 / (alpha + y), ln(beta + y) and 1 / (beta + y):
    they make the gradient.
    """
    base = min(alpha, beta)
    low, high = math.log(base + start), math.log(base + end)
    # Per unit of ln(base + y) the integrand falls by so much at the start, and faster towards the end.
    fall = size * (base + start) / (alpha + start) + (s + 1) * (base + start) / (beta + start) - 1
    if fall > 0:
        high = min(high, low + FOLDS / fall)
    half = (high - low) / 2
    if half <= 0:
        return -math.inf, 0.0, 0.0, 0.0, 0.0
    steepest = size * (base + end) / (alpha + end) + (s + 1) * (base + end) / (beta + end)
    folds = 2 * half * steepest
    rule = 0
    while rule < len(STEPS) and folds >= STEPS[rule]:
        rule += 1
    is_alpha = base == alpha
    top = -math.inf
    total = sum_log_a = sum_a = sum_log_b = sum_b = 0.0
    for n in range(FIRSTS[rule], FIRSTS[rule + 1]):
        w = low + half * (1 + NODES[n])
        y = math.exp(w) - base
        a, b = alpha + y, beta + y
        log_a, log_b = (w, math.log(b)) if is_alpha else (math.log(a), w)
        height = w - size * log_a - (s + 1) * log_b
        if height > top:  # the first is the highest but for the smallest sizes
            shrink = math.exp(top - height) if total > 0 else 0.0
            total, sum_log_a, sum_a = total * shrink, sum_log_a * shrink, sum_a * shrink
            sum_log_b, sum_b = sum_log_b * shrink, sum_b * shrink
            top = height
        part = WEIGHTS[n] * math.exp(height - top)
        total += part
        sum_log_a += part * log_a
        sum_a += part / a
        sum_log_b += part * log_b
        sum_b += part / b
    return top + math.log(total * half), sum_log_a / total, sum_a / total, sum_log_b / total, sum_b / total


@kernel(nogil=True)
def likelihood(law: Law, x: float, tx: float, T: float) -> tuple[float, float, float, float, float, float]:
    """Of one history: log-likelihood without gamma functions, slopes in r, alpha, s and beta, and log P(alive)."""
    r, alpha, s, beta = law
    size = r + x
    log_aT, log_bT = math.log(alpha + T), math.log(beta + T)
    alive = -size * log_aT - s * log_bT
    dead = -math.inf
    log_a = 0.0
    a = 0.0
    log_b = 0.0
    b = 0.0
    if tx < T:
        left, log_a, a, log_b, b = dropout_integral(alpha, beta, size, s, tx, T)
        dead = math.log(s) + left
    high, low = (alive, dead) if alive >= dead else (dead, alive)
    gap = math.exp(low - high)
    both = high + math.log1p(gap)
    gone = (gap if alive >= dead else 1.0) / (1 + gap)
    stays = 1 - gone
    log_alpha = math.log(alpha)
    log_beta = math.log(beta)
    return (
        both + r * log_alpha + s * log_beta,
        log_alpha - stays * log_aT - gone * log_a,
        r / alpha - size * (stays / (alpha + T) + gone * a),
        log_beta - stays * log_bT - gone * log_b + gone / s,
        s / beta - stays * s / (beta + T) - gone * (s + 1) * b,
        alive - both,
    )


@kernel(nogil=True)
def likelihoods(
    r: float, s: float, alpha: Numbers, beta: Numbers, history: tuple[Numbers, Numbers, Numbers]
) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers, Numbers]:
    """As `likelihood`, one array for each of its results; alpha and beta differ by row."""
    x, tx, T = history
    terms = np.empty((6, len(x)))
    for n in range(len(x)):
        value, d_r, d_alpha, d_s, d_beta, alive = likelihood((r, alpha[n], s, beta[n]), x[n], tx[n], T[n])
        terms[0, n] = value
        terms[1, n] = d_r
        terms[2, n] = d_alpha
        terms[3, n] = d_s
        terms[4, n] = d_beta
        terms[5, n] = alive
    return terms[0], terms[1], terms[2], terms[3], terms[4], terms[5]


@kernel(nogil=True)
def _sums(
    law: Law, history: tuple[Numbers, Numbers, Numbers], share: Numbers, values: Numbers, place: Indices
) -> tuple[float, float, float, float, float]:
    """Weighted sums over rows: log-likelihood, and its slopes in r, alpha, s and beta."""
    r = law[0]
    x = history[0]
    tx = history[1]
    T = history[2]
    gammas, d_gammas = np.empty(len(values)), np.empty(len(values))
    for n in range(len(values)):
        gammas[n], d_gammas[n] = math.lgamma(r + values[n]) - math.lgamma(r), digamma(r + values[n]) - digamma(r)
    value = d_r = d_alpha = d_s = d_beta = 0.0
    for n in range(len(x)):
        terms = likelihood(law, x[n], tx[n], T[n])
        value += share[n] * (terms[0] + gammas[place[n]])
        d_r += share[n] * (terms[1] + d_gammas[place[n]])
        d_alpha += share[n] * terms[2]
        d_s += share[n] * terms[3]
        d_beta += share[n] * terms[4]
    return value, d_r, d_alpha, d_s, d_beta


@kernel(nogil=True)
def _quiet(size: Numbers, s: float, alpha: Numbers, beta: Numbers, horizon: float) -> Numbers:
    """Probability of no order in a horizon, of customers who are alive at its start."""
    probabilities = np.empty(len(size))
    for n in range(len(size)):
        alive = size[n] * math.log(alpha[n] / (alpha[n] + horizon)) + s * math.log(beta[n] / (beta[n] + horizon))
        left, _, _, _, _ = dropout_integral(alpha[n], beta[n], size[n], s, 0.0, horizon)
        gone = left + math.log(s) + size[n] * math.log(alpha[n]) + s * math.log(beta[n])
        probabilities[n] = min(math.exp(alive) + math.exp(gone), 1.0)
    return probabilities


@kernel(nogil=True)
def _counts(size: Numbers, s: float, alpha: Numbers, beta: Numbers, horizon: float, most: int) -> Numbers:
    """Probability of 0, 1 ... `most` or more orders in a horizon, of customers who are alive at its start."""
    probabilities = np.zeros((len(size), most + 1))
    for n in range(len(size)):
        low, high = math.log(beta[n]), math.log(beta[n] + horizon)
        half = (high - low) / 2
        for node in range(MORE_NODES + 1):
            if node == MORE_NODES:
                until, chance = horizon, math.exp(s * (low - high))
            else:
                w = low + half * (1 + MORE[0][node])
                until = math.exp(w) - beta[n]
                chance = MORE[1][node] * half * s * math.exp(s * (low - w))
            q = until / (alpha[n] + until)
            part = math.exp(size[n] * math.log1p(-q))
            cumulated = 0.0
            for count in range(most):
                probabilities[n, count] += chance * part
                cumulated += part
                part *= (size[n] + count) / (count + 1) * q
            probabilities[n, most] += chance * max(1 - cumulated, 0.0)
        probabilities[n] /= probabilities[n].sum()
    return probabilities


@dataclass(frozen=True)
class FittedParetoNBD(CountModel):
    """A fitted Pareto/NBD."""

    kind: ClassVar[str] = "paretonbd"

    def rates(self, rows: Histories) -> tuple[float, Numbers, float, Numbers]:
        """r, alpha of each row, s, beta of each row."""
        r, alpha, s, beta = (self.params[name] for name in LETTERS)
        same = np.ones(len(rows.T))
        return r, alpha * same, s, beta * same

    def alive(self, rows: Histories) -> Numbers:
        """Probability for each row not to have left, 0 to 1."""
        r, alpha, s, beta = self.rates(rows)
        terms = likelihoods(r, s, alpha, beta, (rows.frequency, rows.recency, rows.T))
        return np.exp(np.minimum(terms[5], 0.0))

    def expected(self, rows: Histories, horizon: float) -> Numbers:
        """Expected orders of each row in a horizon: the rate now, over the time that is expected to be left of it."""
        r, alpha, s, beta = self.rates(rows)
        exposure = beta + rows.T
        # ((b / (b + u))^s integrated over the horizon; through s = 1 without a gap
        log_growth = np.log1p(horizon / exposure)
        power = (1 - s) * log_growth
        time = exposure * np.where(np.abs(power) < 1e-12, log_growth, np.expm1(power) / (1 - s if s != 1 else 1.0))
        return (r + rows.frequency) / (alpha + rows.T) * time * self.alive(rows)

    def purchase_probability(self, rows: Histories, horizon: float) -> Numbers:
        """Probability for each row of at least one order in a horizon, 0 to 1."""
        r, alpha, s, beta = self.rates(rows)
        quiet = _quiet(r + rows.frequency, s, alpha + rows.T, beta + rows.T, float(horizon))
        return (1 - quiet) * self.alive(rows)

    def counts(self, rows: Histories, horizon: float, most: int) -> Numbers:
        """Probability for each row of 0, 1 ... `most` orders or more in a horizon; a row adds up to 1."""
        r, alpha, s, beta = self.rates(rows)
        posteriors = (r + rows.frequency, s, alpha + rows.T, beta + rows.T)
        alive = self.alive(rows)[:, None]
        probabilities = _counts(*posteriors, float(horizon), most) * alive
        probabilities[:, 0] += 1 - alive[:, 0]
        return probabilities

    def draw_orders(self, T: Numbers, rng: np.random.Generator) -> Iterator[tuple[Indices, Numbers]]:
        """Orders after the first of new customers until T: of the second orders, the third ..., whose and when."""
        r, alpha, s, beta = (self.params[name] for name in LETTERS)
        return draw_pareto_orders((r, np.full(len(T), alpha), s, np.full(len(T), beta)), T, rng)


def draw_pareto_orders(
    rates: tuple[float, Numbers, float, Numbers], T: Numbers, rng: np.random.Generator
) -> Iterator[tuple[Indices, Numbers]]:
    """As `FittedParetoNBD.draw_orders`; alpha and beta differ by customer."""
    r, alpha, s, beta = rates
    rate = rng.gamma(r, 1 / alpha)
    return poisson_orders(rate, np.minimum(T, rng.exponential(1 / rng.gamma(s, 1 / beta))), rng)


@dataclass(frozen=True)
class _Likelihood:
    """Mean log-likelihood of a customer in the logs of r, alpha, s, beta."""

    rows: Histories
    x: DistinctValues
    share: Numbers

    def __call__(self, logs: Numbers) -> tuple[float, Numbers]:
        r, alpha, s, beta = np.exp(logs)
        law = (float(r), float(alpha), float(s), float(beta))
        history = (self.rows.frequency, self.rows.recency, self.rows.T)
        value, *slopes = _sums(law, history, self.share, self.x.values, self.x.inverse)
        return value, np.array(slopes) * np.array([r, alpha, s, beta])


@dataclass(frozen=True)
class ParetoNBD(CountLearner[FittedParetoNBD]):
    """Pareto/NBD, to be fitted to a summary."""

    name: ClassVar[str] = "Pareto/NBD"
    letters: ClassVar[Sequence[str]] = LETTERS
    in_time: ClassVar[Sequence[str]] = ("alpha", "beta")

    def objective(self, rows: Histories) -> Objective:
        """Mean log-likelihood of a customer."""
        return _Likelihood(rows, DistinctValues.of(rows.frequency), rows.weight / rows.weight.sum())

    def start(self, rows: Histories) -> Numbers:  # noqa: ARG002 - the signature of all models
        """What fits many shops, times in units of their mean."""
        return START

    def fitted_model(self, estimates: Estimates) -> FittedParetoNBD:
        """The fitted model."""
        return FittedParetoNBD(estimates)
