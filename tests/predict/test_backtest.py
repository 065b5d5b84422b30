from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.estimators.learner import forecasts
from patron.predict.backtest import ALL, cutoffs_for, to_table
from patron.predict.backtest import backtest as backtest_origins
from patron.predict.baselines import Mean
from patron.predict.origins import at, cutoff_origins, known_at_origin
from patron.predict.prediction_intervals import Outcomes
from patron.predict.value.btyd_learners import ParetoSpend
from patron.predict.value.buyer_spend import HistorySpend
from patron.predict.value.probability_times_spend import ProbabilityTimesSpend
from patron.predict.value.value_baselines import LastNinetyDays, ShrunkenLastNinetyDays
from patron.schema.errors import MissingExtra, NotEnoughData
from patron.schema.models.questions import VALUE
from patron.schema.table_checks import violations
from patron.schema.tables import BACKTESTS

QUICK = (Mean(), LastNinetyDays(), ShrunkenLastNinetyDays(), ProbabilityTimesSpend(HistorySpend()), ParetoSpend())


def backtest(question, learners, rows, *, as_of, rng):
    return backtest_origins(question, learners, cutoff_origins(question, rows, as_of), rng=rng)


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
    module: str = ""

    def fit(self, table):
        if np.isnan(at(table, max(table["as_of"].to_pylist()))[self.name].to_numpy()).any():
            raise NotEnoughData("it has no forecast", where=self.name)
        return self

    def predict(self, table):
        return forecasts(table[self.name].to_numpy())


def shop_of(cutoffs, **errors):
    """What 1,000 customers paid at some cutoffs, and forecasts by how far they are off; None has no forecast there."""
    rng, parts = np.random.default_rng(2), []
    for place, cutoff in enumerate(cutoffs):
        paid = rng.gamma(2, 1000, 1000)
        each = {name: error[place] if isinstance(error, tuple) else error for name, error in errors.items()}
        columns = {
            name: np.full(1000, np.nan) if error is None else np.maximum(paid + error * rng.normal(0, 300, 1000), 0.0)
            for name, error in each.items()
        }
        same = {"customer_id": [f"c{n}" for n in range(1000)], "sample_key": np.arange(1000), "as_of": [cutoff] * 1000}
        parts.append(pa.table({**same, **columns, "label": paid}))
    return pa.concat_tables(parts)


def champion_of(as_of, default="usual", **errors):
    cutoffs = [as_of - timedelta(days=back) for back in (150, 120, 90)]
    learners = (Told("rule", is_baseline=True), *(Told(name) for name in errors if name != "rule"))
    question = replace(VALUE, default=default)
    return backtest(question, learners, shop_of(cutoffs, **errors), as_of=as_of, rng=np.random.default_rng(1))


def test_the_default_learner_stays_where_another_is_better_by_noise(as_of):
    result = champion_of(as_of, rule=3.0, usual=1.0, near=0.98)
    assert result.champion == "usual"
    assert result.primary_metric["near"] < result.primary_metric["usual"]
    assert "no learner is better by more than noise" in result.why


def test_a_learner_that_is_better_at_most_cutoffs_replaces_the_default(as_of):
    assert champion_of(as_of, rule=3.0, usual=1.0, better=0.6).champion == "better"
    assert champion_of(as_of, rule=3.0, usual=1.0, better=0.6, best=0.3).champion == "best"
    once = champion_of(as_of, rule=3.0, usual=(1.0, 1.0, 3.0), better=(1.1, 1.1, 0.5))
    assert once.primary_metric["better"] < once.primary_metric["usual"]
    assert once.champion == "usual", "better on the whole, by a single cutoff"


def test_no_baseline_is_champion_while_anything_else_can_be_fitted(as_of):
    """Before, a naive rule was champion wherever three cutoffs of one shop had it ahead."""
    result = champion_of(as_of, rule=0.2, usual=1.0)
    assert result.champion == "usual"
    assert result.baseline == "rule"
    assert "which is better; a baseline is not used" in result.why


def test_learners_are_compared_on_the_cutoffs_they_share(as_of):
    """Before, a learner that could not be fitted at one of three cutoffs was left out altogether."""
    result = champion_of(as_of, rule=3.0, usual=1.0, late=(None, 0.6, 0.6))
    assert result.champion == "late"
    assert result.origins == tuple((as_of - timedelta(days=back)).strftime("%Y-%m-%d") for back in (90, 120))
    assert any(reason.startswith("late could not be fitted") for reason in result.left_out)
    assert champion_of(as_of, rule=3.0, usual=1.0, late=(None, None, 0.6)).champion == "usual", "one proves nothing"


def test_without_a_default_the_simplest_that_is_no_baseline_is_it(as_of):
    assert champion_of(as_of, default="", rule=3.0, one=1.0, other=0.97).champion == "one"
    assert champion_of(as_of, default="", rule=0.2, one=1.0).champion == "one"
    assert champion_of(as_of, default="", rule=3.0, one=1.0, better=0.6).champion == "better"


def test_the_card_says_why_the_champion_is_used(result):
    assert result.champion in {"history_spend", "pareto_spend"}
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


def test_without_a_past_cutoff_the_default_learner_is_used_and_it_says_so(spend_rows):
    newest = max(spend_rows["as_of"].to_pylist())
    result = backtest(
        VALUE, QUICK, at(spend_rows, newest), as_of=newest + timedelta(days=10), rng=np.random.default_rng(1)
    )
    assert result.champion == "history_spend"
    assert "too little history" in result.why
    assert to_table(result, run_id="t", rng=np.random.default_rng(1)).num_rows == 0


def test_learners_that_cannot_be_fitted_at_an_origin_are_left_out_with_the_reason(spend_rows, as_of):
    first = min(spend_rows["as_of"].to_pylist())
    result = backtest(VALUE, QUICK, at(spend_rows, first), as_of=as_of, rng=np.random.default_rng(1))
    assert result.baseline == "last_90_days"
    assert any(reason.startswith("mean, ") and " could not be fitted at " in reason for reason in result.left_out)
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
    learned = Outcomes.of(actual[:3000], forecast[:3000])
    low, high = learned.interval(forecast[3000:])
    inside = (actual[3000:] >= low) & (actual[3000:] <= high)
    assert abs(inside.mean() - 0.8) < 3 * np.sqrt(0.16 / 3000) + 0.01
    assert ((low <= forecast[3000:]) & (forecast[3000:] <= high)).all()
    assert Outcomes.of(actual[:10], forecast[:10]).interval(forecast) is None


def test_an_interval_that_begins_with_nothing_holds_four_in_five_by_the_randomised_transform():
    """Two of three buy nothing: 93 % lie between the ends of an honest interval, and 80 % by the transform."""
    rng = np.random.default_rng(3)
    forecast = rng.gamma(2, 1000, 12_000)
    actual = forecast * rng.gamma(3, 1, 12_000) * (rng.random(12_000) < 1 / 3)
    learned, here = Outcomes.of(actual[:6000], forecast[:6000]), slice(6000, None)
    low, high = learned.interval(forecast[here])
    assert ((actual[here] >= low) & (actual[here] <= high)).mean() > 0.88
    held = learned.holds(actual[here], forecast[here], rng)
    assert held.mean() == pytest.approx(0.8, abs=0.02)
    assert Outcomes.of(actual[:10], forecast[:10]).holds(actual, forecast, rng) is None


def test_an_uncertain_season_widens_every_interval():
    rng = np.random.default_rng(3)
    forecast = rng.gamma(2, 1000, 4000)
    actual = forecast * rng.gamma(30, 1 / 30, 4000)
    plain, wide = (Outcomes.of(actual, forecast, spread).interval(forecast) for spread in (0.0, 0.3))
    assert (wide[0] < plain[0]).all()
    assert (wide[1] > plain[1]).all()


def test_a_learner_whose_extra_cannot_be_loaded_is_left_out_and_named(spend_rows, as_of):
    class Broken(LastNinetyDays):
        name = "broken"

        def fit(self, table):  # noqa: ARG002 - as of every learner
            raise MissingExtra("torch cannot be loaded", where=self.name, todo="")

    result = backtest(VALUE, (*QUICK, Broken()), spend_rows, as_of=as_of, rng=np.random.default_rng(1))
    assert [sentence for sentence in result.left_out if "broken" in sentence and "torch cannot be loaded" in sentence]
    assert "broken" not in result.primary_metric
