"""From prices to whole offers: undecided customers are spread in proportion, then single moves repair and fill.

At the prices of the dual most customers have one best offer; those between two, a few or whole segments of equal
customers, get theirs such that sums stay next to what the linear relaxation uses (error diffusion). A move then gives
one customer another offer, least loss of reduced value first: while a limit is exceeded when it lowers the excess, and
after that when it adds net value and exceeds nothing.
"""

import numpy as np

from patron.allocation.lagrangian import Dual, reduced_values, softmax
from patron.allocation.problem import NONE, ROUNDING, AllocationProblem, Codes
from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

FEW = 50_000
"""Moves that are tried at first, those of the least loss; when limits stay exceeded, all."""
ROUNDS = 8
WEIGHTS = (1.0, 4.0, 2.0, 16.0)
"""Of an excess over budget, stock, contacts and floors: a floor is repaired first, even if that breaks the others."""


def whole_offers(problem: AllocationProblem, dual: Dual) -> Codes:
    """A choice next to the linear relaxation; it holds the limits unless moves of single customers cannot."""
    unit, _ = _units(problem)
    inputs = problem.net, problem.cost, problem.members
    choice = _spread(*inputs, dual.prices, dual.tau, problem.is_limited / unit)
    return move_customers(problem, dual, choice)


def move_customers(problem: AllocationProblem, dual: Dual, choice: Codes) -> Codes:
    """The choice after moves of single customers: repaired where they can, then filled."""
    limits = np.where(problem.is_limited, problem.limits, np.inf)
    unit, weight = _units(problem)
    inputs = problem.net, problem.cost, problem.members
    choice, used = choice.copy(), problem.usage(choice)
    slack = ROUNDING / 2 * np.abs(np.where(problem.is_limited, problem.limits, 0.0))
    most = FEW
    for _ in range(ROUNDS):
        row, offer = _moves(problem, dual.prices, choice, most)
        count = _apply_moves(*inputs, row, offer, choice, used, limits + slack, weight / unit)
        if not count:
            if most >= choice.size * (problem.net.shape[1] + 1) or not problem.excess(choice).any():
                break
            most = choice.size * (problem.net.shape[1] + 1)
    return choice


def _units(problem: AllocationProblem) -> tuple[Numbers, Numbers]:
    """What counts as one in each limit: a mean cost, or an offer; and how much an excess of one weighs."""
    offers, floors = problem.net.shape[1], problem.members.shape[1]
    unit = np.ones(len(problem.limits))
    unit[0] = problem.cost[problem.net > -np.inf].mean() or 1.0
    budget, stock, contacts, floor = WEIGHTS
    return unit, np.concatenate([[budget], np.full(offers, stock), [contacts], np.full(floors, floor)])


def _moves(problem: AllocationProblem, prices: Numbers, choice: Codes, most: int) -> tuple[Codes, Codes]:
    """Moves of customers to other offers or to nothing, the least loss of reduced value first."""
    loss = _losses(problem.net, problem.cost, problem.members, prices, choice).ravel()
    possible = np.flatnonzero(np.isfinite(loss))
    if len(possible) > most:
        possible = possible[np.argpartition(loss[possible], most)[:most]]
    order = possible[np.argsort(loss[possible], kind="stable")]
    options = problem.net.shape[1] + 1
    return order // options, order % options - 1


@kernel()
def _use(cost, members, offer, sign, used):  # noqa: ANN001, ANN202
    """Add what an offer uses of each limit, with a sign; nothing uses nothing."""
    if offer < 0:
        return
    offers = len(cost)
    used[0] += sign * cost[offer]
    used[1 + offer] += sign
    used[offers + 1] += sign
    for floor in range(len(members)):
        if members[floor]:
            used[offers + 2 + floor] -= sign


@kernel()
def _spread(net, cost, members, prices, tau, weight):  # noqa: ANN001, ANN202
    """Each customer's best offer; where several are likely, the one that keeps sums nearest to what is expected."""
    customers, offers = net.shape
    choice = np.full(customers, NONE, np.int64)
    reduced, share = np.empty(offers), np.empty(offers)
    debt, after = np.zeros(len(prices)), np.empty(len(prices))
    for row in range(customers):
        best = reduced_values(net[row], cost[row], members[row], prices, reduced)
        softmax(reduced, best, tau, share)
        nothing = 1 - share.sum()
        if share.max() > 1 - 1e-9:
            choice[row] = np.argmax(share)
            continue
        if nothing > 1 - 1e-9:
            continue
        for offer in range(offers):
            if share[offer] > 0:
                _use(cost[row], members[row], offer, share[offer], debt)
        least = np.inf
        for offer in range(-1, offers):
            likely = nothing if offer < 0 else share[offer]
            if likely < 1e-3:
                continue
            after[:] = debt
            _use(cost[row], members[row], offer, -1.0, after)
            miss = 0.0
            for at in range(len(prices)):
                miss += (after[at] * weight[at]) ** 2
            if miss < least:
                least, choice[row] = miss, offer
        _use(cost[row], members[row], choice[row], -1.0, debt)
    return choice


@kernel()
def _losses(net, cost, members, prices, choice):  # noqa: ANN001, ANN202
    """Reduced value that each customer loses by nothing (first column) and by each offer; infinite where impossible."""
    customers, offers = net.shape
    loss = np.empty((customers, offers + 1))
    reduced = np.empty(offers)
    for row in range(customers):
        reduced_values(net[row], cost[row], members[row], prices, reduced)
        now = reduced[choice[row]] if choice[row] >= 0 else 0.0
        loss[row, 0] = now
        for offer in range(offers):
            loss[row, 1 + offer] = now - reduced[offer]
        loss[row, 1 + choice[row]] = np.inf
    return loss


@kernel()
def _apply_moves(net, cost, members, rows, offers, choice, used, limits, weight):  # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Try moves in their order, change choice and use where one pays; how many did."""
    count = 0
    excess = 0.0
    after = used.copy()
    for at in range(len(used)):
        excess += max(used[at] - limits[at], 0.0) * weight[at]
    for move in range(len(rows)):
        row = rows[move]
        offer = offers[move]
        now = choice[rows[move]]
        if offer == now:
            continue
        gain = (net[row, offer] if offer >= 0 else 0.0) - (net[row, now] if now >= 0 else 0.0)
        if excess == 0 and (gain < 0 or (gain == 0 and offer >= 0)):
            continue
        after[:] = used
        _use(cost[row], members[row], now, -1.0, after)
        _use(cost[row], members[row], offer, 1.0, after)
        rest = 0.0
        for at in range(len(used)):
            rest += max(after[at] - limits[at], 0.0) * weight[at]
        if rest < excess or (rest == 0 and excess == 0):
            choice[row] = offer
            used[:] = after
            excess = rest
            count += 1
    return count
