"""Customers that a fit has not seen, with doubly robust scores: what policies and curves are judged on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from patron.schema.errors import BadTrial
from patron.schema.numbers import Numbers
from patron.uplift.cross_fitting import Folds
from patron.uplift.doubly_robust import doubly_robust_scores, outcome_means
from patron.uplift.fitted_uplift import FittedUplift
from patron.uplift.linear_model import Linear
from patron.uplift.propensities import propensities
from patron.uplift.trial import Trial, arm_name, as_table, column_of, numbers_of


@dataclass(frozen=True, eq=False)
class ScoredTrial:
    """Rows of a trial, with what each would bring in each arm, before cost."""

    table: pa.Table
    trial: Trial
    gains: Numbers
    """Rows x offers: doubly robust effect of each offer x value, noisy by row and right on average."""
    effects: Numbers
    """Rows x offers: effects of the fit x value."""
    costs: Numbers
    """Rows x offers."""
    findings: tuple[str, ...]

    @classmethod
    def of(  # noqa: PLR0913 - what a trial is
        cls,
        fitted: FittedUplift,
        table: Any,
        columns: tuple[str, Any, str],
        *,
        cost: Mapping[Any, Any],
        value: float,
        propensity: Any,
        seed: int,
    ) -> Self:
        """Score rows; `columns` are treatment, control (a value) and outcome. Raises BadTrial, NotEnoughData."""
        treatment, control, outcome = columns
        rows = as_table(table)
        if arm_name(control) != fitted.control:
            raise BadTrial(f"{control} was not the control of the fit, {fitted.control} was", where="control")
        if not np.isfinite(value) or value < 0:
            raise BadTrial(f"{value:g} is not a finite number from 0 on", where="value", todo="Give money an outcome.")
        trial = Trial.of_table(rows, treatment, control, outcome, fitted.arms)
        costs = offer_costs(cost, fitted.arms, rows)
        matrix = fitted.encoding.matrix(rows)
        base, folds = Linear(), Folds.of(trial.arm, seed)
        known = fitted.propensity if propensity is None else propensity
        chances = propensities(known, trial, rows, matrix, base=base, folds=folds)
        scores = doubly_robust_scores(trial, outcome_means(trial, matrix, base, folds), chances)
        gains = value * (scores[:, 1:] - scores[:, :1])
        return cls(rows, trial, gains, value * fitted.model.effects(matrix), costs, chances.findings)


def offer_costs(cost: Mapping[Any, Any], arms: tuple[str, ...], table: pa.Table) -> Numbers:
    """Cost of each offer to each row, as rows x offers: numbers, or names of columns. Raises BadTrial."""
    named = {arm_name(name): one for name, one in cost.items()}
    unknown = [name for name in named if name not in arms]
    missing = [name for name in arms[1:] if name not in named]
    if unknown or missing:
        what = f"{unknown[0]} is not an arm of the fit" if unknown else f"no cost of {', '.join(missing)}"
        raise BadTrial(what, where="cost", todo=f"Give what one offer of each costs: {', '.join(arms[1:])}.")
    if named.get(arms[0], 0.0) != 0:
        raise BadTrial(
            f"the control {arms[0]} cannot cost anything", where="cost", todo="Give costs above the control's."
        )
    costs = np.empty((table.num_rows, len(arms) - 1))
    for at, name in enumerate(arms[1:]):
        one = named[name]
        costs[:, at] = numbers_of(column_of(table, one, "cost"), f"cost of {name}") if isinstance(one, str) else one
    wrong = costs[~np.isfinite(costs) | (costs < 0)]
    if len(wrong):
        what = f"{wrong[0]:g} is not a finite number from 0 on"
        raise BadTrial(what, where="cost", todo="Give what an offer costs, in the unit of value.")
    return costs
