"""Buyers who may leave after an order: BG/NBD, MBG/NBD, and both for regular buyers (BG/CNBD-k, MBG/CNBD-k).

While alive a customer's orders are k phases apart; phases pass at rate lambda ~ Gamma(r, alpha), so with k = 1 orders
are Poisson and with larger k more regular. After each order (in the modified models after the first one too) they leave
with probability p ~ Beta(a, b). Sources: Fader, Hardie and Lee (2005), Marketing Science 24(2), for BG/NBD; Batislam,
Denizel and Filiztekin (2007) for MBG/NBD; Reutterer, Platzer and Schroeder (2021), IJRM 38(1), for the regular ones.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numba
import numpy as np
from scipy.special import gammaln

from patron.clv.count_model import CountLearner, CountModel
from patron.clv.distinct_histories import Places, Rows, Values, arrow
from patron.clv.maximum_likelihood import Estimates, Objective, digamma
from patron.schema.numbers import Numbers

LETTERS = ("r", "alpha", "a", "b")
LOG_GAPS = "log_gaps"
"""Column of a summary that regular models need: the sum of the logarithms of the times between orders."""
MOST_REGULAR = 12
NEGLIGIBLE = 1e-17
MANY_PHASES = 20_000.0
"""With more expected in a horizon, their sum is taken as an integral."""
GRID = 2_000
BESIDE = 1e-4


@dataclass(frozen=True)
class _Likelihood:
    """Mean log-likelihood of a customer in the logs of r, alpha, a, b; what depends on one column only is shared."""

    k: int
    first_too: bool
    """Whether customers may leave after their first order."""
    x: Values
    tx: Values
    T: Values
    log_rest: Numbers
    """Logarithm of the time since the last order."""
    share: Numbers

    @classmethod
    def of(cls, rows: Rows, k: int, *, first_too: bool) -> Self:
        with np.errstate(divide="ignore"):
            rest = np.log(np.maximum(rows.T - rows.recency, 0.0))
        values = (Values.of(rows.frequency), Values.of(rows.recency), Values.of(rows.T))
        return cls(k, first_too, *values, rest, rows.weight / rows.weight.sum())

    def __call__(self, logs: Numbers) -> tuple[float, Numbers]:
        params = np.exp(logs)
        x, tx, T = self.x, self.tx, self.T
        kind = (self.k, float(self.first_too))
        values, places = (x.values, tx.values, T.values), (x.place, tx.place, T.place)
        found = _sums(params, kind, values, places, self.log_rest, self.share)
        return float(found[0]), found[1:] * params


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def _leaving_terms(a: float, b: float, first: float, x: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers]:
    """Of each count of orders: log chance to have stayed, and to have left after the last; slopes in a, b, b then."""
    staying, leaving = np.empty(len(x)), np.full(len(x), -np.inf)
    d_a, d_b, d_b_left = np.empty(len(x)), np.empty(len(x)), np.zeros(len(x))
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


@numba.njit(cache=True)
def _sums(
    params: Numbers,
    kind: tuple[int, float],
    values: tuple[Numbers, Numbers, Numbers],
    places: tuple[Places, Places, Places],
    log_rest: Numbers,
    share: Numbers,
) -> Numbers:
    """Weighted sums over rows: log-likelihood, and its slopes in r, alpha, a and b."""
    r, alpha, a, b = params[0], params[1], params[2], params[3]
    k, first = kind
    x, tx, T = values
    x_place, tx_place, T_place = places
    log_tx, log_T = np.log(alpha + tx), np.log(alpha + T)
    orders, d_orders, passed, d_passed = _order_terms(r, alpha, k, x)
    staying, leaving, d_a, d_b, d_b_left = _leaving_terms(a, b, first, x)
    found = np.zeros(5)
    left = 0.0
    for n in range(len(x_place)):
        at, weight = x_place[n], share[n]
        size = r + k * x[at]
        in_T, in_tx = log_T[T_place[n]], log_tx[tx_place[n]]
        per_T, per_tx = 1 / (alpha + T[T_place[n]]), 1 / (alpha + tx[tx_place[n]])
        log_passed, d_r, d_alpha = 0.0, -in_T, size * per_T
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
        found[0] += weight * (orders[at] + high + math.log1p(gap))
        found[1] += weight * (d_orders[at] + (1 - dead) * d_r - dead * in_tx)
        found[2] -= weight * ((1 - dead) * d_alpha + dead * size * per_tx)
        found[3] += weight * d_a[at]
        found[4] += weight * ((1 - dead) * d_b[at] + dead * d_b_left[at])
        left += weight * dead
    found[2] += r / alpha
    found[3] += left / a
    return found


@numba.njit(cache=True)
def _phases(r: float, alpha: float, k: int, seen: tuple[float, float, float]) -> Numbers:
    """Chance that j < k phases have passed since an alive customer's last order: it follows from the quiet time."""
    x, rest, T = seen
    found = np.empty(k)
    found[0] = 1.0
    for j in range(1, k):
        found[j] = found[j - 1] * (r + k * x + j - 1) / j * rest / (alpha + T)
    return found / found.sum()


@numba.njit(cache=True)
def _gained(orders: float, a: float, b: float) -> float:
    """Expected orders of somebody who would place so many if they did not leave after one of them: a smooth function.

    It is the sum of the chances to be there for each, which has a closed form; at a = 1 that is 0 / 0, and beside it
    too near to 0 / 0, so the values on both sides are taken there.
    """
    if orders <= 1:
        return orders
    if abs(a - 1) < BESIDE:
        return (_gained(orders, 1 - 2 * BESIDE, b) + _gained(orders, 1 + 2 * BESIDE, b)) / 2
    # The first order is for certain; for the others b is one more, and a + b above 1.
    more, left = b + 1, orders - 1
    there = math.lgamma(more + left) - math.lgamma(more) + math.lgamma(a + b) - math.lgamma(a + b + left)
    return 1 - b / (a - 1) * math.expm1(there)


@numba.njit(cache=True)
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


@numba.njit(cache=True)
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
    gained, stays, counted = 0.0, 1.0, 0
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


@numba.njit(cache=True)
def _expected(
    law: tuple[float, float, float, int], b: Numbers, seen: tuple[Numbers, Numbers, Numbers], horizon: float
) -> tuple[Numbers, Numbers]:
    """Expected orders in a horizon, and chance of none, of customers who are alive now; b counts the orders so far."""
    r, alpha, a, k = law
    x, rest, T = seen
    expected, none = np.zeros(len(x)), np.zeros(len(x))
    for n in range(len(x)):
        shares = _phases(r, alpha, k, (x[n], rest[n], T[n]))
        for phase in range(k):
            orders, nothing = _orders_gained(r + k * x[n] + phase, horizon / (alpha + T[n]), k, phase, (a, b[n]))
            expected[n] += shares[phase] * orders
            none[n] += shares[phase] * nothing
    return expected, none


@numba.njit(cache=True)
def _counts(
    law: tuple[float, float, float, int],
    b: Numbers,
    seen: tuple[Numbers, Numbers, Numbers],
    horizon: float,
    most: int,
) -> Numbers:
    """Chance of 0, 1 ... `most` or more orders in a horizon, of customers who are alive now."""
    r, alpha, a, k = law
    x, rest, T = seen
    found = np.zeros((len(x), most + 1))
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
            found[n, count] = possible[count] * before + max(beyond, 0.0) * leaves
        found[n, most] = max(1.0 - found[n, :most].sum(), 0.0)
    return found


@dataclass(frozen=True)
class FittedBetaGeo(CountModel):
    """A fitted model of buyers who may leave after an order."""

    k: int = 1
    first_too: bool = False

    kind: ClassVar[str] = "betageo"

    def settings(self) -> Mapping[str, Any]:
        """What the model is besides its estimates."""
        return {"k": self.k, "first_too": self.first_too}

    def _letters(self) -> tuple[float, float, float, float]:
        r, alpha, a, b = (self.params[name] for name in LETTERS)
        return r, alpha, a, b

    def alive(self, rows: Rows) -> Numbers:
        """Chance of each row not to have left, 0 to 1; without a repeat order 1 unless the first order counts too."""
        r, alpha, a, b = self._letters()
        x = rows.frequency
        size, phases = r + self.k * x, np.arange(self.k)
        with np.errstate(divide="ignore", invalid="ignore"):
            quiet = np.where(rows.recency < rows.T, np.log(np.maximum(rows.T - rows.recency, 0.0)), -np.inf)
            steps = np.where(phases == 0, 0.0, phases * (quiet - np.log(alpha + rows.T))[:, None])
        passed = gammaln(size[:, None] + phases) - gammaln(size)[:, None] - gammaln(phases + 1.0) + steps
        log_alive = np.logaddexp.reduce(passed, axis=1) - size * np.log(alpha + rows.T)
        log_dead = (
            np.log(a) - np.log(np.maximum(b + x + self.first_too - 1, 1e-300)) - size * np.log(alpha + rows.recency)
        )
        can_have_left = (x > 0) | self.first_too
        return np.where(can_have_left, 1 / (1 + np.exp(np.minimum(log_dead - log_alive, 700.0))), 1.0)

    def expected(self, rows: Rows, horizon: float) -> Numbers:
        """Expected orders of each row in a horizon."""
        return self._to_come(rows, horizon)[0] * self.alive(rows)

    def chance_of_order(self, rows: Rows, horizon: float) -> Numbers:
        """Chance of each row of at least one order in a horizon, 0 to 1; it ranks well even where P(alive) does not."""
        return (1 - self._to_come(rows, horizon)[1]) * self.alive(rows)

    def _to_come(self, rows: Rows, horizon: float) -> tuple[Numbers, Numbers]:
        if horizon <= 0:
            return np.zeros(len(rows.T)), np.ones(len(rows.T))
        return _expected(*self._now(rows), float(horizon))

    def _now(self, rows: Rows) -> tuple[tuple[float, float, float, int], Numbers, tuple[Numbers, Numbers, Numbers]]:
        """What the future follows from: the law, b with the orders so far, and what was seen."""
        r, alpha, a, b = self._letters()
        seen = (rows.frequency, rows.T - rows.recency, rows.T)
        return (r, alpha, a, self.k), b + rows.frequency + self.first_too, seen

    def counts(self, rows: Rows, horizon: float, most: int) -> Numbers:
        """Chance of each row of 0, 1 ... `most` orders or more in a horizon; a row adds up to 1."""
        found = _counts(*self._now(rows), float(horizon), most)
        alive = self.alive(rows)[:, None]
        found *= alive
        found[:, 0] += 1 - alive[:, 0]
        return found

    def drawn(self, T: Numbers, rng: np.random.Generator) -> Iterator[tuple[Places, Numbers]]:
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

    def objective(self, rows: Rows) -> Objective:
        """Mean log-likelihood of a customer, without what does not depend on the parameters."""
        return _Likelihood.of(rows, self.regularity, first_too=self.first_too)

    def constant(self, rows: Rows, scale: float) -> float:
        """Each order's density is divided by the scale; gaps of regular buyers have a shape of their own."""
        k, orders = self.regularity, float(rows.frequency @ rows.weight)
        shape = 0.0 if k == 1 else (k - 1) * float(rows.extras[LOG_GAPS] @ rows.weight) - orders * math.lgamma(k)
        return shape - k * orders * math.log(scale)

    def start(self, rows: Rows) -> Numbers:
        """Moments of the orders per unit of time for r and alpha; a quarter of the customers leaving per order."""
        share = rows.weight / rows.weight.sum()
        rate = rows.frequency / np.maximum(rows.T, 1e-3)
        mean = max(float(share @ rows.frequency) / max(float(share @ rows.T), 1e-9), 1e-3)
        spread = max(float(share @ (rate - mean) ** 2), mean * 0.1)
        r = np.clip(mean**2 / spread, 0.1, 5.0)
        return np.log([r, r / (self.regularity * mean), 0.8, 2.4])

    def made(self, estimates: Estimates) -> FittedBetaGeo:
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
    """Regularity: 1 is by chance, more is more regular. None takes the first likelier than the next, up to 12."""

    @property
    def regularity(self) -> int:
        """How regular orders are, k."""
        return self.k or 1

    def fit(self, summary: Any) -> FittedBetaGeo:
        """Maximum likelihood, of k too where it is None; needs the column log_gaps.

        Raises NotEnoughData, ValueError.
        """
        if self.k is not None:
            return super().fit(summary)
        table = arrow(summary)
        best = replace(self, k=1).fit(table)
        for k in range(2, MOST_REGULAR + 1):
            found = replace(self, k=k).fit(table)
            if found.log_likelihood <= best.log_likelihood:
                return best
            best = found
        return best

    def settled(self, summary: Any) -> Self:
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
