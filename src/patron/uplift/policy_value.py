"""What a policy is worth a customer, from a trial in which arms were given otherwise."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from patron.estimators.bootstrap import percentile_interval
from patron.estimators.importance_sampling import self_normalised_mean
from patron.schema.errors import BadTrial
from patron.uplift.cross_fitting import Folds
from patron.uplift.doubly_robust import doubly_robust_scores, outcome_means
from patron.uplift.effect_ranking import RESAMPLES
from patron.uplift.feature_encoding import FeatureEncoding
from patron.uplift.linear_model import Linear
from patron.uplift.propensities import propensities
from patron.uplift.trial import Trial, as_table, feature_names


@dataclass(frozen=True)
class PolicyValue:
    """Mean outcome of a customer under the policy, in the outcome's unit, with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    method: str
    """`ips` or `dr`."""


def policy_value(  # noqa: PLR0913 - what a trial is
    outcome: Any,
    decision: Any,
    treatment: Any,
    *,
    control: Any = 0,
    propensity: Any = None,
    table: Any = None,
    features: Iterable[str] | None = None,
    seed: int = 0,
) -> PolicyValue:
    """Mean outcome had the policy chosen everybody's arm, in the outcome's unit.

    Args:
        outcome: (n,) what came of each row.
        decision: (n,) arm that the policy chooses, as `Policy.decide` gives it.
        treatment: (n,) arm that the row got.
        control: The arm without an offer.
        propensity: None (estimated; without a table the shares of the arms), {arm: p}, a column of the table, an array.
        table: Features of the rows, from which outcomes are cross-fitted: doubly robust (`dr`). None: weighted
            outcomes of the rows whose arm is the policy's, divided by the sum of weights (`ips`).
        features: Columns of the table; None: all.
        seed: Of folds and bootstrap.

    Raises BadTrial, NotEnoughData.
    """
    trial = Trial.of(treatment, outcome, control)
    trial.refuse_unlearnable()
    chosen = Trial.of(decision, trial.outcome, control, trial.arms).arm
    place = np.arange(len(chosen))
    base, folds = Linear(), Folds.of(trial.arm, seed)
    rows = None if table is None else as_table(table)
    if rows is None:
        chances = propensities(propensity, trial, None, None, base=base, folds=folds)
        above = np.where(trial.arm == chosen, 1 / chances.of_arm(trial), 0.0)
        if not above.any():
            raise BadTrial("no row got the arm that the policy chooses", where="decision", todo="Try these arms first.")
        values = trial.outcome
        weight = above
        method = "ips"
    else:
        names = feature_names(rows, features, [propensity] if isinstance(propensity, str) else [])
        matrix = FeatureEncoding.of(rows, names).matrix(rows)
        chances = propensities(propensity, trial, rows, matrix, base=base, folds=folds)
        scores = doubly_robust_scores(trial, outcome_means(trial, matrix, base, folds), chances)
        values = scores[place, chosen]
        weight = np.ones(len(chosen))
        method = "dr"
    rng, parts = np.random.default_rng(seed), weight * values
    draws = []
    for _ in range(RESAMPLES):
        rows_drawn = rng.integers(0, len(parts), len(parts))
        draws.append(parts[rows_drawn].sum() / max(weight[rows_drawn].sum(), 1e-12))
    ends = percentile_interval(self_normalised_mean(weight, values), np.array(draws))
    return PolicyValue(ends.value, ends.low, ends.high, method)
