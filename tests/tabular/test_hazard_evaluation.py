"""Scores of hazards against lifelines and against what is planted; warnings before customers leave."""

import numpy as np
import pyarrow as pa
import pytest
from made_lifetimes import fading_person_periods, landmarks, lifetimes, proportional_table

from patron.schema.errors import BadComparison, NotEnoughData
from patron.tabular.hazards import early_warning, evaluate_hazards, fit_hazards, fit_person_periods
from patron.tabular.hazards.evaluation import Follow

COLUMNS = {"duration": "periods", "event": "left", "id": "customer_id"}
LANDMARKS = {"duration": "until", "event": "gone", "start": "since", "id": "customer_id"}


@pytest.fixture(scope="module")
def others():
    return proportional_table(seed=1)[0]


@pytest.fixture(scope="module")
def fitted():
    return fit_hazards(proportional_table()[0], **COLUMNS, learner="logistic")


@pytest.fixture(scope="module")
def evaluation(fitted, others):
    return evaluate_hazards(fitted, others, periods=[6, 12])


@pytest.fixture(scope="module")
def fading():
    return fading_person_periods(), fading_person_periods(seed=1)


def test_concordance_is_harrells(fitted, others, evaluation):
    """Counted pair by pair; lifelines 0.30.3 gives the same for these customers (to 12 digits)."""
    duration, event = others["periods"].to_numpy(), others["left"].to_numpy() > 0
    risk = fitted.chance_within(others, evaluation.horizon)
    right = pairs = 0.0
    for at in np.flatnonzero(event & (duration <= evaluation.horizon)):
        longer = (duration > duration[at]) | ((duration == duration[at]) & ~event)
        right += (risk[at] > risk[longer]).sum() + (risk[at] == risk[longer]).sum() / 2
        pairs += longer.sum()
    assert evaluation.score("logistic", "concordance").value == pytest.approx(right / pairs, abs=1e-9)


def test_the_model_beats_the_life_table_on_a_planted_effect(evaluation):
    for metric in ("concordance", "concordance_uncensored", "integrated_brier", "log_loss"):
        assert evaluation.gain(metric).low > 0, metric
    for period in (6, 12):
        assert evaluation.gain("brier", period).low > 0
        assert evaluation.score("logistic", "auc", period).value > 0.7
        assert evaluation.score("life table", "auc", period).value == 0.5
        share, forecast = (evaluation.score("logistic", name, period) for name in ("share_left", "mean_forecast"))
        assert share.low < forecast.value < share.high
        assert evaluation.score("logistic", "calibration_error", period).value < 0.04
    for score in evaluation.scores:
        assert score.low - 1e-6 <= score.value <= score.high + 1e-6, score


def test_censoring_does_not_move_the_scores():
    """The same customers, once all observed to the end and once censored at random: IPCW finds the same numbers."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=20_000)
    hazards = np.repeat((0.08 * np.exp(0.8 * x)).clip(0, 0.8)[:, None], 12, axis=1)
    leaves = rng.random(hazards.shape) < hazards
    left = np.where(leaves.any(axis=1), leaves.argmax(axis=1) + 1, 13)
    censored = rng.integers(1, 16, len(x))
    whole = pa.table({"x": x, "periods": np.minimum(left, 12), "left": left <= 12})
    part = pa.table(
        {"x": x, "periods": np.minimum(left, np.minimum(censored, 12)), "left": left <= np.minimum(censored, 12)}
    )
    fitted = fit_hazards(part, duration="periods", event="left", learner="logistic")
    one, two = (evaluate_hazards(fitted, table, periods=[4, 8]) for table in (whole, part))
    for metric, period in (("brier", 4), ("brier", 8), ("auc", 8), ("share_left", 8)):
        assert two.score("logistic", metric, period).value == pytest.approx(
            one.score("logistic", metric, period).value, abs=0.01
        )


def test_the_chance_to_be_observed_is_kaplan_meier_of_the_censoring():
    # events before censoring in the same period: 1 of 3 stayers is censored after period 1, 1 of 1 after period 2
    follow = Follow(np.array([1, 1, 2, 2]), np.array([True, False, True, False]))
    assert follow.observed_chance.tolist() == pytest.approx([1, 1, 2 / 3])
    assert follow.weights(2).tolist() == pytest.approx([1, 0, 1.5, 1.5])


def test_the_baseline_is_evaluated_alone(others):
    evaluation = evaluate_hazards(fit_hazards(others, **COLUMNS, learner="baseline"), others)
    assert {score.model for score in evaluation.scores} == {"life table"}
    assert evaluation.gains == ()


def test_what_cannot_be_judged_is_refused(fitted, others):
    with pytest.raises(BadComparison, match="99 periods cannot be judged"):
        evaluate_hazards(fitted, others, periods=[99])
    with pytest.raises(NotEnoughData, match="5 customers are too few"):
        evaluate_hazards(fitted, others.filter(pa.array(others["left"].to_numpy() > 0)).slice(0, 5))
    with pytest.raises(NotEnoughData, match="none of"):
        evaluate_hazards(fitted, others.filter(pa.array(others["left"].to_numpy() == 0)))


def test_landmarks_forecast_several_periods_of_features_that_change_and_person_periods_do_not(fading):
    """Activity that is high now fades later: only a model that learned at landmarks knows it."""
    rows, other_rows = fading
    names = ["activity", "noise"]
    of_landmarks = fit_hazards(landmarks(rows), **LANDMARKS, features=names)
    of_rows = fit_person_periods(rows, id="customer_id", period="period", event="left", features=names)
    judged = evaluate_hazards(of_landmarks, landmarks(other_rows), periods=[1, 6])
    share, forecast = (judged.score("lightgbm", name, 6) for name in ("share_left", "mean_forecast"))
    assert share.low - 0.01 < forecast.value < share.high + 0.01
    assert judged.gain("integrated_brier").low > 0
    held = evaluate_hazards(of_rows, other_rows, periods=[1, 6])
    assert held.score("lightgbm", "mean_forecast", 6).value < 0.75 * held.score("lightgbm", "share_left", 6).low


def test_periods_are_counted_from_a_landmark_at_any_age():
    """A third leaves in the 30 days after a landmark, wherever in its own month the customer is."""
    rng = np.random.default_rng(13)
    age, follow = rng.integers(0, 400, 12_000), rng.integers(1, 5, 12_000)
    left = rng.geometric(1 / 3, len(age))
    table = pa.table(
        {
            "x": rng.normal(size=len(age)),
            "age": age,
            "until": age + 30 * np.minimum(left, follow),
            "gone": left <= follow,
        }
    )
    roles = {"duration": "until", "event": "gone", "start": "age", "period": 30}
    fitted = fit_hazards(table, **roles, learner="logistic")
    assert fitted.hazard(table, 3, active_for="age").mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.03)
    evaluation = evaluate_hazards(fitted, table, periods=[1, 2])
    assert evaluation.score("logistic", "share_left", 1).value == pytest.approx(1 / 3, abs=0.02)
    assert evaluation.score("logistic", "mean_forecast", 2).value == pytest.approx(5 / 9, abs=0.02)


@pytest.mark.parametrize("kind", ["rows", "landmarks"])
def test_warnings_come_before_customers_leave_and_beat_simple_rules(fading, kind):
    rows, other_rows = fading
    names = ["activity", "noise"]
    if kind == "rows":
        fitted = fit_person_periods(rows, id="customer_id", period="period", event="left", features=names)
        table = other_rows
    else:
        fitted = fit_hazards(landmarks(rows), **LANDMARKS, features=names)
        table = landmarks(other_rows)
    warning = early_warning(fitted, table, within=3, shares=[0.1], rule="days_since")
    model, recency, life_table = (warning.score(name, 0.1) for name in ("lightgbm", "days_since", "life table"))
    # who fades leaves within three periods with 1 - .65^3 = .73
    assert model.precision.value == pytest.approx(0.7, abs=0.05)
    assert max(recency.precision.value, life_table.precision.value) < 0.4
    assert [one.low > 0.15 for _, _, one in warning.gains] == [True, True]
    assert model.leavers_warned_share.value > 0.5
    assert model.lead_quartiles[1].value == 1
    assert warning.to_table().num_rows == 3


def test_precision_of_warnings_is_not_moved_by_censoring():
    """All are warned of at once and leave within 2 periods with 1 - .8^2 = .36, however few are observed so long."""
    rng = np.random.default_rng(11)
    duration, event, _ = lifetimes(np.full((20_000, 8), 0.2), rng, longest=4)
    table = pa.table({"x": rng.normal(size=20_000), "periods": duration, "left": event})
    fitted = fit_hazards(table, duration="periods", event="left", features=["x"], learner="baseline")
    score = early_warning(fitted, table, within=2, shares=[0.999], rule=None).score("baseline", 0.999)
    assert score.warned_share.value == 1
    assert score.precision.value == pytest.approx(0.36, abs=0.01)


def test_a_warning_needs_a_rule_that_is_there(fading):
    rows, _ = fading
    fitted = fit_person_periods(rows, id="customer_id", period="period", event="left", learner="baseline")
    with pytest.raises(BadComparison, match="no column 'recency'"):
        early_warning(fitted, rows, rule="recency")
    with pytest.raises(BadComparison, match="from 1 on"):
        early_warning(fitted, rows, within=0)
