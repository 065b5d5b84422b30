"""Tests of every arm against the control: of means with or without covariates, of ratios, and within strata."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from patron.experiments.arm_moments import Moments
from patron.experiments.effect_tests import WelchTest
from patron.experiments.experiment_table import MIN_ROWS, Arms, Codes
from patron.schema.errors import BadExperiment, NotEnoughData
from patron.schema.numbers import Numbers

Pair = tuple[float, float]
FULLY_EXPLAINED = 1e-12
"""Share of an outcome's variance that covariates must leave."""


@dataclass(frozen=True)
class ArmEffect:
    """What an arm does to the outcome, and where the control is."""

    control: float
    test: WelchTest


def mean_effects(moments: Moments) -> list[ArmEffect]:
    """Differences of the first column's means, less what the other columns explain (CUPED); one for each arm.

    Raises BadExperiment where they explain everything.
    """
    effects = []
    for place in _treated(moments):
        levels, directions = _adjusted_means(moments, place)
        pair = [0, place]
        raw = moments.covariance[pair, 0, 0]
        rest = np.array([moments.variance_along(one, directions[0]) for one in pair])
        if raw.any() and (rest <= FULLY_EXPLAINED * raw).all():
            what = "it explains the outcome fully"
            raise BadExperiment(what, where="covariate", todo="Use what was known before the start.")
        effects.append(_pair_effect(moments, place, levels, directions))
    return effects


def ratio_effects(moments: Moments, denominator: str) -> list[ArmEffect]:
    """Differences of the ratios of two columns' means, by the delta method. Raises BadExperiment."""
    return [_pair_effect(moments, place, *_ratios(moments, place, denominator)) for place in _treated(moments)]


def stratified_effects(arms: Arms, values: Numbers, levels: list[Any], code: Codes, strata: str) -> list[ArmEffect]:
    """Differences in each stratum, weighted with its share of the rows of arm and control. Raises NotEnoughData."""
    count, names = len(levels), arms.names
    moments = Moments.of(arms.code * count + code, len(names) * count, (values,))
    counts, means, variances = (
        part.reshape(len(names), count) for part in (moments.count, moments.mean, moments.covariance)
    )
    effects = []
    for place in range(1, len(names)):
        pair = [0, place]
        is_present = counts[pair].sum(axis=0) > 0
        thin = np.argwhere((counts[pair] < MIN_ROWS) & is_present)
        if len(thin):
            arm, stratum = pair[thin[0, 0]], thin[0, 1]
            what = f"stratum {levels[stratum]} has {counts[arm, stratum]} rows of {names[arm]}, and needs {MIN_ROWS}"
            raise NotEnoughData(what, where=strata, todo="Merge small strata.")
        sizes = counts[pair][:, is_present]
        share = sizes.sum(axis=0) / sizes.sum()
        control, treated = means[pair][:, is_present] @ share
        parts = share**2 * variances[pair][:, is_present] / sizes
        test = WelchTest.of(float(treated - control), parts.ravel(), sizes.ravel())
        effects.append(ArmEffect(float(control), test))
    return effects


def _treated(moments: Moments) -> range:
    return range(1, len(moments.count))


def _pair_effect(moments: Moments, place: int, levels: Pair, directions: tuple[Numbers, Numbers]) -> ArmEffect:
    variances = [
        moments.variance_along(one, direction) / moments.count[one]
        for one, direction in zip((0, place), directions, strict=True)
    ]
    return ArmEffect(levels[0], WelchTest.of(levels[1] - levels[0], variances, moments.count[[0, place]]))


def _adjusted_means(moments: Moments, place: int) -> tuple[Pair, tuple[Numbers, Numbers]]:
    """Means of control and arm less what the covariates explain, and the weights of the columns behind them."""
    products = moments.products_of_pair(0, place)
    scale = np.sqrt(np.diagonal(products)[1:])
    scale = np.where(scale > 0, scale, 1.0)
    slopes = np.linalg.lstsq(products[1:, 1:] / np.outer(scale, scale), products[1:, 0] / scale)[0] / scale
    direction = np.concatenate([[1.0], -slopes])
    pair = [0, place]
    middle = np.average(moments.mean[pair, 1:], axis=0, weights=moments.count[pair])
    means = moments.mean[pair, 0] - (moments.mean[pair, 1:] - middle) @ slopes
    return (float(means[0]), float(means[1])), (direction, direction)


def _ratios(moments: Moments, place: int, denominator: str) -> tuple[Pair, tuple[Numbers, Numbers]]:
    """Ratios of control and arm, and the weights of numerator and denominator in their linearisations."""
    numerators, denominators = moments.mean[[0, place]].T
    if (denominators <= 0).any():
        raise BadExperiment("its mean in an arm is not above 0", where=denominator, todo="A ratio is not defined.")
    ratios = numerators / denominators
    first, second = (np.array([1.0, -ratio]) / low for ratio, low in zip(ratios, denominators, strict=True))
    return (float(ratios[0]), float(ratios[1])), (first, second)
