"""What is wrong with a log for judging a policy, in sentences."""

import numpy as np

from patron.estimators.importance_sampling import effective_sample_size
from patron.experiments.decision_log import ROUNDING, DecisionLog
from patron.experiments.off_policy_estimators import Estimate
from patron.experiments.skewed_intervals import skewed_interval

SURE = 0.999
"""Level of the intervals behind a finding: of a sound log, one finding of a kind in a thousand."""
MIN_UNSEEN = 0.001
"""Share of the policy's probability on actions without a row from which on it is a finding."""
MIN_EFFECTIVE = 100
MAX_SHARE = 0.05
"""Of all weight, that of a single row."""
MIN_OUTCOMES = 10


def log_findings(log: DecisionLog) -> list[str]:
    """Overlap, propensities, weights and outcomes of a log; nothing where nothing is wrong."""
    return [*_overlap(log), *_propensities(log), *_weights(log), *_outcomes(log)]


def model_findings(direct: Estimate | None, default: Estimate) -> list[str]:
    """Whether the logged rewards contradict the expected ones."""
    if direct is None:
        return []
    correction = skewed_interval(default.value - direct.value, default.parts - direct.parts, SURE)
    if correction.low <= 0 <= correction.high:
        return []
    values = f"Expected rewards alone give {direct.value:.4g}, the log corrects this by {correction.value:+.4g}"
    return [f"{values}: the model of rewards is wrong where the policy acts, so do not use the direct method."]


def _overlap(log: DecisionLog) -> list[str]:
    is_missing = np.bincount(log.action, minlength=log.target.shape[1]) == 0
    share = float(log.target[:, is_missing].sum(axis=1).mean())
    if share < MIN_UNSEEN:
        return []
    wanted = int((log.target[:, is_missing] > 0).any(axis=0).sum())
    actions = "1 action" if wanted == 1 else f"{wanted:,} actions"
    mass = f"The policy puts {share:.1%} of its probability on {actions} that the log never took"
    return [f"{mass}: what they bring is unknown, and no interval holds it."]


def _propensities(log: DecisionLog) -> list[str]:
    findings = []
    weight = log.weight
    inverse = 1 / log.propensity
    ends = skewed_interval(float(weight.mean()), weight, SURE)
    if ends.high < 1 - ROUNDING:
        findings.append(
            f"Weights average {ends.value:.3g} instead of 1: the policy acts where the log never did, "
            "or logged propensities are too large."
        )
    elif ends.low > 1 + ROUNDING:
        findings.append(f"Weights average {ends.value:.3g} instead of 1: logged propensities are too small.")
    ends, count = skewed_interval(float(inverse.mean()), inverse, SURE), log.target.shape[1]
    if ends.low > count * (1 + ROUNDING):
        findings.append(
            f"One over the propensity averages {ends.value:.4g}, and there are {count:,} actions: "
            "propensities do not add up to 1, they are too small."
        )
    return findings


def _weights(log: DecisionLog) -> list[str]:
    findings, weight = [], log.weight
    effective = effective_sample_size(weight)
    if effective < min(MIN_EFFECTIVE, len(weight) / 2):
        findings.append(
            f"For this policy the {len(weight):,} rows are worth {effective:,.0f}: it differs too much from the log."
        )
    elif effective < MIN_EFFECTIVE:
        findings.append(
            f"The log has {len(weight):,} rows, worth {effective:,.0f} for this policy: too few to be sure."
        )
    largest = float(weight.max() / weight.sum())
    if largest > MAX_SHARE:
        findings.append(
            f"A single row has {largest:.0%} of all weight ({weight.max():,.0f} times its share): "
            "the value depends on what happened to it."
        )
    return findings


def _outcomes(log: DecisionLog) -> list[str]:
    count = log.outcome_count
    if count >= MIN_OUTCOMES:
        return []
    rows = "1 row has" if count == 1 else f"{count} rows have"
    return [f"Only {rows} another reward than {log.usual_reward:g} and an action of the policy: too few to judge it."]
