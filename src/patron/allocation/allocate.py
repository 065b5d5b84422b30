"""Offers to customers within a budget and other constraints: the most net value, its bound, and prices."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from patron.allocation.conflicts import refuse_broken, refuse_conflicts, refuse_unbounded
from patron.allocation.curve import Curve
from patron.allocation.increments import Increments
from patron.allocation.lagrangian import ROUGH_GAP, Dual, minimise_dual
from patron.allocation.online import Multipliers, Pacing
from patron.allocation.problem import NONE, AllocationProblem, Codes
from patron.allocation.whole_offers import move_customers, whole_offers
from patron.schema.errors import BadAllocation
from patron.schema.numbers import Numbers

POINTS = 16
"""Budgets at which a curve under several constraints is computed, denser where it bends most."""
TIGHTENINGS = 8
"""How often limits are tightened by what whole offers exceed them by."""


@dataclass(frozen=True, eq=False)
class Allocation:
    """Which offer each customer gets, and what the constraints cost."""

    choice: Codes
    """Column of each customer's offer, -1 for nothing."""
    value: float
    """Net value of the choice."""
    bound: float
    """No allocation within the constraints is worth more: the optimum of the linear relaxation."""
    spent: float
    """Cost of the choice."""
    multipliers: Multipliers
    """The prices, to be saved and to decide one customer at a time."""
    _problem: AllocationProblem = field(repr=False)
    _exact_curve: Curve | None = field(repr=False)

    @property
    def gap(self) -> float:
        """By how much the value may be below the best possible, as a share of it."""
        return max(0.0, (self.bound - self.value) / abs(self.bound)) if self.bound else 0.0

    @property
    def prices(self) -> dict[str, Any]:
        """Net value of one more unit of budget, of each stock and contact, and of each floor that is one lower."""
        one = self.multipliers
        return {
            "budget": one.budget,
            "stock": np.array(one.stock),
            "contacts": one.contacts,
            "floors": np.array(one.floors),
        }

    @cached_property
    def curve(self) -> Curve:
        """Best net value at every other budget, with all other constraints as they are.

        Of a budget alone it is exact. Otherwise it is computed when it is first read, at some budgets, so that the
        arrays of net value and cost must not have been changed; between these budgets it is at most a little too low.
        """
        return self._exact_curve or _curve(self._problem)

    def decide(self, net_row: Any, cost_row: Any, eligible: Any = None, floors: Any = None) -> int:
        """The offer of one customer at these prices, or -1; see `Multipliers.decide`. Raises BadAllocation."""
        return self.multipliers.decide(net_row, cost_row, eligible, floors)

    def pace(self, budget: float, plan: Any = (0.0, 1.0)) -> Pacing:
        """Spread a budget over a period of customers like these.

        Args:
            budget: Of the period.
            plan: Share of the period's customers who come by equally spaced times, from 0 to 1.

        Raises BadAllocation.
        """
        return Pacing.of(self.multipliers, self.curve, budget, plan)

    def to_table(self) -> pa.Table:
        """One row per customer: `id` (their ids, or row numbers), `offer` (its name, NULL for nothing), net, cost."""
        problem, rows = self._problem, np.arange(len(self.choice))
        names = pa.array(problem.offers, pa.string())
        offer = names.take(pa.array(self.choice, mask=self.choice == NONE))
        has_one = self.choice >= 0
        columns = []
        for values in (problem.net, problem.cost):
            columns.append(np.zeros(len(rows)))
            columns[-1][has_one] = values[rows[has_one], self.choice[has_one]]
        ids = rows if problem.ids is None else problem.ids
        return pa.table({"id": ids, "offer": offer, "net": columns[0], "cost": columns[1]})

    def save(self, path: Path | str) -> None:
        """Write what `decide` needs as a JSON file; `Multipliers.load` reads it."""
        self.multipliers.save(path)


def allocate(  # noqa: PLR0913, PLR0917 - one argument for each constraint
    net: Any,
    cost: Any,
    budget: float | None = None,
    stock: Any = None,
    contacts: float | None = None,
    floors: Any = None,
    eligible: Any = None,
    *,
    standard_error: Any = None,
    z: float = 1.0,
    ids: Any = None,
) -> Allocation:
    """Give each customer one offer or nothing, for the most net value within all constraints.

    Args:
        net: (customers, offers) net value, after cost; an array, or a frame with a column for each offer.
        cost: (customers, offers) what an offer uses of the budget, 0 or more.
        budget: The most that all offers may cost.
        stock: For each offer how many there are; None where there is no limit.
        contacts: The most offers in all.
        floors: Pairs of a mask of customers and the least number of offers among them.
        eligible: (customers, offers) or (customers,) who may have what; net and cost of others are not read.
        standard_error: (customers, offers) of net. Then net less `z` standard errors is what is maximised, and what
            value, bound, prices, curve and `decide` speak of.
        z: How many standard errors net value is lowered by.
        ids: (customers,) ids that `to_table` hands back.

    No offer with net value at or below 0 is chosen unless a floor needs it; ties go to the earlier row. Every
    constraint is checked at the end. Mathematics: docs/explanation/allocation.md. Raises BadAllocation and, where they
    cannot all hold, ConflictingConstraints.
    """
    problem = AllocationProblem.of(
        net, cost, budget=budget, stock=stock, contacts=contacts, floors=floors, eligible=eligible, ids=ids
    )
    if standard_error is not None:
        problem = replace(problem, net=_lower_bound(problem.net, standard_error, z))
    refuse_conflicts(problem)
    allocation = _within_several(problem) if problem.is_limited[1:].any() else _within_budget(problem)
    refuse_broken(problem, allocation.choice)
    return allocation


def _lower_bound(net: Numbers, standard_error: Any, z: float) -> Numbers:
    error = np.asarray(standard_error, dtype=np.float64)
    if error.shape != net.shape:
        raise BadAllocation(f"shape {error.shape}, where net has {net.shape}", where="standard_error")
    if not (error[net > -np.inf] >= 0).all() or not np.isfinite(error[net > -np.inf]).all():
        raise BadAllocation("values are missing, infinite or below 0", where="standard_error")
    if not (np.isfinite(z) and z >= 0):
        raise BadAllocation(f"{z} is not a finite number of 0 or more", where="z")
    return np.where(net > -np.inf, net - z * error, -np.inf)


def _within_budget(problem: AllocationProblem) -> Allocation:
    increments = Increments.of(problem.net, problem.cost)
    budget = float(problem.limits[0])
    choice = increments.choice(len(problem.net), budget)
    curve = Curve.of(increments)
    prices = np.zeros(len(problem.limits))
    prices[0] = increments.price(budget)
    return _allocation(problem, choice, float(curve.value_at(budget)), prices, curve)


def _within_several(problem: AllocationProblem) -> Allocation:
    in_floor = np.any(problem.members & problem.is_limited[problem.net.shape[1] + 2 :], axis=1, keepdims=True)
    problem = replace(problem, net=np.where((problem.net > 0) | in_floor, problem.net, -np.inf))
    if not np.isfinite(problem.net).any():
        return _within_budget(problem)
    dual = minimise_dual(problem)
    refuse_unbounded(problem, dual)
    choice = _repaired(problem, whole_offers(problem, dual), dual)
    return _allocation(problem, choice, dual.bound, dual.prices, None)


def _repaired(problem: AllocationProblem, choice: Codes, dual: Dual) -> Codes:
    """The choice, or where it exceeds limits that of limits tightened by the excess, which holds the old ones."""
    tight = problem
    for _ in range(TIGHTENINGS):
        excess = problem.excess(choice)
        if not excess.any():
            break
        tight = replace(tight, limits=tight.limits - excess)
        dual = minimise_dual(tight, start=dual)
        if dual.is_unbounded:
            break
        choice = whole_offers(tight, dual)
    return choice if tight is problem else move_customers(problem, dual, choice)


def _allocation(
    problem: AllocationProblem, choice: Codes, bound: float, prices: Numbers, curve: Curve | None
) -> Allocation:
    offers = problem.net.shape[1]
    budget, contacts = float(prices[0]), float(prices[offers + 1])
    stock, floors = tuple(prices[1 : offers + 1].tolist()), tuple(prices[offers + 2 :].tolist())
    multipliers = Multipliers(budget, stock, contacts, floors)
    value, spent = problem.value(choice), float(problem.usage(choice)[0])
    return Allocation(
        choice,
        value,
        bound=max(bound, value),
        spent=spent,
        multipliers=multipliers,
        _problem=problem,
        _exact_curve=curve,
    )


def _curve(problem: AllocationProblem) -> Curve:
    """The bound at budgets from the most that is worth spending down to the least that holds the floors."""
    dual = minimise_dual(_with_budget(problem, np.inf), gap=ROUGH_GAP)
    most = float(problem.usage(whole_offers(_with_budget(problem, np.inf), dual))[0])
    if not most:
        return Curve(np.zeros(1), np.array([dual.bound]))
    points = []
    for share in np.linspace(1, 0, POINTS + 1) ** 2:
        budget = most * float(share)
        if share < 1:
            dual = minimise_dual(_with_budget(problem, budget), start=dual, gap=ROUGH_GAP)
        if dual.is_unbounded:
            break
        points.append((budget, dual.bound))
    budgets, values = np.array(points[::-1]).T
    return Curve(budgets, np.maximum.accumulate(values))


def _with_budget(problem: AllocationProblem, budget: float) -> AllocationProblem:
    return replace(problem, limits=np.append(budget, problem.limits[1:]))
