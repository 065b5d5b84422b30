"""Hazards against truth that is known: life tables, planted effects, survival of who is active today."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_lifetimes import crossing_table, fading_person_periods, lifetimes, proportional_table

from patron.schema.errors import BadComparison, NotEnoughData
from patron.tabular.hazards import FittedHazards, HazardTrees, fit_hazards, fit_person_periods

COLUMNS = {"duration": "periods", "event": "left"}
LEARNERS = ["baseline", "logistic", "lightgbm"]


@pytest.fixture(scope="module")
def table():
    return proportional_table()[0]


@pytest.fixture(scope="module", params=LEARNERS)
def fitted(request, table):
    return fit_hazards(table, **COLUMNS, id="customer_id", learner=request.param)


def test_the_baseline_is_kaplan_meier():
    # lifelines 0.30.3, KaplanMeierFitter().fit([1, 2, 2, 3, 4, 4, 5, 6], [1, 1, 0, 1, 0, 1, 0, 1])
    published = [0.875, 0.75, 0.6, 0.45, 0.45, 0.0]
    one = pa.table({"periods": [1, 2, 2, 3, 4, 4, 5, 6], "left": [1, 1, 0, 1, 0, 1, 0, 1]})
    survival = fit_hazards(one, **COLUMNS, learner="baseline").survival(one, 6)
    assert survival[0] == pytest.approx(published, abs=1e-12)


def test_the_baseline_with_delayed_entry_counts_who_was_at_risk():
    # lifelines 0.30.3, KaplanMeierFitter().fit([1, 4, 3, 3], [1, 1, 1, 0], entry=[0, 0, 1, 2]): 1/2, 1/2, 1/3, 0
    one = pa.table({"periods": [1, 4, 3, 3], "since": [0, 0, 1, 2], "left": [1, 1, 1, 0]})
    fitted = fit_hazards(one, **COLUMNS, start="since", learner="baseline")
    assert fitted.life_table.at_risk.tolist() == [2, 2, 3, 1]
    assert fitted.survival(one, 4)[0] == pytest.approx([1 / 2, 1 / 2, 1 / 3, 0])


@pytest.mark.parametrize("learner", ["logistic", "lightgbm"])
def test_planted_hazards_are_recovered(learner):
    table, truth = proportional_table(rows=8000)
    fitted = fit_hazards(table, **COLUMNS, id="customer_id", learner=learner)
    forecast = fitted.hazard(table, 12)
    gap = np.abs(np.log(forecast / truth[:, :12]))
    assert gap.mean() < {"logistic": 0.09, "lightgbm": 0.22}[learner]
    assert forecast.mean() == pytest.approx(truth[:, :12].mean(), rel=0.05)


def test_trees_recover_an_effect_that_turns_with_time_and_a_logistic_does_not():
    table, truth = crossing_table()
    gaps = {}
    for learner in ("logistic", "lightgbm"):
        forecast = fit_hazards(table, **COLUMNS, learner=learner).hazard(table, 12)
        gaps[learner] = np.abs(np.log(forecast / truth)).mean()
    assert gaps["lightgbm"] < 0.2
    assert gaps["logistic"] > 0.5


@pytest.mark.parametrize("learner", ["logistic", "lightgbm"])
def test_delayed_entry_does_not_make_customers_look_more_loyal(learner):
    rng = np.random.default_rng(3)
    x = rng.normal(size=9000)
    hazards = np.repeat((0.12 * np.exp(0.5 * x) / (1 + 0.12 * np.exp(0.5 * x)))[:, None], 20, axis=1)
    entered = rng.integers(0, 12, 9000)
    duration, event, kept = lifetimes(hazards, rng, entered=entered)
    table = pa.table({"x": x, "since": entered, "periods": duration, "left": event}).filter(pa.array(kept))
    fitted = fit_hazards(table, **COLUMNS, start="since", learner=learner)
    probe = pa.table({"x": [-1.0, 0.0, 1.0]})
    odds = 0.12 * np.exp([-0.5, 0.0, 0.5])
    hazard = fitted.hazard(probe, 8).mean(axis=1)
    assert hazard == pytest.approx(odds / (1 + odds), rel={"logistic": 0.06, "lightgbm": 0.2}[learner])


def test_durations_in_days_count_the_part_of_a_period_that_was_observed():
    """Constant hazards and censoring at any day: leaving out or rounding up the last period would be biased."""
    rng = np.random.default_rng(5)
    days = rng.exponential(200, 60_000)
    censored = rng.uniform(1, 150, len(days))
    table = pa.table({"days": np.minimum(days, censored), "left": days <= censored})
    fitted = fit_hazards(table, duration="days", event="left", period=30, learner="baseline")
    assert fitted.hazard(table.slice(0, 1), 4)[0] == pytest.approx(np.full(4, 1 - np.exp(-30 / 200)), rel=0.04)


def test_survival_never_rises_and_is_a_probability(fitted, table):
    survival = fitted.survival(table, 40, active_for=3)
    assert survival.shape == (table.num_rows, 40)
    assert (np.diff(survival, axis=1) <= 0).all()
    assert survival.min() >= 0
    assert survival.max() <= 1


@settings(max_examples=25, deadline=None)
@given(now=st.integers(0, 30), more=st.integers(1, 30), part=st.sampled_from([0.0, 0.25, 0.5]))
def test_survival_of_who_is_active_today_is_a_ratio_of_survivals(fitted, table, now, more, part):
    few = table.slice(0, 5)
    whole = fitted.survival(few, now + more + 1)
    if now:
        later = fitted.survival(few, more, active_for=now)
        assert later[:, -1] * whole[:, now - 1] == pytest.approx(whole[:, now + more - 1], abs=1e-12)
    # halfway through a period, survival multiplies up, too
    first = fitted.survival(few, more, active_for=now + part)
    second = fitted.survival(few, 3, active_for=now + part + more)
    both = fitted.survival(few, more + 3, active_for=now + part)
    assert first[:, -1:] * second == pytest.approx(both[:, more:], abs=1e-12)


def test_active_for_nothing_is_the_survival_of_who_begins(fitted, table):
    few = table.slice(0, 50)
    assert (fitted.survival(few, 6) == fitted.survival(few, 6, active_for=np.zeros(50))).all()
    assert fitted.chance_within(few, 6) == pytest.approx(1 - fitted.survival(few, 6)[:, -1])
    by_name = fitted.survival(few, 6, active_for="periods")
    assert (by_name == fitted.survival(few, 6, active_for=few["periods"].to_numpy())).all()


@pytest.mark.parametrize("learner", LEARNERS)
def test_expected_remaining_life_of_a_constant_hazard_is_the_analytic_value(learner):
    rng = np.random.default_rng(7)
    hazard, horizon = 0.1, 12
    duration, event, _ = lifetimes(np.full((20_000, 30), hazard), rng)
    table = pa.table({"x": rng.normal(size=20_000), "periods": duration, "left": event})
    fitted = fit_hazards(table, **COLUMNS, learner=learner)
    few = table.slice(0, 200)
    stays = 1 - hazard
    within = stays * (1 - stays**horizon) / hazard
    for now in (0, 5):
        life = fitted.expected_remaining_life(few, horizon, active_for=now).mean()
        assert life == pytest.approx(within, rel=0.04)
    whole = fitted.expected_remaining_life(few, horizon, tail="constant_hazard").mean()
    assert whole == pytest.approx(stays / hazard, rel=0.1)


def test_contributions_add_up_to_the_log_odds_and_name_what_drives(fitted, table):
    one = fitted.contributions(table, active_for=2)
    hazard = fitted.hazard(table, 1, active_for=2)[:, 0]
    if fitted.model.kind == "baseline":
        assert one.columns == ("time active",)
        return
    assert one.log_odds.sum(axis=1) + one.base == pytest.approx(np.log(hazard / (1 - hazard)), abs=1e-9)
    strength = dict(zip(one.columns, np.abs(one.log_odds).mean(axis=0), strict=True))
    assert min(strength["x0"], strength["x1"], strength["plan"]) > 3 * strength["x2"]
    reasons = fitted.reasons(table.to_pandas(), active_for=2, most=2)
    high = reasons[table["x0"].to_numpy() > 1.8]
    assert (high["reason_1"] == "x0").mean() > 0.9


def test_values_of_trees_are_those_of_lightgbm():
    rng = np.random.default_rng(2)
    numbers = rng.normal(size=(2000, 4))
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    numbers[:, 3] = rng.normal(size=2000)
    duration, event, _ = lifetimes(np.repeat((0.1 + 0.2 * (numbers[:, 3] > 0))[:, None], 10, axis=1), rng)
    table = pa.table({**{f"x{at}": numbers[:, at] for at in range(4)}, "periods": duration, "left": event})
    few = table.slice(0, 300).set_column(3, "x3", pa.array([None, *np.arange(299.0)]))  # none was missing before
    fitted = fit_hazards(table, **COLUMNS)
    matrix = np.column_stack([few[f"x{at}"].to_numpy() for at in range(4)] + [np.ones(300)])
    published = np.asarray(fitted.model.trees.booster.predict(matrix, pred_contrib=True))[:, :4]
    got = fitted.contributions(few).log_odds[:, :4]
    assert got == pytest.approx(fitted.model.calibration.slope * published, abs=1e-6)
    many_leaves = fit_hazards(table, **COLUMNS, learner=HazardTrees(rounds=20, leaves=31))
    hazard = many_leaves.hazard(few, 1)[:, 0]
    one = many_leaves.contributions(few)
    assert one.log_odds.sum(axis=1) + one.base == pytest.approx(np.log(hazard / (1 - hazard)), abs=1e-9)


def test_a_saved_model_forecasts_the_same_bits_without_pickle(fitted, table, tmp_path):
    fitted.save(tmp_path / "model")
    assert {path.suffix for path in (tmp_path / "model").iterdir()} <= {".json", ".txt"}
    json.loads((tmp_path / "model" / "hazards.json").read_text())
    loaded = FittedHazards.load(tmp_path / "model")
    assert (loaded.survival(table, 5, active_for="periods") == fitted.survival(table, 5, active_for="periods")).all()
    assert (loaded.contributions(table).log_odds == fitted.contributions(table).log_odds).all()
    assert str(loaded.summary()) == str(fitted.summary())


def test_equal_inputs_give_equal_forecasts(table):
    one, two = (fit_hazards(table, **COLUMNS, id="customer_id").hazard(table, 3) for _ in range(2))
    assert (one == two).all()


def test_frames_come_back_in_their_kind_with_their_ids(fitted, table):
    for frame, kind in ((table.to_pandas(), pd.DataFrame), (pl.from_arrow(table), pl.DataFrame), (table, pa.Table)):
        forecast = fitted.forecast(frame, 6, active_for="periods")
        assert isinstance(forecast, kind)
        assert list(forecast["customer_id"])[:3] == list(frame["customer_id"])[:3]


def test_a_sample_of_person_periods_is_stable_and_keeps_the_hazards():
    rng = np.random.default_rng(4)
    x = rng.normal(size=6000)
    duration, event, _ = lifetimes(np.repeat((0.03 * np.exp(0.8 * x))[:, None].clip(0, 0.9), 30, axis=1), rng)
    keys = [f"id-{at}" for at in range(6000)]
    table = pa.table({"customer_id": keys, "x": x, "periods": duration, "left": event})
    whole = fit_hazards(table, **COLUMNS, id="customer_id", learner="logistic")
    few = fit_hazards(table, **COLUMNS, id="customer_id", learner="logistic", sample_limit=15_000)
    assert whole.counts["drawn"] == whole.counts["person_periods"] > 50_000
    assert few.counts["drawn"] == pytest.approx(15_000, rel=0.03)
    assert few.hazard(table, 10).mean() == pytest.approx(whole.hazard(table, 10).mean(), rel=0.03)
    shuffled = table.take(rng.permutation(6000))
    again = fit_hazards(shuffled, **COLUMNS, id="customer_id", learner="logistic", sample_limit=15_000)
    assert again.hazard(table, 10) == pytest.approx(few.hazard(table, 10), rel=1e-6)


def test_person_periods_learn_from_features_that_change():
    rows = fading_person_periods()
    fitted = fit_person_periods(rows, id="customer_id", period="period", event="left")
    others = fading_person_periods(seed=1)
    hazard = fitted.hazard(others, 1, active_for=others["period"].to_numpy() - 1)[:, 0]
    activity = others["activity"].to_numpy()
    assert hazard[activity < -1].mean() == pytest.approx(0.335, abs=0.02)  # a few fade not, but look it
    assert hazard[activity > 1].mean() == pytest.approx(0.02, abs=0.005)


def test_a_row_a_customer_and_a_row_a_period_are_the_same_data(table):
    rows = table.to_pandas()
    long = rows.loc[rows.index.repeat(rows["periods"])]
    long["period"] = long.groupby("customer_id").cumcount() + 1
    long["left"] = ((long["period"] == long["periods"]) & (long["left"] == 1)).astype(int)
    one = fit_hazards(table, **COLUMNS, id="customer_id", learner="logistic")
    two = fit_person_periods(
        long.drop(columns="periods"), id="customer_id", period="period", event="left", learner="logistic"
    )
    assert two.life_table.events.tolist() == one.life_table.events.tolist()
    assert two.hazard(table, 6) == pytest.approx(one.hazard(table, 6), rel=0.01)


def test_a_column_that_grows_with_the_time_observed_is_named(table):
    total = 20.0 * table["periods"].to_numpy()
    fitted = fit_hazards(
        table.append_column("total_paid", pa.array(total)), **COLUMNS, id="customer_id", learner="baseline"
    )
    assert [note.split()[0] for note in fitted.notes] == ["total_paid"]
    assert fit_hazards(table, **COLUMNS, id="customer_id", learner="baseline").notes == ()


def test_new_levels_missing_columns_and_no_rows_at_prediction(fitted, table):
    few = table.slice(0, 2).set_column(4, "plan", pa.array(["never met", None]))
    assert np.isfinite(fitted.survival(few, 3)).all()
    assert fitted.survival(table.slice(0, 0), 3).shape == (0, 3)
    if fitted.model.kind != "baseline":
        with pytest.raises(BadComparison, match="no column plan"):
            fitted.survival(table.drop_columns("plan"), 3)
    for periods in (0, -1, 1.5, True):
        with pytest.raises(BadComparison, match="not a number of periods"):
            fitted.survival(table, periods)
    for active_for in (-1, float("nan"), [1, 2, 3], "no_column"):
        with pytest.raises(BadComparison, match="active_for"):
            fitted.survival(table, 3, active_for=active_for)
    with pytest.raises(BadComparison, match="no tail"):
        fitted.expected_remaining_life(table, 3, tail="forever")


@pytest.mark.parametrize(
    ("columns", "words", "error"),
    [
        ({"periods": [1, 2, 3], "left": [0, 0, 0]}, "none of 3 customers left", NotEnoughData),
        ({"periods": [0, 0, 0], "left": [0, 0, 0]}, "none of 0 customers left", NotEnoughData),
        ({"periods": [1, -2, 3], "left": [0, 1, 0]}, "1 rows are negative", BadComparison),
        ({"periods": [1.0, None, 3.0], "left": [0, 1, 0]}, "1 rows are missing or infinite", BadComparison),
        ({"periods": [1.0, np.inf, np.nan], "left": [0, 1, 0]}, "2 rows are missing or infinite", BadComparison),
        ({"periods": [1, 2, 3], "left": [0, 1, None]}, "1 rows do not say", BadComparison),
        ({"periods": [1, 2, 3], "left": [0, 1, 2]}, "left: has 2", BadComparison),
        ({"periods": [1, 2, 3], "left": ["yes", "no", "maybe"]}, "left: has maybe", BadComparison),
        ({"periods": ["a", "b", "c"], "left": [0, 1, 1]}, "periods: has ", BadComparison),
        ({"periods": pa.array([1, 2, 3], pa.date32()), "left": [0, 1, 1]}, "periods: has date32", BadComparison),
        ({"periods": [1e9, 2.0, 3.0], "left": [0, 1, 0]}, "durations reach 1,000,000,000 periods", BadComparison),
        ({"time": [1, 2, 3], "left": [0, 1, 0]}, "there is no column 'periods'", BadComparison),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_no_lifetime_is_refused_in_a_sentence(columns, words, error):
    with pytest.raises(error, match=words):
        fit_hazards(pa.table(columns), **COLUMNS, learner="baseline")


def test_a_duration_of_zero_is_counted_and_reported():
    one = pa.table({"periods": [0, 0, 1, 2], "left": [1, 0, 0, 1]})
    fitted = fit_hazards(one, **COLUMNS, learner="baseline")
    assert fitted.life_table.at_risk.tolist() == [3, 1]
    assert fitted.life_table.events.tolist() == [1, 1]
    assert [note.split()[0] for note in fitted.notes] == ["1", "1"]


def test_who_left_before_observation_is_refused():
    one = pa.table({"periods": [3, 5], "since": [4, 0], "left": [1, 1]})
    with pytest.raises(BadComparison, match="1 customers left before they came under observation"):
        fit_hazards(one, **COLUMNS, start="since", learner="baseline")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", 1, 0), ("a", 1, 0)], "1 rows repeat"),
        ([("a", 1, 1), ("a", 2, 0)], "1 rows are of customers who had left"),
        ([("a", 0, 0), ("b", 1, 1)], "1 rows have no whole number"),
        ([("a", 1.5, 0), ("b", 1, 1)], "1 rows have no whole number"),
        ([(None, 1, 0), ("b", 1, 1)], "1 rows name no customer"),
    ],
)
def test_person_periods_that_cannot_be_are_refused(rows, words):
    table = pa.table({name: [row[at] for row in rows] for at, name in enumerate(("who", "period", "left"))})
    with pytest.raises(BadComparison, match=words):
        fit_person_periods(table, id="who", period="period", event="left", learner="baseline")


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(
    "case", ["fifty rows", "one period", "all left", "three rows", "constant feature", "text only"]
)
def test_small_and_odd_tables_give_hazards_that_are_not_sure(learner, case):
    rng = np.random.default_rng(1)
    rows = {"three rows": 3}.get(case, 50)
    duration = np.ones(rows, int) if case == "one period" else rng.integers(1, 9, rows)
    event = np.ones(rows, int) if case == "all left" else (np.arange(rows) % 3 == 0).astype(int)
    x = np.zeros(rows) if case in {"constant feature", "text only"} else rng.normal(size=rows)
    table = pa.table({"x": x, "plan": [f"plan {at % 4}" for at in range(rows)], "periods": duration, "left": event})
    fitted = fit_hazards(table, **COLUMNS, learner=learner)
    hazard = fitted.hazard(table, 12)
    assert np.isfinite(hazard).all()
    if learner != "baseline":
        assert ((hazard > 1e-4) & (hazard < 1)).all()
    str(fitted.summary())


def test_no_two_of_many_customers_are_taken_for_one():
    rows = 150_000
    table = pa.table(
        {"who": [f"customer {at}" for at in range(rows)], "period": [1] * rows, "left": np.arange(rows) % 2}
    )
    fitted = fit_person_periods(table, id="who", period="period", event="left", learner="baseline")
    assert fitted.counts["customers"] == rows


def test_features_are_named_or_refused(table):
    fitted = fit_hazards(table, **COLUMNS, features=["x0"], learner="logistic")
    assert fitted.contributions(table.select(["x0"])).columns == ("x0", "time active")
    with pytest.raises(BadComparison, match="no column y"):
        fit_hazards(table, **COLUMNS, features=["y"], learner="logistic")
    with pytest.raises(BadComparison, match="periods says how long"):
        fit_hazards(table, **COLUMNS, features=["periods"], learner="logistic")
    with pytest.raises(BadComparison, match="'forest' is not a learner"):
        fit_hazards(table, **COLUMNS, learner="forest")
