"""Each question's model, how it did on the past and how its forecasts came out: the numbers of the last run."""

import numpy as np
import pytest

from patron.answers.models.backtest_results import backtest
from patron.answers.models.models import UNITS, backtests, drift, forecast_checks, models, primary_metrics
from patron.schema.errors import NotFound
from patron.schema.tables import RECENT


@pytest.fixture(scope="module")
def questions(made_shop):
    return {question.question: question for question in models(made_shop).questions}


def test_every_question_that_was_scored_or_tested_is_there_in_one_order(made_shop, questions, rows_of_last):
    known = {row["question"] for row in [*rows_of_last("scores"), *rows_of_last("backtests")]}
    assert set(questions) == known
    assert list(questions) == [name for name in UNITS if name in known]
    assert models(made_shop).run_id == rows_of_last("scores")[0]["run_id"]


def test_scored_customers_are_counted_once(questions, rows_of_last):
    scores = rows_of_last("scores")
    for name in ("value", "churn", "purchase"):
        assert questions[name].scored_count == sum(row["question"] == name for row in scores)
    assert questions["recommend"].scored_count == len({row["customer_id"] for row in rows_of_last("affinities")})


def test_the_board_holds_every_learner_once_with_the_largest_gain_first(questions, rows_of_last):
    for name, question in questions.items():
        learners = {row["learner"] for row in rows_of_last("backtests") if row["question"] == name}
        assert {row.learner for row in question.board} <= learners
        gains = [row.gain for row in question.board]
        assert gains == sorted(gains, reverse=True)
        assert {row.metric for row in question.board} <= {primary_metrics(name)[0]}
        assert all(row.learner == question.champion for row in [*question.primary_metric, *question.origins])
        assert {row.origin for row in question.origins} == {"2017-04-01", "2017-07-01"}


def test_a_lorenz_curve_rises_from_nothing_to_all_and_lies_below_equality(questions, rows_of_last):
    spread = questions["value"].spread
    held = np.array(spread.shares_held)
    assert (held[0], held[-1]) == pytest.approx((0, 1))
    assert (np.diff(held) >= -1e-12).all()
    assert (np.diff(held, 2) >= -1e-9).all()
    assert (held <= np.linspace(0, 1, len(held)) + 1e-12).all()
    values = np.sort([row["value"] for row in rows_of_last("scores") if row["question"] == "value"])
    assert held[50] == pytest.approx(values[: len(values) // 2].sum() / values.sum(), abs=0.01)
    area = np.trapezoid(held, dx=0.01)
    assert spread.gini == pytest.approx(1 - 2 * area, abs=0.01)
    assert [name for name, one in questions.items() if one.spread] == ["value"]


def test_checks_are_those_of_the_question(questions, rows_of_last, last):
    checks = forecast_checks(last)
    assert len(checks) == len(rows_of_last("forecast_checks"))
    assert sum(len(question.checks) for question in questions.values()) == len(checks)
    assert [check.decile for check in questions["value"].checks] == list(range(11))


def test_features_that_moved_most_come_first(last, rows_of_last):
    moved = [one.population_stability_index for one in drift(last)]
    assert moved == sorted((row["population_stability_index"] for row in rows_of_last("drift")), reverse=True)


def test_a_run_that_did_not_train_shows_the_backtest_of_the_run_that_did(last, snapshot_of):
    (row, *_) = [one for one in last.read("backtests").to_pylist() if one["origin"] == "all"]
    rows = [row | {"run_id": "2020-01-01"}, row | {"run_id": "2021-01-01", "value": 7.0}]
    same = {"question": row["question"], "trained_run_id": "2021-01-01", "trained_at": last.run.as_of, "reason": RECENT}
    view = snapshot_of(backtests=rows)
    assert backtests(view) == ()
    view = snapshot_of(backtests=rows, trainings=[same | {"run_id": view.run.run_id}])
    assert [one.value for one in backtests(view)] == [7.0]


def test_results_are_selected_by_question_or_all_together(made_shop, rows_of_last):
    every = backtest(made_shop)
    assert len(every) == len(rows_of_last("backtests"))
    churn = backtest(made_shop, "churn")
    assert {row.question for row in churn} == {"churn"}
    assert set(churn) < set(every)
    with pytest.raises(NotFound, match="did not evaluate the question 'profit'"):
        backtest(made_shop, "profit")
