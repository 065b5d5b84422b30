"""What a policy would have earned, judged from the log of another one."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from patron.estimators.bootstrap import Interval
from patron.estimators.importance_sampling import effective_sample_size
from patron.experiments.decision_log import DecisionLog, as_numbers
from patron.experiments.expected_rewards import expected_rewards
from patron.experiments.off_policy_estimators import (
    DIRECT_METHOD,
    SELF_NORMALISED_DOUBLY_ROBUST,
    SELF_NORMALISED_IPS,
    Estimate,
    estimates,
)
from patron.experiments.off_policy_findings import log_findings, model_findings
from patron.experiments.skewed_intervals import skewed_interval


@dataclass(frozen=True)
class EstimatorRow:
    """What one estimator says, in the reward's unit, with its 95 % interval."""

    estimator: str
    value: float
    low: float
    high: float
    """Of `dm` the interval knows nothing of errors of the expected rewards: it is too narrow."""
    effective_sample_size: float
    """Rows without weights that would be worth as much: (sum of weights)^2 / sum of squares (Kish)."""
    share_clipped: float
    """Share of the rows that lost more than half of their weight, 0 to 1."""
    shrinkage: float | None
    """Lambda of `shrinkage`, tau of `switch`; infinite where weights as they are did best, None for the others."""


@dataclass(frozen=True)
class OffPolicyValue:
    """Mean reward of a decision under the policy, in the reward's unit."""

    value: float
    low: float
    high: float
    """The middle 95 %."""
    estimator: str
    """Whose value it is: self-normalised doubly robust, or self-normalised IPS where nothing models rewards."""
    logged: Interval
    """Mean reward of the log itself."""
    gain: Interval
    """How much more the policy earns a decision than the log did, from the same rows."""
    rows: tuple[EstimatorRow, ...]
    findings: tuple[str, ...]
    """What is wrong with the log or the overlap of the two policies, in sentences; nothing where nothing is."""

    def to_table(self) -> pa.Table:
        """One row per estimator."""
        names = [field_.name for field_ in fields(EstimatorRow)]
        return pa.table({name: [getattr(row, name) for row in self.rows] for name in names})

    def row(self, estimator: str) -> EstimatorRow:
        """What one estimator says. Raises KeyError where the log did not allow it."""
        for one in self.rows:
            if one.estimator == estimator:
                return one
        raise KeyError(f"no {estimator}; there are {', '.join(one.estimator for one in self.rows)}")


def off_policy(  # noqa: PLR0913, PLR0917 - one argument for each part of a log
    reward: Any,
    action: Any,
    propensity: Any,
    target: Any,
    expected: Any = None,
    context: Any = None,
    seed: int = 0,
) -> OffPolicyValue:
    """Mean reward that a policy would have had, from decisions of another one with known propensities.

    Args:
        reward: (n,) what came of each decision, in any unit.
        action: (n,) number of the logged action, a column of `target`.
        propensity: (n,) probability with which the logged action was chosen, above 0.
        target: (n, actions) probabilities of the policy to be judged; rows add up to 1.
        expected: (n, actions) expected reward of each action, from a model that has not seen these rewards.
        context: (n, columns) numbers that were known at the decision, from which expected rewards are cross-fitted
            where `expected` is not given. Without either, rewards are weighted only.
        seed: Of the parts of the cross-fitting.

    Rows count as independent: of a customer with several decisions the interval is too narrow. Formulas and sources:
    docs/explanation/off-policy-evaluation.md. Raises BadLog, NotEnoughData.
    """
    log = DecisionLog.of(reward, action, propensity, target)
    count, actions = log.target.shape
    if expected is not None:
        model = as_numbers(expected, "expected", 2, count, actions)
    elif context is not None:
        model = expected_rewards(log, as_numbers(context, "context", 2, count), seed)
    else:
        model = None
    every = {estimate.estimator: estimate for estimate in estimates(log, model)}
    default = every[SELF_NORMALISED_IPS if model is None else SELF_NORMALISED_DOUBLY_ROBUST]
    rows = {name: _row(one, log) for name, one in every.items()}
    logged = skewed_interval(float(log.reward.mean()), log.reward)
    gain = skewed_interval(default.value - logged.value, default.parts - log.reward)
    chosen = rows[default.estimator]
    findings = (*log_findings(log), *model_findings(every.get(DIRECT_METHOD), default))
    return OffPolicyValue(
        chosen.value,
        chosen.low,
        high=chosen.high,
        estimator=default.estimator,
        logged=logged,
        gain=gain,
        rows=tuple(rows.values()),
        findings=findings,
    )


def _row(one: Estimate, log: DecisionLog) -> EstimatorRow:
    ends = skewed_interval(one.value, one.parts, bias=one.bias)
    if one.weight is None:
        size, clipped = float(len(log.reward)), 0.0
    else:
        size = effective_sample_size(one.weight)
        clipped = float(np.mean(one.weight < log.weight / 2))
    return EstimatorRow(
        one.estimator,
        ends.value,
        low=ends.low,
        high=ends.high,
        effective_sample_size=size,
        share_clipped=clipped,
        shrinkage=one.shrinkage,
    )
