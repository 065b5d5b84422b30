import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    ndcg_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from patron.estimators.bootstrap import bootstrap_weights, interval, paired_gain
from patron.schema.models import metrics

RNG = np.random.default_rng(7)
AMOUNT = np.round(RNG.gamma(1, 50, 400) * (RNG.random(400) < 0.5))
FORECAST = np.round(AMOUNT * 0.5 + RNG.gamma(2, 10, 400))
HAPPENED = (RNG.random(400) < 0.3).astype(float)
CHANCE = np.clip(np.round(0.2 + 0.3 * HAPPENED + RNG.normal(0, 0.2, 400), 2), 0.01, 0.99)
DECIDED = (CHANCE >= 0.4).astype(float)
OF_DECISIONS = (metrics.ACCURACY, metrics.BALANCED_ACCURACY, metrics.PRECISION, metrics.RECALL, metrics.F1)
OF_CHANCES = (metrics.AUC, metrics.LOG_LOSS, metrics.BRIER, metrics.AVERAGE_PRECISION, metrics.LIFT)
RANKING_METRICS = (metrics.NDCG_AT_10, metrics.RECALL_AT_10, metrics.NOVEL_NDCG_AT_10)
"""Measured customer by customer; the metric is the mean."""
ALL_METRICS = [
    value for value in vars(metrics).values() if isinstance(value, metrics.Metric) and value not in RANKING_METRICS
]


def test_measures_agree_with_their_references():
    assert metrics.auc(HAPPENED, CHANCE) == pytest.approx(roc_auc_score(HAPPENED, CHANCE))
    assert metrics.log_loss(HAPPENED, CHANCE) == pytest.approx(log_loss(HAPPENED, CHANCE))
    assert metrics.brier(HAPPENED, CHANCE) == pytest.approx(brier_score_loss(HAPPENED, CHANCE))
    assert metrics.average_precision(HAPPENED, CHANCE) == pytest.approx(average_precision_score(HAPPENED, CHANCE))
    assert metrics.spearman(AMOUNT, FORECAST) == pytest.approx(spearmanr(AMOUNT, FORECAST).statistic)
    assert metrics.normalised_gini(HAPPENED, CHANCE) == pytest.approx(2 * roc_auc_score(HAPPENED, CHANCE) - 1)


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        (metrics.ACCURACY, accuracy_score),
        (metrics.BALANCED_ACCURACY, balanced_accuracy_score),
        (metrics.PRECISION, precision_score),
        (metrics.RECALL, recall_score),
        (metrics.F1, f1_score),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_measures_of_decisions_agree_with_their_references(metric, reference):
    assert metric.of(HAPPENED, DECIDED) == pytest.approx(reference(HAPPENED, DECIDED))


def test_the_order_of_rows_says_nothing_about_the_calibration_of_equal_forecasts():
    happened = np.array([0.0] * 70 + [1.0] * 30)
    assert metrics.calibration_error(happened, np.full(100, 0.3)) == pytest.approx(0)
    steps = np.array([0.1] * 50 + [0.5] * 50)
    assert metrics.calibration_error(happened, steps) == pytest.approx(
        metrics.calibration_error(happened[::-1], steps[::-1])
    )


def test_lift_is_the_share_of_positives_in_the_highest_tenth_over_that_of_all():
    happened = np.array([0.0] * 15 + [1.0] * 5)
    assert metrics.lift(happened, np.arange(20.0)) == pytest.approx(4)
    assert metrics.lift(happened, np.ones(20)) == pytest.approx(1)
    half = np.concatenate([np.zeros(16), np.full(4, 0.5)])  # the highest four are alike: two of them are in the tenth
    assert metrics.lift(happened, half) == pytest.approx(4)


def test_decisions_that_choose_nobody_have_no_precision_and_an_f1_of_0():
    assert np.isnan(metrics.precision(HAPPENED, np.zeros(400)))
    assert metrics.f1(HAPPENED, np.zeros(400)) == 0


def test_measures_of_a_case_small_enough_to_do_by_hand():
    actual, forecast = np.array([0.0, 10.0]), np.array([2.0, 6.0])
    assert metrics.rmse(actual, forecast) == pytest.approx(np.sqrt(10))
    assert metrics.mae(actual, forecast) == 3
    assert metrics.bias_share(actual, forecast) == pytest.approx(-0.2)
    assert metrics.rmse_winsorised(actual, np.array([0.0, 1e9])) == 0.0


def test_perfect_forecasts_are_perfect_and_constant_ones_rank_nothing():
    assert metrics.normalised_gini(AMOUNT, AMOUNT) == 1
    assert metrics.decile_mape(AMOUNT + 1, AMOUNT + 1) == 0
    assert metrics.normalised_gini(AMOUNT, np.ones(400)) == pytest.approx(0)
    assert np.isnan(metrics.spearman(AMOUNT, np.ones(400)))
    assert np.isnan(metrics.auc(np.ones(5), np.arange(5.0)))


@pytest.mark.parametrize("metric", ALL_METRICS, ids=lambda metric: metric.name)
def test_whole_weights_are_the_same_as_repeated_rows(metric):
    actual, forecast = (HAPPENED, CHANCE) if metric in OF_CHANCES else (AMOUNT, FORECAST)
    if metric in OF_DECISIONS:
        actual, forecast = HAPPENED, DECIDED
    ones = np.ones((2, 400))
    assert metric.of(actual, forecast, ones) == pytest.approx(np.repeat(metric.of(actual, forecast), 2))
    weights = bootstrap_weights(np.arange(400), rng=np.random.default_rng(1), resamples=3)
    together = metric.of(actual, forecast, weights)
    assert together == pytest.approx([float(metric.of(actual, forecast, row)) for row in weights])
    exact = (metrics.RMSE, metrics.MAE, metrics.SPEARMAN, metrics.BIAS_SHARE)
    if metric in (*OF_CHANCES, *OF_DECISIONS, *exact):
        repeated = np.repeat(np.arange(400), weights[0].astype(int))
        assert together[0] == pytest.approx(metric.of(actual[repeated], forecast[repeated]))


def test_ndcg_agrees_with_its_reference():
    gains = np.array([[1.0, 0, 1, 0, 0]])
    assert metrics.ndcg(gains, np.array([2])) == pytest.approx(ndcg_score(gains, np.array([[5.0, 4, 3, 2, 1]])))
    assert metrics.ndcg(gains * 0, np.array([0])) == 0


def test_all_rows_of_a_customer_are_drawn_together():
    weights = bootstrap_weights(np.array(["a", "b", "a"]), rng=np.random.default_rng(0), resamples=50)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] + weights[:, 1] == 2).all()


def test_bootstrap_intervals_are_as_wide_as_theory_says():
    error = np.random.default_rng(4).normal(0, 1, 2000)
    weights = bootstrap_weights(np.arange(2000), rng=np.random.default_rng(5), resamples=600)
    found = interval(metrics.MAE, error, np.zeros(2000), weights=weights)
    theory = 2 * 1.96 * np.abs(error).std() / np.sqrt(2000)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(theory, rel=0.12)


def test_a_paired_gain_is_surer_than_two_intervals():
    weights = bootstrap_weights(np.arange(400), rng=np.random.default_rng(5))
    gain = paired_gain(metrics.RMSE, AMOUNT, FORECAST, FORECAST + 5, weights=weights)
    assert gain.low > 0
    same = paired_gain(metrics.AUC, HAPPENED, CHANCE, CHANCE, weights=weights)
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_bias_is_better_the_nearer_it_is_to_zero():
    assert metrics.BIAS_SHARE.gain(-0.1, 0.3) == pytest.approx(0.2)


def test_the_same_population_has_no_drift_and_a_shifted_one_has():
    here = RNG.normal(0, 1, 3000)
    assert metrics.population_stability_index(here, here) == 0
    assert metrics.population_stability_index(here, RNG.normal(1, 1, 3000)) > 0.25
    assert metrics.population_stability_index(here, np.full(10, np.nan)) > 0.25


@pytest.mark.parametrize("metric", RANKING_METRICS, ids=lambda metric: metric.name)
def test_a_ranking_metric_is_the_weighted_mean_of_its_customers(metric):
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 3.0, 1.0]])
    assert metric.of(np.array([0.0, 0.5, 1.0])) == pytest.approx(0.5)
    assert metric.of(np.array([0.0, 0.5, 1.0]), weights) == pytest.approx([0.5, 0.625])
    assert np.isnan(metric.of(np.array([]), np.zeros((2, 0)))).all()
    assert metric.gain(0.6, 0.5) > 0
