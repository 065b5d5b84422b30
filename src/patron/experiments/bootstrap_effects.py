"""Effects on means and quantiles by the bootstrap: for outcomes so heavy-tailed that a mean's error is no normal."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from patron.estimators.bootstrap import percentile_interval
from patron.experiments.experiment_table import read_arms, read_numbers, read_table
from patron.experiments.result_rows import ResultRows
from patron.schema.errors import BadExperiment
from patron.schema.numbers import Numbers

RESAMPLES = 2_000
MAX_DRAWS = 5_000_000
"""Counts in memory at a time."""


@dataclass(frozen=True)
class BootstrapRow:
    """Effect of one arm on a mean or quantile, in the outcome's unit, with the middle 95 % of the resamples."""

    arm: Any
    effect: float
    low: float
    high: float
    p_value: float
    """Twice the smaller share of resamples on one side of 0."""


@dataclass(frozen=True)
class BootstrapEffects(ResultRows[BootstrapRow]):
    """One row per arm, in their order."""

    rows: tuple[BootstrapRow, ...]


def bootstrap_effects(  # noqa: PLR0913 - one argument for each column of an experiment
    table: Any,
    *,
    group: str,
    outcome: str,
    control: Any,
    quantile: float | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> BootstrapEffects:
    """Effects on the mean, or on a quantile (0.5: the median) of an outcome, in its unit.

    The mean by the Poisson bootstrap: every row counts Poisson(1) times, drawn at once for rows of equal outcome. Both
    arms are resampled from the deviations of arm and control together, so that a small arm has the tails of the large
    one and not only those of its few rows: right where an arm moves customers, and does not make their outcomes much
    more unequal. A quantile by its rank in a resample, which is binomial (Schultzberg and Ankargren 2022), so that
    nothing is resampled. Raises BadExperiment, NotEnoughData.
    """
    if quantile is not None and not 0 < quantile < 1:
        raise BadExperiment(f"{quantile} is not between 0 and 1", where="quantile", todo="The median is 0.5.")
    if resamples < 1:
        raise BadExperiment(f"{resamples} is not above 0", where="resamples")
    rows = read_table(table)
    arms = read_arms(rows, group, control)
    values = read_numbers(rows, outcome)
    rng = np.random.default_rng(seed)
    parts = [values[arms.code == place] for place in range(len(arms.names))]
    if quantile is None:
        effects = [_mean_effect(parts[0], part, resamples, rng) for part in parts[1:]]
    else:
        control = _quantiles(parts[0], quantile, resamples, rng)
        points = [float(np.quantile(part, quantile, method="inverted_cdf")) for part in parts]
        effects = [
            (point - points[0], _quantiles(part, quantile, resamples, rng) - control)
            for point, part in zip(points[1:], parts[1:], strict=True)
        ]
    return BootstrapEffects(
        tuple(_row(arm, effect, draws) for arm, (effect, draws) in zip(arms.names[1:], effects, strict=True))
    )


def _row(arm: Any, effect: float, draws: Numbers) -> BootstrapRow:
    ends = percentile_interval(effect, draws)
    sides = min((draws <= 0).sum(), (draws >= 0).sum())
    p_value = min(1.0, 2 * (float(sides) + 1) / (len(draws) + 1))
    return BootstrapRow(arm, ends.value, low=ends.low, high=ends.high, p_value=p_value)


def _mean_effect(control: Numbers, treated: Numbers, resamples: int, rng: np.random.Generator) -> tuple[float, Numbers]:
    """Difference of the means, and what it may be: less the error of each resample."""
    means = float(control.mean()), float(treated.mean())
    deviations = np.concatenate([control - means[0], treated - means[1]])
    different, counts = np.unique(deviations, return_counts=True)
    shares = [len(one) / len(deviations) for one in (control, treated)]
    chunk = max(1, MAX_DRAWS // len(different))
    errors = []
    for start in range(0, resamples, chunk):
        size = (min(chunk, resamples - start), len(different))
        weights = [rng.poisson(counts * share, size=size) for share in shares]
        of_control, of_treated = (weight @ different / np.maximum(weight.sum(axis=1), 1) for weight in weights)
        errors.append(of_treated - of_control)
    effect = means[1] - means[0]
    return effect, effect - np.concatenate(errors)


def _quantiles(values: Numbers, quantile: float, resamples: int, rng: np.random.Generator) -> Numbers:
    """Quantile of each resample: the value whose rank is drawn."""
    ranks = rng.binomial(len(values) + 1, quantile, size=resamples)
    return np.sort(values)[np.clip(ranks, 1, len(values)) - 1]
