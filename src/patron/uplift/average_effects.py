"""What offers changed on average, in a trial or in mere history, and how strong a hidden cause would have to be."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from patron.estimators.bootstrap import Interval
from patron.schema.numbers import Numbers
from patron.uplift.cross_fitting import Folds
from patron.uplift.doubly_robust import doubly_robust_scores, outcome_means
from patron.uplift.feature_encoding import FeatureEncoding
from patron.uplift.leaf_effects import NORMAL_95
from patron.uplift.linear_model import Linear
from patron.uplift.propensities import propensities
from patron.uplift.trial import Trial, as_table, feature_names

WARNING = (
    "Arms were not drawn at random as far as is declared: these effects are right only if the features hold every "
    "cause that both offer and outcome depend on. A randomised trial needs no such belief."
)


@dataclass(frozen=True)
class AverageEffect:
    """Mean effect of one offer, in the outcome's unit, with 95 % intervals."""

    offer: str
    raw: float
    """Difference of means, nothing adjusted."""
    raw_low: float
    raw_high: float
    effect: float
    """Doubly robust."""
    low: float
    high: float
    robustness: float
    """Share, 0 to 1, of what features leave open of both the arm and the outcome that a hidden cause would have to
    explain to bring the effect to 0 (Cinelli and Hazlett 2020)."""
    robustness_of_interval: float
    """The same, to bring 0 into the interval; 0 where it is there already."""
    strongest_feature: str
    """The feature that, were it hidden, would bias most; empty without features."""
    strongest_share: float
    """The share that it explains, comparable with `robustness`."""
    sentence: str


@dataclass(frozen=True)
class AverageEffects:
    """Mean effect of each offer."""

    rows: tuple[AverageEffect, ...]
    warning: str
    """What must be believed where arms were not drawn; empty where their probabilities are known."""
    findings: tuple[str, ...]

    def to_table(self) -> pa.Table:
        """One row per offer."""
        names = [one.name for one in fields(AverageEffect)]
        return pa.table({name: [getattr(row, name) for row in self.rows] for name in names})


def average_effects(  # noqa: PLR0913 - what a trial is
    table: Any,
    *,
    treatment: str,
    control: Any = 0,
    outcome: str,
    features: Iterable[str] | None = None,
    propensity: Any = None,
    seed: int = 0,
) -> AverageEffects:
    """Mean effect of each offer on all customers, doubly robust, next to the raw difference of means.

    Arguments as in `fit`. Without `propensity` the arms count as chosen by somebody, not drawn: the result carries a
    warning and says how strong a hidden cause would have to be. Raises BadTrial, NotEnoughData.
    """
    rows = as_table(table)
    trial = Trial.of_table(rows, treatment, control, outcome)
    without = [treatment, outcome, *([propensity] if isinstance(propensity, str) else [])]
    encoding = FeatureEncoding.of(rows, feature_names(rows, features, without))
    matrix = encoding.matrix(rows)
    base, folds = Linear(), Folds.of(trial.arm, seed)
    chances = propensities(propensity, trial, rows, matrix, base=base, folds=folds)
    means = outcome_means(trial, matrix, base, folds)
    scores = doubly_robust_scores(trial, means, chances)
    error = trial.outcome - means[np.arange(len(means)), trial.arm]
    effects = []
    for at, offer in enumerate(trial.offers, start=1):
        gain = _mean(scores[:, at] - scores[:, 0])
        weight = (trial.arm == at) / chances.values[:, at] - (trial.arm == 0) / chances.values[:, 0]
        size = float(np.sqrt((error**2).mean() * (weight**2).mean()))
        near = max(gain.low, -gain.high, 0.0)
        name, share = _strongest(matrix, encoding.names, trial, at)
        strength = robustness_share(gain.value / size), robustness_share(near / size)
        sentence = _sentence(offer, gain, strength, name, share)
        raw = _raw(trial, at)
        effects.append(
            AverageEffect(
                offer, raw.value, raw.low, raw.high, gain.value, gain.low, gain.high, *strength, name, share, sentence
            )
        )
    return AverageEffects(tuple(effects), "" if chances.is_known else WARNING, chances.findings)


def robustness_share(ratio: float) -> float:
    """The share r with r / sqrt(1 - r) = ratio: explaining so much of arm and outcome moves an effect by ratio x size.

    The size is sqrt(mean squared error of outcomes x mean squared weight) (Chernozhukov et al. 2022).
    """
    square = ratio**2
    return float((np.sqrt(square**2 + 4 * square) - square) / 2)


def _strongest(matrix: Numbers, names: tuple[str, ...], trial: Trial, at: int) -> tuple[str, float]:
    """The column whose partial shares of arm and outcome bias most, as one share."""
    rows = (trial.arm == 0) | (trial.arm == at)
    if not names:
        return "", 0.0
    arm = (trial.arm[rows] == at).astype(np.float64)
    of_arm = _partial_shares(matrix[rows], arm)
    of_outcome = _partial_shares(np.column_stack([matrix[rows], arm]), trial.outcome[rows])[:-1]
    squares = of_outcome * of_arm / np.maximum(1 - of_arm, 1e-12)
    best = int(squares.argmax())
    return names[best], robustness_share(float(np.sqrt(squares[best])))


def _partial_shares(matrix: Numbers, outcome: Numbers) -> Numbers:
    """Share of what the other columns leave open that each column explains, by least squares."""
    centred, values = matrix - matrix.mean(axis=0), outcome - outcome.mean()
    inverse = np.linalg.pinv(centred.T @ centred)
    slopes = inverse @ (centred.T @ values)
    rest = float(((values - centred @ slopes) ** 2).sum())
    explained = np.divide(slopes**2, np.diag(inverse), out=np.zeros(len(slopes)), where=np.diag(inverse) > 0)
    return explained / np.maximum(explained + rest, 1e-300)


def _mean(values: Numbers) -> Interval:
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - NORMAL_95 * error, mean + NORMAL_95 * error)


def _raw(trial: Trial, at: int) -> Interval:
    """Difference of means with Welch's error."""
    offered, others = trial.outcome[trial.arm == at], trial.outcome[trial.arm == 0]
    gap = float(offered.mean() - others.mean())
    half = NORMAL_95 * float(np.sqrt(offered.var(ddof=1) / len(offered) + others.var(ddof=1) / len(others)))
    return Interval(gap, gap - half, gap + half)


def _sentence(offer: str, gain: Interval, strength: tuple[float, float], name: str, share: float) -> str:
    text = f"{offer} changed the outcome by {gain.value:.4g} [{gain.low:.4g}, {gain.high:.4g}] a customer. "
    if not strength[1]:
        return f"{text}It may be nothing, hidden causes or not."
    text += (
        f"A hidden cause would have to explain {strength[0]:.1%} of what the features leave open of both the arm and "
        f"the outcome to bring it to 0, and {strength[1]:.1%} to make it doubtful"
    )
    return f"{text}; the strongest known feature, {name}, explains {share:.1%}." if name else f"{text}."
