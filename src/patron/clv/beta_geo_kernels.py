"""Numbers behind BG/NBD and its kin: the likelihood with its gradient, and forecasts, row by row in compiled loops."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from patron.clv.distinct_histories import DistinctValues, Histories, Indices
from patron.clv.maximum_likelihood import digamma
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

NEGLIGIBLE = 1e-17
MANY_PHASES = 20_000.0
"""With more expected in a horizon, their sum is taken as an integral."""
GRID = 2_000
NEAR = 1e-4


@dataclass(frozen=True)
class BetaGeoLikelihood:
    """Mean log-likelihood of a customer in the logs of r, alpha, a, b; what depends on one column only is shared."""

    k: int
    first_too: bool
    """Whether customers may leave after their first order."""
    x: DistinctValues
    tx: DistinctValues
    T: DistinctValues
    log_rest: Numbers
    """Logarithm of the time since the last order."""
    share: Numbers

    @classmethod
    def of(cls, rows: Histories, k: int, *, first_too: bool) -> Self:
        """Prepare the columns of rows."""
        with np.errstate(divide="ignore"):
            rest = np.log(np.maximum(rows.T - rows.recency, 0.0))
        values = (DistinctValues.of(rows.frequency), DistinctValues.of(rows.recency), DistinctValues.of(rows.T))
        return cls(k, first_too, *values, rest, rows.weight / rows.weight.sum())

    def __call__(self, logs: Numbers) -> tuple[float, Numbers]:
        """Mean, and its slopes."""
        params = np.exp(logs)
        x = self.x
        tx = self.tx
        T = self.T
        kind = (self.k, float(self.first_too))
        values, places = (x.values, tx.values, T.values), (x.inverse, tx.inverse, T.inverse)
        sums = _weighted_sums(params, kind, values, places, self.log_rest, self.share)
        return float(sums[0]), sums[1:] * params


@kernel()
def _order_terms(r: float, alpha: float, k: int, x: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Of each count of orders: its logarithms of gamma functions with their slopes in r, and those of j phases more."""
    orders, d_orders = np.empty(len(x)), np.empty(len(x))
    passed, d_passed = np.empty((len(x), k)), np.empty((len(x), k))
    for n in range(len(x)):
        size = r + k * x[n]
        orders[n] = math.lgamma(size) - math.lgamma(r) + r * math.log(alpha)
        d_orders[n] = digamma(size) - digamma(r) + math.log(alpha)
        for j in range(k):
            passed[n, j] = math.lgamma(size + j) - math.lgamma(size) - math.lgamma(j + 1.0)
            d_passed[n, j] = digamma(size + j) - digamma(size)
    return orders, d_orders, passed, d_passed


@kernel()
def _leaving_terms(a: float, b: float, first: float, x: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers]:
    """Of each count of orders: log chance to have stayed, and to have left after the last; slopes in a, b, b then."""
    staying, leaving = np.empty(len(x)), np.full(len(x), -np.inf)
    d_a = np.empty(len(x))
    d_b = np.empty(len(x))
    d_b_left = np.zeros(len(x))
    both, log_ab = digamma(a + b), math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    for n in range(len(x)):
        stayed = b + x[n] + first
        staying[n] = math.lgamma(a) + math.lgamma(stayed) - math.lgamma(a + stayed) - log_ab
        d_a[n] = both - digamma(a + stayed)
        d_b[n] = d_a[n] + digamma(stayed) - digamma(b)
        if x[n] > 0 or first > 0:
            leaving[n] = math.lgamma(a + 1) + math.lgamma(stayed - 1) - math.lgamma(a + stayed) - log_ab
            d_b_left[n] = d_a[n] + digamma(stayed - 1) - digamma(b)
    return staying, leaving, d_a, d_b, d_b_left


@kernel()
def _weighted_sums(
    params: Numbers,
    kind: tuple[int, float],
    values: tuple[Numbers, Numbers, Numbers],
    places: tuple[Indices, Indices, Indices],
    log_rest: Numbers,
    share: Numbers,
) -> Numbers:
    """Weighted sums over rows: log-likelihood, and its slopes in r, alpha, a and b."""
    r = params[0]
    alpha = params[1]
    a = params[2]
    b = params[3]
    k, first = kind
    x, tx, T = values
    x_place, tx_place, T_place = places
    log_tx, log_T = np.log(alpha + tx), np.log(alpha + T)
    orders, d_orders, passed, d_passed = _order_terms(r, alpha, k, x)
    staying, leaving, d_a, d_b, d_b_left = _leaving_terms(a, b, first, x)
    sums = np.zeros(5)
    left = 0.0
    for n in range(len(x_place)):
        at, weight = x_place[n], share[n]
        size = r + k * x[at]
        in_T, in_tx = log_T[T_place[n]], log_tx[tx_place[n]]
        per_T, per_tx = 1 / (alpha + T[T_place[n]]), 1 / (alpha + tx[tx_place[n]])
        log_passed = 0.0
        d_r = -in_T
        d_alpha = size * per_T
        if k > 1 and log_rest[n] > -1e300:
            total = d_r = d_alpha = 0.0
            for j in range(k):
                part = math.exp(passed[at, j] + j * (log_rest[n] - in_T))
                total += part
                d_r += part * (d_passed[at, j] - in_T)
                d_alpha += part * (size + j) * per_T
            log_passed, d_r, d_alpha = math.log(total), d_r / total, d_alpha / total
        log_alive = staying[at] - size * in_T + log_passed
        log_dead = leaving[at] - size * in_tx
        is_alive = log_alive >= log_dead
        high, low = (log_alive, log_dead) if is_alive else (log_dead, log_alive)
        gap = math.exp(low - high)
        dead = (gap if is_alive else 1.0) / (1.0 + gap)
        sums[0] += weight * (orders[at] + high + math.log1p(gap))
        sums[1] += weight * (d_orders[at] + (1 - dead) * d_r - dead * in_tx)
        sums[2] -= weight * ((1 - dead) * d_alpha + dead * size * per_tx)
        sums[3] += weight * d_a[at]
        sums[4] += weight * ((1 - dead) * d_b[at] + dead * d_b_left[at])
        left += weight * dead
    sums[2] += r / alpha
    sums[3] += left / a
    return sums


@kernel()
def _phases(r: float, alpha: float, k: int, history: tuple[float, float, float]) -> Numbers:
    """Chance that j < k phases have passed since an alive customer's last order: it follows from the quiet time."""
    x, rest, T = history
    shares = np.empty(k)
    shares[0] = 1.0
    for j in range(1, k):
        shares[j] = shares[j - 1] * (r + k * x + j - 1) / j * rest / (alpha + T)
    return shares / shares.sum()


@kernel()
def _gained(orders: float, a: float, b: float) -> float:
    """Expected orders of somebody who would place so many if they did not leave after one of them: a smooth function.

    It is the sum of the chances to be there for each, which has a closed form; at a = 1 that is 0 / 0, and near it
    too close to 0 / 0, so the values on both sides are averaged there.
    """
    if orders <= 1:
        return orders
    if abs(a - 1) < NEAR:
        return (_gained(orders, 1 - 2 * NEAR, b) + _gained(orders, 1 + 2 * NEAR, b)) / 2
    # The first order is for certain; for the others b is one more, and a + b above 1.
    more, left = b + 1, orders - 1
    there = math.lgamma(more + left) - math.lgamma(more) + math.lgamma(a + b) - math.lgamma(a + b + left)
    return 1 - b / (a - 1) * math.expm1(there)


@kernel()
def _many_orders_gained(
    size: float, odds: float, k: int, phase: int, leaving: tuple[float, float]
) -> tuple[float, float]:
    """As `_orders_gained` where so many phases come that their number is nearly the gamma that it is Poisson about."""
    low, high = -math.log(odds) - 3, math.log(size + 12 * math.sqrt(size) + 40)
    step, total = (high - low) / GRID, 0.0
    for n in range(GRID):
        log_rate = low + (n + 0.5) * step
        rate = math.exp(log_rate)
        density = math.exp(size * log_rate - rate - math.lgamma(size))
        total += density * step * _gained((odds * rate + phase) / k, leaving[0], leaving[1])
    none, chance = 0.0, math.exp(-size * math.log1p(odds))
    for phases in range(k - phase):
        none += chance
        chance *= (size + phases) / (phases + 1) * odds / (1 + odds)
    return total, none


@kernel()
def _orders_gained(size: float, odds: float, k: int, phase: int, leaving: tuple[float, float]) -> tuple[float, float]:
    """Expected orders and chance of none, of a customer in this phase: the phases to come are negative binomial.

    `odds` is the horizon in units of alpha + T. Every term is above zero, so nothing cancels; terms count from where
    they begin to matter, in units of the largest, so nothing overflows.
    """
    if size * odds > MANY_PHASES:
        return _many_orders_gained(size, odds, k, phase, leaving)
    a, b = leaving
    q = odds / (1 + odds)
    most = max(0, int((size - 1) * odds))
    phases, chance = most, 1.0
    while phases > 0 and chance > NEGLIGIBLE:
        chance *= phases / ((size + phases - 1) * q)
        phases -= 1
    gained = 0.0
    stays = 1.0
    counted = 0
    total = expected = none = 0.0
    while phases <= most or chance > NEGLIGIBLE:
        while counted < (phases + phase) // k:
            gained += stays
            stays *= (b + counted) / (a + b + counted)
            counted += 1
        total += chance
        expected += chance * gained
        none += chance if counted == 0 else 0.0
        chance *= (size + phases) / (phases + 1) * q
        phases += 1
    return expected / total, none / total


@kernel()
def expected_orders(
    law: tuple[float, float, float, int], b: Numbers, history: tuple[Numbers, Numbers, Numbers], horizon: float
) -> tuple[Numbers, Numbers]:
    """Expected orders in a horizon, and chance of none, of customers who are alive now; b counts the orders so far."""
    r, alpha, a, k = law
    x, rest, T = history
    expected, none = np.zeros(len(x)), np.zeros(len(x))
    for n in range(len(x)):
        shares = _phases(r, alpha, k, (x[n], rest[n], T[n]))
        for phase in range(k):
            orders, nothing = _orders_gained(r + k * x[n] + phase, horizon / (alpha + T[n]), k, phase, (a, b[n]))
            expected[n] += shares[phase] * orders
            none[n] += shares[phase] * nothing
    return expected, none


@kernel()
def count_probabilities(
    law: tuple[float, float, float, int],
    b: Numbers,
    history: tuple[Numbers, Numbers, Numbers],
    horizon: float,
    most: int,
) -> Numbers:
    """Probability of 0, 1 ... `most` or more orders in a horizon, of customers who are alive now."""
    r, alpha, a, k = law
    x, rest, T = history
    probabilities = np.zeros((len(x), most + 1))
    for n in range(len(x)):
        odds = horizon / (alpha + T[n])
        shares = _phases(r, alpha, k, (x[n], rest[n], T[n]))
        possible = np.zeros(most + 1)
        for phase in range(k):
            size, left = r + k * x[n] + phase, 1.0
            chance = math.exp(-size * math.log1p(odds))
            for phases in range(k * most - phase):
                possible[(phases + phase) // k] += shares[phase] * chance
                left -= chance
                chance *= (size + phases) / (phases + 1) * odds / (1 + odds)
            possible[most] += shares[phase] * max(left, 0.0)
        stays, beyond = 1.0, 1.0
        for count in range(most):
            beyond -= possible[count]
            leaves = 0.0 if count == 0 else stays * a / (a + b[n] + count - 1)
            if count > 0:
                stays *= (b[n] + count - 1) / (a + b[n] + count - 1)
            before = stays if count == 0 else stays + leaves
            probabilities[n, count] = possible[count] * before + max(beyond, 0.0) * leaves
        probabilities[n, most] = max(1.0 - probabilities[n, :most].sum(), 0.0)
    return probabilities
