"""The rule by which a learner is preferred, and the intervals it goes by."""

import numpy as np
import pytest

from patron.schema.models.metrics import auc
from patron.tabular.preference import FoldedAUC, prefer


def forecasts(rng, label, skill):
    return skill * label + rng.normal(size=len(label))


def test_an_auc_of_one_fold_is_the_auc_with_ties_half():
    label = np.array([0.0, 1, 1, 0, 1])
    forecast = np.array([0.2, 0.2, 0.9, 0.5, 0.5])
    assert FoldedAUC.of([label], [forecast]).value == pytest.approx(float(auc(label, forecast)))


def test_folds_are_measured_apart_and_weighted_by_their_rows():
    first, second = np.array([0.0, 1]), np.array([0.0, 1, 0, 1])
    value = FoldedAUC.of([first, second], [np.array([5.0, 9]), np.array([0.1, 0.2, 0.3, 0.4])]).value
    assert value == pytest.approx((2 * 1 + 4 * 0.75) / 6)


def test_the_interval_of_a_difference_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        label = (rng.random(300) < 0.3).astype(float)
        shared = forecasts(rng, label, 1.0)
        pair = [FoldedAUC.of([label], [shared + 0.5 * rng.normal(size=300)]) for _ in range(2)]
        gap = pair[0].below(pair[1], np.arange(300))
        covered += gap.low <= 0 <= gap.high
    assert 0.92 < covered / 400 < 0.98  # three standard errors around .95


def test_rows_of_a_group_vary_together():
    rng = np.random.default_rng(1)
    label, one, other = (np.repeat(rng.random(100), 5) for _ in range(3))
    label = (label < 0.4).astype(float)
    single, grouped = (
        FoldedAUC.of([label], [one]).below(FoldedAUC.of([label], [other]), units)
        for units in (np.arange(500), np.repeat(np.arange(100), 5))
    )
    assert grouped.high - grouped.low > 1.8 * (single.high - single.low)


def test_the_simplest_within_noise_is_preferred_and_a_worse_one_never():
    rng = np.random.default_rng(2)
    label = (rng.random(4000) < 0.3).astype(float)
    best = forecasts(rng, label, 1.5)
    aucs = {
        "poor": FoldedAUC.of([label], [forecasts(rng, label, 0.3)]),
        "simple": FoldedAUC.of([label], [best + 0.02 * rng.normal(size=4000)]),
        "complex": FoldedAUC.of([label], [best]),
    }
    chosen = prefer(aucs, {"poor": 0, "simple": 1, "complex": 2}, np.arange(4000))
    assert chosen.preferred == "simple"
    assert chosen.gaps["poor"].low > 0
