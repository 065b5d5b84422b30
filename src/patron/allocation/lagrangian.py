"""Several constraints: prices that make each customer's best offer add up to what the limits allow.

At prices p a customer takes the offer with the largest net value less the prices of what it uses, or nothing. The
Lagrangian dual, the sum of these plus prices times limits, is above the value of every allocation that holds the
limits; its least value is that of the linear relaxation. It has kinks, so that the maximum of each customer is replaced
by tau log sum exp(. / tau) (Nesterov 2005), whose second derivatives come in the same pass over the customers, and
Newton steps within p >= 0 (Bertsekas 1982; damped as Levenberg and Marquardt) follow tau to 0.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.allocation.problem import AllocationProblem
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

GAP, ROUGH_GAP = 2e-7, 1e-5
"""Where the descent ends: what smoothing may be worth, as a share of the value; for the points of a curve, too."""
COOLING = 4.0
"""By which tau falls from one stage to the next."""
STEPS = 60
"""Most Newton steps of a stage."""
SAMPLE = 40_000
"""Customers from whom the first prices come; all of them decide the last ones."""
MIN_STEP, MAX_STEP = 1e-14, 2.0
"""Step that ends a stage, relative to the largest price; longest one, in units of the scale plus the largest price."""
WARMEST, WARM, COLDEST = 0.3, 0.01, 1e-13
"""Tau at the start, after the sample, and at the end at the latest, relative to the mean net value."""
NEGLIGIBLE = 40.0
"""Differences of so many taus are worth less than rounding."""


@dataclass(frozen=True, eq=False)
class Dual:
    """Prices, and the least upper bound that was met on the way."""

    prices: Numbers
    tau: float
    """What the customers' maxima were smoothed with at last, in units of net value."""
    bound: float
    """No allocation that holds the limits is worth more."""
    is_unbounded: bool
    """Whether the bound is below what any allocation is worth, so that none holds the limits."""


@dataclass(frozen=True)
class Cooling:
    """Stages of falling tau."""

    warmest: float
    coldest: float
    """Relative to the mean net value."""
    gap: float


@dataclass(frozen=True, eq=False)
class _State:
    """The smoothed dual at some prices; everything is in units of net value."""

    prices: Numbers
    """In units of `scale`."""
    smooth: float
    bound: float
    entropy: float
    """By how much smoothing raises the dual."""
    gradient: Numbers
    curvature: Numbers


def minimise_dual(problem: AllocationProblem, start: Dual | None = None, gap: float = GAP) -> Dual:
    """Prices of the limits, 0 where they are slack; from those of another solution, if given."""
    scale, worth = _scales(problem)
    prices, warmth = np.zeros(len(scale)), WARMEST
    if start is not None:
        prices, warmth = start.prices / scale, WARM
    elif len(problem.net) > 2 * SAMPLE:
        prices = _descend(_sample(problem), scale, worth, prices, Cooling(WARMEST, WARM, gap)).prices / scale
        warmth = WARM
    return _descend(problem, scale, worth, prices, Cooling(warmth, COLDEST, gap))


def _scales(problem: AllocationProblem) -> tuple[Numbers, float]:
    """What a unit of each price is, and the mean net value of offers worth making."""
    good = problem.net > 0
    worth = float(problem.net[good].mean()) if good.any() else float(np.abs(problem.net[problem.net > -np.inf]).mean())
    worth = worth or 1.0
    cost = problem.cost[problem.net > -np.inf].mean() or 1.0
    scale = np.full(len(problem.limits), worth)
    scale[0] = worth / cost
    return scale, worth


def _sample(problem: AllocationProblem) -> AllocationProblem:
    """Every so manieth customer, and the limits in proportion."""
    every = slice(None, None, len(problem.net) // SAMPLE)
    share = len(problem.net[every]) / len(problem.net)
    return AllocationProblem(
        np.ascontiguousarray(problem.net[every]),
        np.ascontiguousarray(problem.cost[every]),
        limits=problem.limits * share,
        members=np.ascontiguousarray(problem.members[every]),
        offers=problem.offers,
        ids=None,
    )


def _descend(problem: AllocationProblem, scale: Numbers, worth: float, prices: Numbers, cooling: Cooling) -> Dual:
    """Stages of falling tau, each to where its gap is small next to what smoothing adds."""
    least = float(np.minimum(np.where(problem.net > -np.inf, problem.net, 0.0).min(axis=1, initial=0.0), 0).sum())
    least -= 1e-6 * (abs(least) + worth)
    tau = cooling.warmest * worth
    bound = np.inf
    best = prices
    before = None
    while True:
        state = _newton(problem, scale, prices, tau, least, cooling.gap)
        # why: near the end prices are straight lines in tau
        ahead = 0.0 if before is None else (state.prices - before) / COOLING
        before, prices = state.prices, np.maximum(state.prices + ahead, 0.0)
        if state.bound <= bound:
            bound, best = state.bound, state.prices
        if bound < least:
            return Dual(state.prices * scale, tau, bound, is_unbounded=True)
        if state.entropy <= cooling.gap * abs(state.bound) or tau <= cooling.coldest * worth:
            break
        tau /= COOLING
    return Dual(best * scale, tau, bound, is_unbounded=False)


def _newton(
    problem: AllocationProblem, scale: Numbers, prices: Numbers, tau: float, least: float, gap: float
) -> _State:
    """Damped Newton steps within prices of 0 or more."""
    state, damping = _evaluate(problem, scale, prices, tau), 0.0
    for _ in range(STEPS):
        if state.bound < least or _residual(state) <= max(0.1 * state.entropy, gap * abs(state.bound)):
            break
        step, promise = _step(state, problem.is_limited, damping)
        length = float(np.abs(step).max())
        if length <= MIN_STEP * float(state.prices.max()):
            break
        if promise < 0:
            proposal = _evaluate(problem, scale, state.prices + step, tau)
            if proposal.smooth <= state.smooth + 1e-4 * promise:
                state, damping = proposal, damping / 10
                continue
        damping = max(10 * damping, 4 * float(np.abs(state.gradient).max()) / length)
    return state


def _residual(state: _State) -> float:
    """What is missing to an optimum: limits that are exceeded, and slack ones that have a price."""
    over, slack = np.maximum(-state.gradient, 0.0), np.maximum(state.gradient, 0.0)
    return float(over.sum() + (slack * state.prices).sum())


def _step(state: _State, is_limited: npt.NDArray[np.bool_], damping: float) -> tuple[Numbers, float]:
    """A step that keeps prices at 0 or more, and the change of the dual that its second derivatives promise."""
    free = is_limited & ((state.prices > 0) | (state.gradient < 0))
    step = np.zeros(len(free))
    curvature = state.curvature[np.ix_(free, free)]
    slope = float(np.abs(state.gradient[free]).max(initial=0.0))
    longest = MAX_STEP * (1 + float(state.prices.max()))
    damping = max(damping, 1e-11 * float(np.trace(curvature)), slope / longest / 1e3, 1e-300)
    step[free] = -np.linalg.solve(curvature + damping * np.eye(len(curvature)), state.gradient[free])
    step *= min(1.0, longest / max(float(np.abs(step).max()), 1e-300))
    step = np.maximum(step, -state.prices)
    return step, float(state.gradient @ step + step @ state.curvature @ step / 2)


def _evaluate(problem: AllocationProblem, scale: Numbers, prices: Numbers, tau: float) -> _State:
    limits = np.where(problem.is_limited, problem.limits, 0.0)
    sums = _smoothed_sums(problem.net, problem.cost, problem.members, prices * scale, tau)
    smooth, hard, used, curvature = sums
    constant = float((prices * scale) @ limits)
    gradient = np.where(problem.is_limited, (limits - used) * scale, 0.0)
    curvature = (curvature + curvature.T - np.diag(np.diag(curvature))) * np.outer(scale, scale) / tau
    return _State(prices, smooth + constant, hard + constant, smooth - hard, gradient, curvature)


@kernel()
def reduced_values(net, cost, members, prices, out):  # noqa: ANN001, ANN201
    """Of one customer, net values less the prices of what the offers use; the best of them and nothing's 0."""
    offers = len(net)
    shared = prices[offers + 1]
    for floor in range(len(members)):
        if members[floor]:
            shared -= prices[offers + 2 + floor]
    best = 0.0
    for offer in range(offers):
        out[offer] = net[offer] - prices[0] * cost[offer] - prices[1 + offer] - shared
        best = max(best, out[offer])
    return best


@kernel()
def softmax(reduced, best, tau, share):  # noqa: ANN001, ANN201
    """Probabilities of the offers at tau; returns the sum of exponentials, that of the best being 1."""
    total = np.exp(-best / tau) if best < NEGLIGIBLE * tau else 0.0
    for offer in range(len(reduced)):
        below = (best - reduced[offer]) / tau
        share[offer] = np.exp(-below) if below < NEGLIGIBLE else 0.0
        total += share[offer]
    for offer in range(len(reduced)):
        share[offer] /= total
    return total


@kernel()
def _smoothed_sums(net, cost, members, prices, tau):  # noqa: ANN001, ANN202
    """Sums over customers: smoothed and exact maximum, expected use of each limit, and its covariance (upper half)."""
    customers, offers = net.shape
    size = len(prices)
    smooth, hard = 0.0, 0.0
    used, covariance = np.zeros(size), np.zeros((size, size))
    reduced, share = np.empty(offers), np.empty(offers)
    for row in range(customers):
        best = reduced_values(net[row], cost[row], members[row], prices, reduced)
        total = softmax(reduced, best, tau, share)
        hard += best
        smooth += best + tau * np.log(total)
        contact, spend = 0.0, 0.0
        for offer in range(offers):
            if share[offer] > 0:
                contact += share[offer]
                spend += share[offer] * cost[row, offer]
                used[1 + offer] += share[offer]
        if contact == 0:
            continue
        used[0] += spend
        used[offers + 1] += contact
        for floor in range(len(members[row])):
            if members[row, floor]:
                used[offers + 2 + floor] -= contact
        if total > 1:
            _add_covariance(cost[row], members[row], share, contact, spend, covariance)
    return smooth, hard, used, covariance


@kernel()
def _add_covariance(cost, members, share, contact, spend, covariance):  # noqa: ANN001, ANN202
    """Add one customer's covariance of what they use: cost, one of a stock, a contact, minus one of their floors."""
    offers = len(cost)
    squares, any_offer = 0.0, contact * (1 - contact)
    with_cost = spend * (1 - contact)
    for offer in range(offers):
        if share[offer] == 0:
            continue
        squares += share[offer] * cost[offer] ** 2
        covariance[0, 1 + offer] += share[offer] * (cost[offer] - spend)
        covariance[1 + offer, 1 + offer] += share[offer]
        for other in range(offer, offers):
            covariance[1 + offer, 1 + other] -= share[offer] * share[other]
        rest = share[offer] * (1 - contact)
        covariance[1 + offer, offers + 1] += rest
        for floor in range(len(members)):
            if members[floor]:
                covariance[1 + offer, offers + 2 + floor] -= rest
    covariance[0, 0] += squares - spend**2
    covariance[0, offers + 1] += with_cost
    covariance[offers + 1, offers + 1] += any_offer
    for floor in range(len(members)):
        if members[floor]:
            covariance[0, offers + 2 + floor] -= with_cost
            covariance[offers + 1, offers + 2 + floor] -= any_offer
            for other in range(floor, len(members)):
                if members[other]:
                    covariance[offers + 2 + floor, offers + 2 + other] += any_offer
