from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.predict.backtest import ALL, cutoffs_for, to_table
from patron.predict.backtest import backtest as backtest_origins
from patron.predict.baselines import Mean
from patron.predict.learner import forecasts
from patron.predict.prediction_intervals import Outcomes
from patron.predict.score_origins import at, known_at_origin, score_origins
from patron.predict.value.btyd_learners import BetaGeoSpend, RecentBlend
from patron.predict.value.value_baselines import LastNinetyDays, ShrunkenLastNinetyDays
from patron.schema.questions import VALUE
from patron.schema.table_definition import violations
from patron.schema.tables import BACKTESTS

QUICK = (Mean(), LastNinetyDays(), ShrunkenLastNinetyDays(), RecentBlend(), BetaGeoSpend())


def backtest(question, learners, rows, *, as_of, rng):
    return backtest_origins(question, learners, score_origins(question, rows, as_of), rng=rng)


@pytest.fixture(scope="module")
def as_of(spend_rows):
    return max(spend_rows["as_of"].to_pylist()) + timedelta(days=90)


@pytest.fixture(scope="module")
def result(spend_rows, as_of):
    return backtest(VALUE, QUICK, spend_rows, as_of=as_of, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def rows(result):
    return to_table(result, run_id="t", rng=np.random.default_rng(1))


def test_nothing_after_an_origin_reaches_a_learner(spend_rows):
    origin = sorted(set(spend_rows["as_of"].to_pylist()))[-2]
    known = known_at_origin(spend_rows, origin, 90)
    assert max(known["as_of"].to_pylist()) == origin
    labelled = known.filter(pc.is_valid(known["label"]))
    assert max(labelled["as_of"].to_pylist()) <= origin - timedelta(days=90)
    assert at(known, origin)["label"].null_count == at(known, origin).num_rows


def test_changing_what_happened_after_an_origin_changes_no_forecast_there(spend_rows, as_of, result):
    newest = max(spend_rows["as_of"].to_pylist())
    later = pc.greater(spend_rows["as_of"], pa.scalar(newest - timedelta(days=90), spend_rows["as_of"].type))
    label = pc.if_else(later, 1.0, spend_rows["label"])
    changed = spend_rows.set_column(spend_rows.column_names.index("label"), "label", label)
    other = backtest(VALUE, QUICK, changed, as_of=as_of, rng=np.random.default_rng(1))
    for key, evaluation in result.evaluations.items():
        assert np.array_equal(evaluation.forecast, other.evaluations[key].forecast)


def test_three_origins_are_evaluated_and_all_of_them_together(result, rows):
    assert len(result.origins) == 3
    assert violations(BACKTESTS, rows) == []
    assert set(rows["origin"].to_pylist()) == {*result.origins, ALL}
    together = result.evaluations[ALL, "last_90_days"]
    assert len(together.actual) == sum(
        len(result.evaluations[origin, "last_90_days"].actual) for origin in result.origins
    )


@dataclass(frozen=True)
class Told:
    """A learner whose forecast is a column of the table."""

    name: str
    complexity: int = 1
    is_baseline: bool = False

    def fit(self, table):  # noqa: ARG002 - it learns nothing
        return self

    def predict(self, table):
        return forecasts(table[self.name].to_numpy())


def shop_with_large_customers(as_of, **worse):
    """What 1,000 customers paid, and forecasts by how many times an error, and whether they see the eight largest."""
    rng = np.random.default_rng(2)
    paid = np.concatenate([rng.gamma(2, 1000, 992), 50_000 + rng.gamma(2, 100_000, 8)])
    error = rng.normal(0, 300, 1000)
    columns = {"customer_id": [f"c{n}" for n in range(1000)], "as_of": [as_of - timedelta(days=90)] * 1000}
    for name, (times, sees) in worse.items():
        forecast = np.maximum(paid + times * error, 0.0)
        columns[name] = forecast if sees else np.minimum(forecast, 10_000.0)
    return pa.table({**columns, "label": paid, "mean": np.full(1000, paid.mean())})


def test_of_learners_hardly_behind_the_tie_break_chooses(as_of):
    """One is right about the largest customers and the other is not, which a winsorised error cannot see."""
    table = shop_with_large_customers(as_of, small=(1.0, False), right=(1.01, True), poor=(1.5, True))
    learners = (Told("mean", is_baseline=True), Told("small"), Told("right"), Told("poor"))
    plain = backtest(replace(VALUE, tie_break=None), learners, table, as_of=as_of, rng=np.random.default_rng(1))
    result = backtest(VALUE, learners, table, as_of=as_of, rng=np.random.default_rng(1))
    assert plain.champion == "small", "the best on the primary metric alone"
    assert plain.primary_metric["poor"] > plain.primary_metric["right"] > plain.primary_metric["small"]
    assert result.champion == "right"
    assert "small has" in result.why
    assert "which is hardly better" in result.why
    far = backtest(VALUE, (*learners[:2], learners[3]), table, as_of=as_of, rng=np.random.default_rng(1))
    assert far.champion == "small", "poor sees the largest too, and is far behind on the primary metric"


def test_the_tie_break_takes_nothing_that_a_baseline_beats(as_of):
    table = shop_with_large_customers(as_of, small=(1.0, False), rule=(1.005, False), behind=(1.01, True))
    for rule, champion in (("rule", "small"), ("mean", "behind")):
        learners = (Told(rule, is_baseline=True), Told("small"), Told("behind"))
        result = backtest(VALUE, learners, table, as_of=as_of, rng=np.random.default_rng(1))
        assert result.champion == champion


def test_the_champion_has_the_best_primary_metric_and_the_card_says_why(result):
    assert result.primary_metric[result.champion] == min(result.primary_metric.values())
    assert result.champion in {"recent_blend", "beta_geo_spend"}
    assert result.champion in result.why
    assert result.baseline in result.why


def test_the_champion_beats_the_baselines_by_more_than_chance(rows, result):
    row = rows.filter(
        pc.and_(
            pc.and_(pc.equal(rows["learner"], result.champion), pc.equal(rows["origin"], ALL)),
            pc.equal(rows["metric"], "rmse_winsorised"),
        )
    ).to_pylist()[0]
    assert row["baseline"] == result.baseline
    assert row["gain"] == pytest.approx(row["baseline_value"] - row["value"])
    assert 0 < row["gain_low"] < row["gain"] < row["gain_high"]
    assert row["low"] < row["value"] < row["high"]


def test_the_same_seed_draws_the_same_intervals(result, rows):
    assert to_table(result, run_id="t", rng=np.random.default_rng(1)).equals(rows)


def test_without_a_past_cutoff_the_simplest_learner_is_used_and_it_says_so(spend_rows):
    newest = max(spend_rows["as_of"].to_pylist())
    result = backtest(
        VALUE, QUICK, at(spend_rows, newest), as_of=newest + timedelta(days=10), rng=np.random.default_rng(1)
    )
    assert result.champion == "recent_blend"
    assert "too little history" in result.why
    assert to_table(result, run_id="t", rng=np.random.default_rng(1)).num_rows == 0


def test_learners_that_cannot_be_fitted_at_an_origin_are_left_out_with_the_reason(spend_rows, as_of):
    first = min(spend_rows["as_of"].to_pylist())
    result = backtest(VALUE, QUICK, at(spend_rows, first), as_of=as_of, rng=np.random.default_rng(1))
    assert result.baseline == "last_90_days"
    assert any(reason.startswith("mean could not be fitted") for reason in result.left_out)
    assert (ALL, "mean") not in result.evaluations


def test_cutoffs_go_back_in_steps_of_thirty_days_while_there_is_history(as_of):
    cutoffs = cutoffs_for(as_of, as_of - timedelta(days=200))
    assert cutoffs[0] == as_of
    assert {(before - after).days for before, after in pairwise(cutoffs)} == {30}
    assert cutoffs[-1] == as_of - timedelta(days=150)


def test_intervals_hold_four_in_five_outcomes_and_the_forecast():
    rng = np.random.default_rng(3)
    forecast = rng.gamma(2, 1000, 6000)
    actual = forecast * rng.gamma(3, 1 / 3, 6000)
    low, high = Outcomes.of(actual[:3000], forecast[:3000]).interval(forecast[3000:])
    inside = (actual[3000:] >= low) & (actual[3000:] <= high)
    assert abs(inside.mean() - 0.8) < 3 * np.sqrt(0.16 / 3000) + 0.01
    assert ((low <= forecast[3000:]) & (forecast[3000:] <= high)).all()
    assert Outcomes.of(actual[:10], forecast[:10]).interval(forecast) is None
