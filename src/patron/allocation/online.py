"""Deciding one customer at a time with stored prices, and pacing: as much budget as the plan has come to by then."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from patron.allocation.curve import Curve
from patron.allocation.problem import NONE
from patron.estimators.saving import SavedFile
from patron.schema.errors import BadAllocation
from patron.schema.numbers import Numbers

PRICES = 256
"""Budgets whose prices are kept for pacing."""
PRIOR = 0.05
"""Share of the budget that the plan's traffic is worth against the traffic so far; more reacts more slowly."""


@dataclass(frozen=True)
class Multipliers(SavedFile):
    """Price of each constraint: what decides a customer without looking at the others."""

    budget: float
    """Net value of one more unit of budget."""
    stock: tuple[float, ...]
    contacts: float
    floors: tuple[float, ...]

    def decide(self, net_row: Any, cost_row: Any, eligible: Any = None, floors: Any = None) -> int:
        """The offer of one customer, or -1.

        Args:
            net_row: Net value of each offer.
            cost_row: Cost of each offer.
            eligible: Whether the customer may have each offer; all when not given.
            floors: Whether each floor holds the customer; none when not given.

        Raises BadAllocation.
        """
        reduced, _ = self.reduced_values(net_row, cost_row, self.budget, eligible, floors)
        return _best(reduced)

    def reduced_values(
        self, net_row: Any, cost_row: Any, price: float, eligible: Any = None, floors: Any = None
    ) -> tuple[Numbers, Numbers]:
        """Of each offer of one customer, net value less all prices (-inf if not eligible), and cost.

        Raises BadAllocation.
        """
        net, cost = _row(net_row, "net_row", len(self.stock)), _row(cost_row, "cost_row", len(self.stock))
        may = np.ones(len(net), np.bool_) if eligible is None else np.asarray(eligible, np.bool_)
        if not np.isfinite(net[may]).all() or not (cost[may] >= 0).all():
            what = "a net value is missing or infinite, or a cost is missing or below 0"
            raise BadAllocation(what, where="net_row, cost_row")
        shared = self.contacts
        if floors is not None:
            shared -= float(_row(floors, "floors", len(self.floors)) @ np.asarray(self.floors))
        return np.where(may, net - price * cost - np.asarray(self.stock) - shared, -np.inf), cost


@dataclass(frozen=True)
class Pacing(SavedFile):
    """A budget over a period: its price follows what was spent, and no offer is dearer than what is left.

    The price is the one at which the allocation's customers would spend what is left, if the rest of the period went on
    like the part so far: that is spent over what the prices should have spent, shrunk to 1.
    """

    multipliers: Multipliers
    budget: float
    """Of the whole period."""
    budgets: tuple[float, ...]
    prices: tuple[float, ...]
    """Net value of one more unit at each of `budgets`."""
    plan: tuple[float, ...] = (0.0, 1.0)
    """Share of the period's customers who have come by equally spaced times, from 0 to 1."""
    spent: float = 0.0
    expected: float = 0.0
    """What the prices so far should have spent."""
    planned: float = 0.0
    """Share of the period's customers who should have come so far."""

    @classmethod
    def of(cls, multipliers: Multipliers, curve: Curve, budget: float, plan: Any = (0.0, 1.0)) -> Self:
        """Begin a period. Raises BadAllocation for a budget or a plan that is none."""
        shares = np.asarray(plan, dtype=np.float64)
        if shares.ndim != 1 or len(shares) < 2 or (np.diff(shares) < 0).any() or tuple(shares[[0, -1]]) != (0, 1):
            raise BadAllocation("the plan does not rise from 0 to 1", where="plan")
        if not 0 <= budget < np.inf:
            raise BadAllocation(f"{budget} is not a finite number of 0 or more", where="budget")
        points = np.linspace(curve.budget[0], curve.budget[-1], PRICES)
        prices = np.maximum.accumulate(curve.price_at(points)[::-1])[::-1]
        return cls(multipliers, float(budget), tuple(points.tolist()), tuple(prices.tolist()), tuple(shares.tolist()))

    def price(self, elapsed: float) -> float:
        """Price of the budget at a share of the period, 0 to 1. Raises BadAllocation."""
        return float(np.interp(self._rate(self._planned(elapsed)), self.budgets, self.prices))

    def decide(
        self, net_row: Any, cost_row: Any, elapsed: float, eligible: Any = None, floors: Any = None
    ) -> tuple[int, Self]:
        """The offer of one customer at a share of the period, or -1; and the state for the next customer.

        Raises BadAllocation.
        """
        planned = max(self._planned(elapsed), self.planned)
        rate = self._rate(planned)
        price = float(np.interp(rate, self.budgets, self.prices))
        reduced, cost = self.multipliers.reduced_values(net_row, cost_row, price, eligible, floors)
        offer = _best(np.where(self.spent + cost <= self.budget, reduced, -np.inf))
        spent = self.spent + float(cost[offer]) if offer != NONE else self.spent
        expected = self.expected + min(rate, self.budgets[-1]) * (planned - self.planned)
        return offer, replace(self, spent=spent, expected=expected, planned=planned)

    def _planned(self, elapsed: float) -> float:
        if not np.isfinite(elapsed):
            raise BadAllocation(f"{elapsed} is not a share of the period", where="elapsed")
        return float(np.interp(elapsed, np.linspace(0, 1, len(self.plan)), self.plan))

    def _rate(self, planned: float) -> float:
        """Budget of a whole period of the allocation's customers that would spend the rest as fast as it should be."""
        prior = PRIOR * self.budget
        traffic = (prior + self.spent) / (prior + self.expected) if prior > 0 else 1.0
        return (self.budget - self.spent) / max((1 - planned) * traffic, 1e-9)


def _best(reduced: Numbers) -> int:
    best = int(np.argmax(reduced)) if len(reduced) else NONE
    return best if best != NONE and reduced[best] > 0 else NONE


def _row(values: Any, name: str, count: int) -> Numbers:
    row = np.asarray(values, dtype=np.float64)
    if row.shape != (count,):
        raise BadAllocation(f"shape {row.shape} where {count} numbers are needed", where=name)
    return row
