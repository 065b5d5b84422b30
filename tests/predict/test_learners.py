import json
from dataclasses import asdict, fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.predict.extras import with_extra

from patron.estimators.learner import FORECAST, Explains
from patron.predict import churn, value
from patron.predict.explanation import reasons
from patron.predict.learners import LEARNERS
from patron.predict.order_probability import FittedOrderProbability
from patron.predict.origins import at, known_at_origin
from patron.predict.value.btyd_inputs import median_of
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import CHURN, QUESTIONS, VALUE
from patron.schema.numbers import float_column

SCORED = tuple(question for question in QUESTIONS if not question.is_ranking)
TESTED = {**LEARNERS, VALUE.name: value.CANDIDATES}
CASES = [(question, learner) for question in SCORED for learner in TESTED[question.name]]
every_learner = pytest.mark.parametrize(
    ("question", "learner"),
    [with_extra(learner, question) for question, learner in CASES],
    ids=[f"{question.name}-{learner.name}" for question, learner in CASES],
)


@pytest.fixture(scope="session")
def world(spend_rows, chance_rows, purchase_rows):
    """For each question: the newest origin, what was known there, and its rows with what happened."""
    origin = max(spend_rows["as_of"].to_pylist())
    rows = {question.name: spend_rows for question in SCORED} | {"churn": chance_rows} | purchase_rows
    return {name: (known_at_origin(table, origin, 90), at(table, origin)) for name, table in rows.items()}


@pytest.fixture(scope="session")
def fit(world):
    """Each learner fitted once, for all its tests."""
    fitted = {}

    def fit_once(question, learner):
        key = (question.name, learner.name)
        if key not in fitted:
            fitted[key] = learner.fit(world[question.name][0])
        return fitted[key], world[question.name][1]

    return fit_once


@every_learner
def test_every_row_gets_one_finite_forecast_in_its_range(question, learner, fit):
    fitted, rows = fit(question, learner)
    forecast = float_column(fitted.predict(rows), FORECAST)
    assert len(forecast) == rows.num_rows
    assert np.isfinite(forecast).all()
    assert forecast.min() >= 0
    assert not question.is_probability or forecast.max() <= 1


@every_learner
def test_the_order_of_rows_changes_no_forecast(question, learner, fit):
    fitted, rows = fit(question, learner)
    shuffle = np.random.default_rng(0).permutation(rows.num_rows)
    straight = fitted.predict(rows)[FORECAST].to_numpy()
    shuffled = fitted.predict(rows.take(pa.array(shuffle)))[FORECAST].to_numpy()
    assert np.array_equal(straight[shuffle], shuffled)
    if "depends on the row" not in learner.exemptions:
        assert len(np.unique(straight)) > 1


@every_learner
def test_one_row_alone_gets_the_forecast_it_gets_among_many(question, learner, fit):
    fitted, rows = fit(question, learner)
    many = fitted.predict(rows)[FORECAST].to_numpy()
    alone = [fitted.predict(rows.slice(place, 1))[FORECAST].to_numpy()[0] for place in range(0, rows.num_rows, 97)]
    assert np.array_equal(many[::97], alone)


@every_learner
def test_a_saved_model_forecasts_the_same_bits(question, learner, fit, tmp_path):
    fitted, rows = fit(question, learner)
    fitted.save(tmp_path)
    again = learner.fitted.load(tmp_path)
    assert again.predict(rows).equals(fitted.predict(rows))
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".json", ".npz", ".txt"}


@every_learner
def test_the_same_data_give_the_same_model(question, learner, fit, world):
    fitted, rows = fit(question, learner)
    assert learner.fit(world[question.name][0]).predict(rows).equals(fitted.predict(rows))


@every_learner
def test_a_learner_is_its_settings_and_frozen(question, learner):
    assert question.name
    assert replace(learner) == learner
    assert set(asdict(learner)) == {field.name for field in fields(learner)}
    with pytest.raises(AttributeError):
        learner.name = "other"


@every_learner
def test_a_learner_beats_the_mean_on_customers_whose_truth_varies(question, learner, fit):
    if "beats its baseline" in learner.exemptions:
        assert learner.exemptions["beats its baseline"]
        return
    fitted, rows = fit(question, learner)
    actual = float_column(rows, "label")
    reached = question.primary_metric.of(actual, float_column(fitted.predict(rows), FORECAST))
    naive = question.primary_metric.of(actual, np.full(len(actual), actual.mean()))
    assert question.primary_metric.gain(reached, naive) > 0


@every_learner
def test_reasons_name_what_moved_the_forecast(question, learner, fit):
    fitted, rows = fit(question, learner)
    if not isinstance(fitted, Explains):
        assert learner.is_baseline
        return
    names, moved = fitted.contributions(rows)
    assert moved.shape == (rows.num_rows, len(names))
    assert np.isfinite(moved).all()
    texts = reasons(names, moved)
    assert len(texts) == rows.num_rows
    assert all(reason[0] in "+-" and reason[1:] in names for row in texts for reason in row)


@every_learner
def test_a_model_without_customers_to_learn_from_says_so_or_needs_none(question, learner, world):
    known, rows = world[question.name]
    nobody = known.slice(0, 0)
    if learner.name in {"zero", "last_90_days"}:
        assert learner.fit(nobody).predict(rows).num_rows == rows.num_rows
        return
    with pytest.raises(NotEnoughData) as refused:
        learner.fit(nobody)
    assert refused.value.todo


def test_names_are_unique_and_each_question_has_a_baseline():
    for question in QUESTIONS:
        names = [learner.name for learner in LEARNERS[question.name]]
        assert len(set(names)) == len(names)
        assert set(question.baselines) == {one.name for one in LEARNERS[question.name] if one.is_baseline} != set()


def test_contributions_of_the_logistic_model_add_up_to_its_log_odds(fit):
    fitted, rows = fit(CHURN, next(learner for learner in churn.LEARNERS if learner.name == "logistic"))
    _, moved = fitted.contributions(rows)
    assert np.allclose(moved.sum(axis=1) / fitted.calibration.slope + fitted.intercept, fitted.log_odds(rows))


def test_contributions_of_the_trees_add_up_to_their_log_odds(fit):
    fitted, rows = fit(CHURN, next(learner for learner in churn.LEARNERS if learner.name == "boosted_chance"))
    _, moved = fitted.contributions(rows)
    gap = fitted.log_odds(rows) - moved.sum(axis=1) / fitted.calibration.slope
    assert np.ptp(gap) < 1e-6


def test_contributions_of_buying_history_add_up_and_silence_speaks_for_leaving(fit):
    fitted, rows = fit(CHURN, next(learner for learner in churn.LEARNERS if learner.name == "pareto_chance"))
    names, moved = fitted.contributions(rows)
    probability = float_column(fitted.predict(rows), FORECAST)
    assert np.ptp(np.log(probability / (1 - probability)) - moved.sum(axis=1)) < 1e-6
    silence, orders = (float_column(rows, name) for name in ("days_since_last_order", "order_day_count_lifetime"))
    moved_by = moved[:, names.index("days_since_last_order")]
    median = np.median(silence)
    repeated = orders > 3
    assert moved_by[repeated & (silence > 2 * median)].mean() > moved_by[repeated & (silence < median)].mean() + 0.1


def test_buying_history_kept_before_it_gave_reasons_goes_on_forecasting_without_any(fit, tmp_path):
    """Models of earlier nights have the medians of other columns."""
    fitted, rows = fit(CHURN, next(learner for learner in churn.LEARNERS if learner.name == "pareto_chance"))
    fitted.save(tmp_path)
    [file] = tmp_path.iterdir()
    content = json.loads(file.read_text("utf-8")) | {"median": median_of(rows)}
    file.write_text(json.dumps(content), "utf-8")
    loaded = FittedOrderProbability.load(tmp_path)
    assert loaded.predict(rows).equals(fitted.predict(rows))
    names, moved = loaded.contributions(rows)
    assert (names, moved.shape) == ((), (rows.num_rows, 0))
    loaded.save(tmp_path)
    assert json.loads(file.read_text("utf-8")) == content


def test_probabilities_are_calibrated_on_a_later_cutoff(fit):
    fitted, rows = fit(CHURN, next(learner for learner in churn.LEARNERS if learner.name == "logistic"))
    forecast = float_column(fitted.predict(rows), FORECAST)
    actual = float_column(rows, "label")
    error = np.sqrt(actual.var() / len(actual))
    assert fitted.calibration.slope != 1.0
    assert abs(forecast.mean() - actual.mean()) < max(4 * error, 0.08)


def test_a_customer_with_one_order_gets_a_forecast_above_zero(fit):
    fitted, rows = fit(VALUE, next(candidate for candidate in value.CANDIDATES if candidate.name == "pareto_spend"))
    once = rows.filter(pc.equal(rows["order_day_count_lifetime"], 1))
    assert once.num_rows > 10
    assert float_column(fitted.predict(once), FORECAST).min() > 0
