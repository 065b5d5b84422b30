"""Constraints that cannot all hold, by name: a floor and whatever keeps it from being reached."""

import numpy as np

from patron.allocation.lagrangian import Dual
from patron.allocation.problem import AllocationProblem, Codes
from patron.schema.errors import ConflictingConstraints

TODO = "Lower the floor, or loosen the other limit."
PART = 1e-3
"""Of the largest price of a conflict, from which on a limit is a part of it."""


def refuse_conflicts(problem: AllocationProblem) -> None:
    """Check each floor against each other limit alone. Raises ConflictingConstraints."""
    offers = problem.net.shape[1]
    eligible = np.isfinite(problem.net)
    for floor in range(problem.members.shape[1]):
        least = -problem.limits[offers + 2 + floor]
        if not np.isfinite(least):
            continue
        members = problem.members[:, floor] & eligible.any(axis=1)
        where = f"floors[{floor}]"
        if members.sum() < least:
            what = f"at least {least:,.0f} offers, but only {members.sum():,} of its customers are eligible"
            raise ConflictingConstraints(what, where=f"{where} and eligible", todo=TODO)
        contacts, stock = problem.limits[offers + 1], problem.limits[1 : offers + 1].sum()
        for most, name in ((contacts, "contacts"), (stock, "stock")):
            if most < least:
                what = f"at least {least:,.0f} offers, but at most {most:,.0f}"
                raise ConflictingConstraints(what, where=f"{where} and {name}", todo=TODO)
        cheapest = np.where(eligible[members], problem.cost[members], np.inf).min(axis=1)
        total = np.partition(cheapest, int(least) - 1)[: int(least)].sum()
        if total > problem.limits[0] * (1 + 1e-12):
            what = f"the cheapest {least:,.0f} offers cost {total:,.2f}, but the budget is {problem.limits[0]:,.2f}"
            raise ConflictingConstraints(what, where=f"{where} and budget", todo=TODO)


def refuse_unbounded(problem: AllocationProblem, dual: Dual) -> None:
    """Name limits that hold one by one, but not together: those whose prices rise for ever. Raises."""
    if not dual.is_unbounded:
        return
    unit = np.ones(len(dual.prices))
    unit[0] = problem.cost[np.isfinite(problem.net)].mean() or 1.0
    prices = dual.prices * unit
    parts = [name for name, price in zip(problem.names, prices, strict=True) if price > PART * prices.max()]
    what = "these constraints cannot all hold, whatever the offers are worth"
    raise ConflictingConstraints(what, where=_together(parts), todo=TODO)


def refuse_broken(problem: AllocationProblem, choice: Codes) -> None:
    """The last check of every constraint. Raises ConflictingConstraints."""
    excess = problem.excess(choice)
    if not excess.any():
        return
    broken = [f"{name} by {over:,.6g}" for name, over in zip(problem.names, excess, strict=True) if over]
    others = [name for name, limited in zip(problem.names, problem.is_limited, strict=True) if limited]
    what = f"no whole offers were reached that hold them all; the nearest ones exceed {', '.join(broken)}"
    raise ConflictingConstraints(what, where=_together(others), todo="Loosen one of them by the size of a few offers.")


def _together(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
