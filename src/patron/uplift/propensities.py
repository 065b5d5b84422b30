"""With which probability each customer was in each arm: known, or estimated, and whether arms overlap."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from patron.schema.errors import BadTrial
from patron.schema.numbers import Numbers
from patron.uplift.base_learners import BaseLearner
from patron.uplift.cross_fitting import Folds
from patron.uplift.trial import Trial, arm_name, column_of, numbers_of

MIN_PROPENSITY = 0.01
"""Estimated probabilities are raised to this: a weight above 100 is one customer's opinion."""
MAX_WITHOUT_OVERLAP = 0.5
ROUNDING = 1e-6
CERTAIN = 6.0
"""Standard errors from which on probabilities do not fit the arms that rows got."""


@dataclass(frozen=True, eq=False)
class Propensities:
    """Probability of each arm for each row."""

    values: Numbers
    """Rows x arms; rows add up to 1."""
    is_known: bool
    findings: tuple[str, ...]

    def of_arm(self, trial: Trial) -> Numbers:
        """Probability of the arm that each row got."""
        return self.values[np.arange(len(trial.arm)), trial.arm]


def propensities(
    propensity: Any, trial: Trial, table: pa.Table | None, matrix: Numbers | None, *, base: BaseLearner, folds: Folds
) -> Propensities:
    """Probabilities as they were declared, or estimated from features where they were not.

    Args:
        propensity: None; {arm: number}; or a column's name or an array: with one offer the probability of the offer,
            with several of the arm that the row got.
        trial: Arms of the rows.
        table: Where a column is read from.
        matrix: Encoded features; None: shares of the arms are the estimate.
        base: Model of the estimate.
        folds: Each row's estimate comes from the other folds.
    """
    if propensity is None:
        return _estimated(trial, matrix, base, folds)
    if isinstance(propensity, Mapping):
        return Propensities(_of_arms(propensity, trial), is_known=True, findings=())
    if isinstance(propensity, str):
        if table is None:
            raise BadTrial("a column's name needs a table", where="propensity", todo="Give an array.")
        propensity = column_of(table, propensity, "propensity")
    values = numbers_of(propensity, "propensity")
    if len(values) != len(trial.arm):
        raise BadTrial(f"{len(values):,} probabilities, and {len(trial.arm):,} rows", where="propensity")
    _refuse_certain(values)
    return Propensities(_of_rows(values, trial, matrix, base, folds), is_known=True, findings=())


def _of_arms(propensity: Mapping[Any, float], trial: Trial) -> Numbers:
    named = {arm_name(name): float(value) for name, value in propensity.items()}
    unknown = [name for name in named if name not in trial.arms]
    if unknown:
        what = f"{', '.join(unknown)} is not an arm; there are {', '.join(trial.arms)}"
        raise BadTrial(what, where="propensity")
    missing = [name for name in trial.arms if name not in named]
    rest = 1 - sum(named.values())
    if len(missing) > 1 or (missing and rest <= 0):
        raise BadTrial(f"no probability of arm {', '.join(missing)}", where="propensity", todo="Name every arm.")
    named |= dict.fromkeys(missing, rest)
    values = np.array([named[name] for name in trial.arms])
    _refuse_certain(values)
    if abs(values.sum() - 1) > ROUNDING:
        raise BadTrial(f"probabilities add up to {values.sum():g}, not to 1", where="propensity")
    return np.broadcast_to(values, (len(trial.arm), len(values))).copy()


def _of_rows(values: Numbers, trial: Trial, matrix: Numbers | None, base: BaseLearner, folds: Folds) -> Numbers:
    """With one offer the probability of the offer; with several of the arm that the row got, the rest estimated."""
    if len(trial.arms) == 2:
        both = np.column_stack([1 - values, values])
        _refuse_misfit(both[np.arange(len(values)), trial.arm], trial, "the probability of the offer")
        return both
    _refuse_misfit(values, trial, "the probability of the arm that the row got")
    estimate = _estimated(trial, matrix, base, folds).values
    place = np.arange(len(values))
    estimate[place, trial.arm] = 0.0
    estimate *= ((1 - values) / estimate.sum(axis=1))[:, None]
    estimate[place, trial.arm] = values
    return estimate


def _refuse_certain(values: Numbers) -> None:
    wrong = values[(values <= 0) | (values >= 1)]
    if len(wrong):
        what = f"a probability of {wrong[0]:g}: such customers have no one to be compared with"
        raise BadTrial(what, where="propensity", todo="Leave out customers who had no choice of arms.")


def _refuse_misfit(chosen: Numbers, trial: Trial, meaning: str) -> None:
    """Rows of an arm, each counted 1 / probability times, are as many as all rows, but for chance."""
    for at, name in enumerate(trial.arms):
        parts = np.where(trial.arm == at, 1 / chosen, 0.0)
        error = max(float(parts.std()), 1e-12) / np.sqrt(len(parts))
        if abs(parts.mean() - 1) > CERTAIN * error + ROUNDING:
            what = f"does not fit the rows of arm {name}: their weights add up to {parts.mean():.3g} times all rows"
            raise BadTrial(what, where="propensity", todo=f"Give {meaning}, or None to estimate it.")


def _estimated(trial: Trial, matrix: Numbers | None, base: BaseLearner, folds: Folds) -> Propensities:
    """A logistic model an arm, cross-fitted, made to add up to 1."""
    count = len(trial.arms)
    if matrix is None or not matrix.shape[1]:
        shares = np.broadcast_to(trial.shares, (len(trial.arm), count)).copy()
        return Propensities(shares, is_known=False, findings=())
    values = np.empty((len(trial.arm), count))
    for at in range(1, count):
        values[:, at] = folds.predict(base, matrix, (trial.arm == at).astype(np.float64), is_binary=True)
    if count == 2:
        values[:, 0] = 1 - values[:, 1]
    else:
        values[:, 0] = folds.predict(base, matrix, (trial.arm == 0).astype(np.float64), is_binary=True)
        values /= values.sum(axis=1, keepdims=True)
    is_rare = values.min(axis=1) < MIN_PROPENSITY
    if is_rare.mean() > MAX_WITHOUT_OVERLAP:
        what = (
            f"the features tell who got which arm: {is_rare.mean():.0%} of the rows had a probability below "
            f"{MIN_PROPENSITY:.0%} of another one"
        )
        todo = "Leave out the feature that decided it, or compare only customers who could get either."
        raise BadTrial(what, where="treatment", todo=todo)
    findings: tuple[str, ...] = ()
    if is_rare.any():
        finding = (
            f"{int(is_rare.sum()):,} of {len(values):,} customers had an estimated probability below "
            f"{MIN_PROPENSITY:.0%} of one of the arms: what is known of their like is extrapolated."
        )
        findings = (finding,)
        values = np.maximum(values, MIN_PROPENSITY)
        values /= values.sum(axis=1, keepdims=True)
    return Propensities(values, is_known=False, findings=findings)
