"""Pareto/NBD along a calendar that multiplies everybody's rates: its likelihood and forecasts, period by period.

While alive in a period with covariates z, a customer orders at lambda exp(g . z) and leaves at mu exp(d . z) (Bachmann,
Meierer and Naef 2021, Marketing Science 40(4), with covariates that all customers share). Let A(y) and B(y) be the
integrals of exp(g . z) and exp(d . z) from a customer's first order to y. With x orders after it, the last at tx, seen
until T, the likelihood is

    G(r + x) / G(r) alpha^r beta^s prod_j exp(g . z(t_j))
    * [(alpha + A(T))^-(r + x) (beta + B(T))^-s + s int_tx^T (alpha + A(y))^-(r + x) (beta + B(y))^-(s + 1) dB(y)]

In a period A grows by a a unit of time and B by b, both evenly: with (alpha + A) / a and (beta + B) / b for alpha and
beta, its part of the integral is that of the plain model, times a^-(r + x) b^-s, and so are the slopes: C(y), how A(y)
grows with an effect, is even too.
"""

import math
from typing import NamedTuple

import numpy as np

from patron.clv.pareto_nbd import MORE, MORE_NODES, Law, dropout_integral
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

NEGLIGIBLE = 40.0
"""Folds by e below the largest part of an integral at which the rest of it is nothing."""
FAR = 5.0
"""Folds by e below it at which it is worth to see whether that is so."""
MAX_LOG = 30.0
"""A period multiplies rates by no more than exp(+-30), whatever effects are tried."""


class RateMultipliers(NamedTuple):
    """Multipliers along a calendar, in a model's unit of time."""

    bounds: Numbers
    """Where each period begins, and where the last one ends."""
    orders: Numbers
    """What each period multiplies the rate of orders by, a."""
    leaving: Numbers
    """What each period multiplies the rate of leaving by, b."""
    log_orders: Numbers
    log_leaving: Numbers
    log_steepest: float
    """Logarithm of the largest multiplier of leaving."""
    z_orders: Numbers
    """Covariates of orders, a row a period."""
    z_leaving: Numbers

    @classmethod
    def of(
        cls, bounds: Numbers, orders: tuple[Numbers, Numbers], leaving: tuple[Numbers, Numbers]
    ) -> "RateMultipliers":
        """Of periods, with the covariates (a row a period) of orders and of leaving, and their effects."""
        is_new = np.ones(len(bounds), dtype=bool)
        both = np.column_stack([orders[0], leaving[0]])
        is_new[1:-1] = (both[1:] != both[:-1]).any(axis=1)  # why: what is alike is one period, and costs as one
        log_orders, z_orders = _multipliers(orders[0][is_new[:-1]], orders[1])
        log_leaving, z_leaving = _multipliers(leaving[0][is_new[:-1]], leaving[1])
        rates = (np.exp(log_orders), np.exp(log_leaving), log_orders, log_leaving, float(log_leaving.max()))
        return cls(bounds[is_new], *rates, z_orders, z_leaving)

    @property
    def integrals(self) -> tuple[Numbers, Numbers]:
        """Integrals of the multipliers of orders and of leaving from the calendar's beginning to each bound."""
        orders, leaving = (np.cumsum(one * np.diff(self.bounds)) for one in (self.orders, self.leaving))
        return np.concatenate([[0.0], orders]), np.concatenate([[0.0], leaving])


def _multipliers(z: Numbers, effects: Numbers) -> tuple[Numbers, Numbers]:
    """Logarithms of multipliers, and the covariates that move them: 0 where they are held within bounds."""
    wanted = z @ effects
    moving = np.where((np.abs(wanted) < MAX_LOG)[:, None], z, 0.0)
    return np.clip(wanted, -MAX_LOG, MAX_LOG), np.ascontiguousarray(moving)


@kernel(nogil=True)
def _place(multipliers: RateMultipliers, time: float) -> int:
    """Period of a point in time."""
    index = int(np.searchsorted(multipliers.bounds, time, side="right")) - 1
    return min(max(index, 0), len(multipliers.orders) - 1)


@kernel(nogil=True)
def _until(multipliers: RateMultipliers, p: int, end: float) -> float:
    """Where a stretch of time up to an end leaves a period; it does not leave the last one."""
    return min(multipliers.bounds[p + 1], end) if p + 1 < len(multipliers.orders) else end


@kernel(nogil=True)
def accumulated_rates(first: Numbers, last: Numbers, multipliers: RateMultipliers) -> tuple[Numbers, Numbers]:
    """A and B from one time to another: sums of what is above zero, where a difference of two sums would cancel."""
    orders, leaving = np.zeros(len(first)), np.zeros(len(first))
    for n in range(len(first)):
        now, p = first[n], _place(multipliers, first[n])
        while now < last[n]:
            until = _until(multipliers, p, last[n])
            orders[n] += multipliers.orders[p] * (until - now)
            leaving[n] += multipliers.leaving[p] * (until - now)
            now, p = until, p + 1
    return orders, leaving


@kernel(nogil=True)
def _grow(multipliers: RateMultipliers, p: int, length: float, grown: Numbers) -> None:
    """Add to the slopes of A and B in the effects what a stretch of a period adds."""
    effects = multipliers.z_orders.shape[1]
    for c in range(effects):
        grown[c] += multipliers.z_orders[p, c] * multipliers.orders[p] * length
    for c in range(effects, len(grown)):
        grown[c] += multipliers.z_leaving[p, c - effects] * multipliers.leaving[p] * length


@kernel(nogil=True)
def _add_gradient(
    multipliers: RateMultipliers,
    p: int,
    here: tuple[float, float, float, float, float, float],
    part: float,
    slopes: Numbers,
) -> None:
    """Add the slopes of a period's part of the integral in the effects; A and B begin as `here` and grow evenly.

    In the period C(y) = C + z (A(y) - A): the mean of C(y) / (alpha + A(y)) follows from that of 1 / (alpha + A(y)).
    """
    size, s, from_a, from_b, per_a, per_b = here
    effects = multipliers.z_orders.shape[1]
    for c in range(effects):
        z = multipliers.z_orders[p, c]
        slopes[0, c] -= part * size * (z + (slopes[1, c] - z * from_a) * per_a)
    for c in range(effects, slopes.shape[1]):
        z = multipliers.z_leaving[p, c - effects]
        slopes[0, c] += part * (z - (s + 1) * (z + (slopes[1, c] - z * from_b) * per_b))


@kernel(nogil=True)
def seasonal_dropout_integral(
    law: Law, span: tuple[float, float, float], multipliers: RateMultipliers, slopes: Numbers
) -> tuple[tuple[float, float, float, float, float], float, float]:
    """As `dropout_integral` with A, B for time and dB for dy, over a span (first order, start, end); law has r + x.

    Then alpha + A and beta + B at the end. The first row of `slopes` becomes the slopes of the logarithm in the effects
    on orders and on leaving, the second one those of A and B at the end.
    """
    size, from_a, s, from_b = law
    now, start, end = span
    slopes[:] = 0.0
    total = sum_log_a = sum_a = sum_log_b = sum_b = 0.0
    top = -math.inf
    height = 0.0
    is_over = False
    p = _place(multipliers, now)
    while now < end:
        until = _until(multipliers, p, end if now >= start else start)
        a = multipliers.orders[p]
        b = multipliers.leaving[p]
        length = until - now
        if height < top - FAR and not is_over:
            most = multipliers.log_steepest + math.log(end - now) - size * math.log(from_a) - (s + 1) * math.log(from_b)
            is_over = most < top - NEGLIGIBLE
        if now >= start and not is_over:
            height, log_a, per_a, log_b, per_b = dropout_integral(from_a / a, from_b / b, size, s, 0.0, length)
            height -= size * multipliers.log_orders[p] + s * multipliers.log_leaving[p]
            if height > top:
                shrink = math.exp(top - height) if total > 0 else 0.0
                total, sum_log_a, sum_a = total * shrink, sum_log_a * shrink, sum_a * shrink
                sum_log_b, sum_b = sum_log_b * shrink, sum_b * shrink
                slopes[0] *= shrink
                top = height
            part = math.exp(height - top) if top > -math.inf else 0.0
            total += part
            sum_log_a += part * (log_a + multipliers.log_orders[p])
            sum_a += part * per_a / a
            sum_log_b += part * (log_b + multipliers.log_leaving[p])
            sum_b += part * per_b / b
            _add_gradient(multipliers, p, (size, s, from_a, from_b, per_a / a, per_b / b), part, slopes)
        _grow(multipliers, p, length, slopes[1])
        from_a += a * length
        from_b += b * length
        if until == multipliers.bounds[p + 1]:
            p = min(p + 1, len(multipliers.orders) - 1)
        now = until
    if total == 0:
        return (-math.inf, 0.0, 0.0, 0.0, 0.0), from_a, from_b
    slopes[0] /= total
    means = (sum_log_a / total, sum_a / total, sum_log_b / total, sum_b / total)
    return (top + math.log(total), *means), from_a, from_b


@kernel(nogil=True)
def _seasonal_likelihood(
    law: Law, history: tuple[float, float, float], first: float, multipliers: RateMultipliers, slopes: Numbers
) -> tuple[float, float, float, float, float, float]:
    """As `likelihood`, without the multipliers at orders; the first row of `slopes` becomes the effects'."""
    r, alpha, s, beta = law
    x, tx, T = history
    size = r + x
    left, a_T, b_T = seasonal_dropout_integral(
        (size, alpha, s, beta), (first, first + tx, first + T), multipliers, slopes
    )
    dead, log_a, a, log_b, b = left
    dead += math.log(s)
    log_aT, log_bT = math.log(a_T), math.log(b_T)
    alive = -size * log_aT - s * log_bT
    high, low = (alive, dead) if alive >= dead else (dead, alive)
    gap = math.exp(low - high)
    both = high + math.log1p(gap)
    gone = (gap if alive >= dead else 1.0) / (1 + gap)
    stays = 1 - gone
    log_alpha = math.log(alpha)
    log_beta = math.log(beta)
    for c in range(slopes.shape[1]):
        per = size / a_T if c < multipliers.z_orders.shape[1] else s / b_T
        slopes[0, c] = gone * slopes[0, c] - stays * per * slopes[1, c]
    return (
        both + r * log_alpha + s * log_beta,
        log_alpha - stays * log_aT - gone * log_a,
        r / alpha - size * (stays / a_T + gone * a),
        log_beta - stays * log_bT - gone * log_b + gone / s,
        s / beta - stays * s / b_T - gone * (s + 1) * b,
        alive - both,
    )


@kernel(nogil=True)
def seasonal_likelihoods(
    rates: tuple[float, Numbers, float, Numbers],
    history: tuple[Numbers, Numbers, Numbers],
    first: Numbers,
    multipliers: RateMultipliers,
    share: Numbers,
) -> tuple[Numbers, Numbers]:
    """As `likelihoods`, with the times of first orders; and weighted slopes in the effects."""
    r, alpha, s, beta = rates
    x, tx, T = history
    terms = np.empty((6, len(x)))
    slopes = np.zeros(multipliers.z_orders.shape[1] + multipliers.z_leaving.shape[1])
    row_slopes = np.zeros((2, len(slopes)))
    for n in range(len(x)):
        answer = _seasonal_likelihood((r, alpha[n], s, beta[n]), (x[n], tx[n], T[n]), first[n], multipliers, row_slopes)
        for place in range(6):
            terms[place, n] = answer[place]
        slopes += share[n] * row_slopes[0]
    return terms, slopes


@kernel(nogil=True)
def seasonal_expected_orders(
    rates: tuple[Numbers, Numbers, float, Numbers], now: Numbers, horizon: float, multipliers: RateMultipliers
) -> Numbers:
    """Expected orders in a horizon of customers who are alive now, from r + x, alpha + A, s and beta + B of each."""
    size, alpha, s, beta = rates
    expected = np.zeros(len(now))
    for n in range(len(now)):
        at = now[n]
        end = now[n] + horizon
        from_b = beta[n]
        time = 0.0
        p = _place(multipliers, at)
        while at < end:
            until = _until(multipliers, p, end)
            b = multipliers.leaving[p]
            growth = math.log1p(b * (until - at) / from_b)
            power = (1 - s) * growth
            stays = growth if abs(power) < 1e-12 else math.expm1(power) / (1 - s)
            time += multipliers.orders[p] * from_b / b * stays * math.exp(s * math.log(beta[n] / from_b))
            from_b += b * (until - at)
            at = until
            p += 1
        expected[n] = size[n] / alpha[n] * time
    return expected


@kernel(nogil=True)
def seasonal_no_order_probability(
    rates: tuple[Numbers, Numbers, float, Numbers], now: Numbers, horizon: float, multipliers: RateMultipliers
) -> Numbers:
    """Probability of no order in a horizon, of the same customers."""
    size, alpha, s, beta = rates
    probabilities, slopes = (
        np.empty(len(now)),
        np.zeros((2, multipliers.z_orders.shape[1] + multipliers.z_leaving.shape[1])),
    )
    for n in range(len(now)):
        log_alpha, log_beta = size[n] * math.log(alpha[n]), s * math.log(beta[n])
        span = (now[n], now[n], now[n] + horizon)
        left, end_a, end_b = seasonal_dropout_integral((size[n], alpha[n], s, beta[n]), span, multipliers, slopes)
        alive, gone = -size[n] * math.log(end_a) - s * math.log(end_b), left[0] + math.log(s)
        probabilities[n] = min(math.exp(alive + log_alpha + log_beta) + math.exp(gone + log_alpha + log_beta), 1.0)
    return probabilities


@kernel(nogil=True)
def _add_counts(row: Numbers, chance: float, size: float, odds: float) -> None:
    """Add the chances of 0, 1 ... or more orders, `odds` of them expected per size, of those who stay so long."""
    q = odds / (1 + odds)
    part = math.exp(-size * math.log1p(odds))
    cumulated = 0.0
    most = len(row) - 1
    for count in range(most):
        row[count] += chance * part
        cumulated += part
        part *= (size + count) / (count + 1) * q
    row[most] += chance * max(1 - cumulated, 0.0)


@kernel(nogil=True)
def seasonal_count_probabilities(
    rates: tuple[Numbers, Numbers, float, Numbers],
    now: Numbers,
    horizon: float,
    multipliers: RateMultipliers,
    most: int,
) -> Numbers:
    """Probability of 0, 1 ... `most` or more orders in a horizon, of the same customers."""
    size, alpha, s, beta = rates
    probabilities = np.zeros((len(now), most + 1))
    for n in range(len(now)):
        at = now[n]
        end = now[n] + horizon
        from_a = 0.0
        from_b = beta[n]
        p = _place(multipliers, at)
        while at < end:
            until = _until(multipliers, p, end)
            a, b = multipliers.orders[p], multipliers.leaving[p]
            half = math.log1p(b * (until - at) / from_b) / 2
            for node in range(MORE_NODES):
                w = half * (1 + MORE[0][node])
                chance = MORE[1][node] * half * s * math.exp(-s * (w + math.log(from_b / beta[n])))
                _add_counts(probabilities[n], chance, size[n], (from_a + a * from_b / b * math.expm1(w)) / alpha[n])
            from_a += a * (until - at)
            from_b += b * (until - at)
            at = until
            p += 1
        _add_counts(probabilities[n], math.exp(s * math.log(beta[n] / from_b)), size[n], from_a / alpha[n])
        probabilities[n] /= probabilities[n].sum()
    return probabilities
