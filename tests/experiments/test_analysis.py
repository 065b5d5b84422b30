"""Effects of experiments: equal to peers' numbers and to plain formulas, and bad rows refused in words."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.experiments import analyse
from patron.schema.errors import BadExperiment, NotEnoughData

ROOT = Path(__file__).parents[2]
EXPERIMENT = runpy.run_path(str(ROOT / "benchmarks" / "experiments" / "peers.py"))["experiment"]()
PEERS = {
    ("coupon", "raw"): (2.29651454866973, -1.08376363275453, 5.67679273009399, 0.182636120411373),
    ("coupon", "cuped"): (0.858068401044392, -1.59201323911302, 3.3081500412018, 0.491850520921576),
    ("coupon", "ratio"): (1.03396202766574, -0.0227641617152172, 2.09068821704669, 0.0551279054960446),
    ("call", "raw"): (6.4023260413688, 2.62416907485814, 10.1804830078795, 0.00093067086908959),
    ("call", "cuped"): (4.32813187773774, 1.5710016913577, 7.08526206411778, 0.00214680501596576),
    ("call", "ratio"): (1.80173903025446, 0.618975608269824, 2.9845024522391, 0.00289501491114153),
}
"""Effect, low, high and p-value of tea-tasting 1.14.0, raw also of statsmodels 0.15.0: `python
benchmarks/experiments/peers.py`."""
COLUMNS = {"group": "arm", "outcome": "spend", "control": "control"}


def full(table):
    return analyse(table, **COLUMNS, covariate="before", denominator="visits", strata="region")


def numbers(row):
    return row.effect, row.low, row.high, row.p_value


def test_effects_equal_those_of_statsmodels_and_tea_tasting():
    effects = full(EXPERIMENT)
    for (arm, method), expected in PEERS.items():
        assert numbers(effects.row(arm, method)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_rows_are_of_every_arm_and_method_side_by_side_in_any_kind_of_frame():
    table = full(EXPERIMENT).to_table()
    methods = ["raw", "cuped", "stratified", "ratio"]
    assert table["arm"].to_pylist() == ["call"] * 4 + ["coupon"] * 4
    assert table["method"].to_pylist() == methods * 2
    for kind in (pd.DataFrame, pl.DataFrame, pa.table):
        assert full(kind(EXPERIMENT)).rows[:3] == full(EXPERIMENT).rows[:3]
        assert pl.DataFrame(full(kind(EXPERIMENT)))["p_value"].to_list() == table["p_value"].to_pylist()


def test_the_effect_of_strata_is_the_weighted_mean_of_their_differences():
    rows = pd.DataFrame(EXPERIMENT).query("arm != 'call'")
    effect, variance = 0.0, 0.0
    for _, part in rows.groupby("region"):
        treated, control = (part.spend[part.arm == arm] for arm in ("coupon", "control"))
        share = len(part) / len(rows)
        effect += share * (treated.mean() - control.mean())
        variance += share**2 * (treated.var() / len(treated) + control.var() / len(control))
    row = full(EXPERIMENT).row("coupon", "stratified")
    assert (row.effect, row.standard_error) == pytest.approx((effect, variance**0.5), rel=1e-12)


def test_several_covariates_are_one_regression_and_a_repeated_one_changes_nothing():
    table = EXPERIMENT | {"twice": 2 * EXPERIMENT["before"]}
    several = analyse(table, **COLUMNS, covariate=["before", "visits"]).row("call", "cuped")
    once, again = (
        analyse(table, **COLUMNS, covariate=names).row("call", "cuped") for names in ("before", ["before", "twice"])
    )
    assert numbers(again) == pytest.approx(numbers(once), rel=1e-9)
    rows = pd.DataFrame(table).query("arm != 'coupon'")
    design = np.column_stack([np.ones(len(rows)), rows.before, rows.visits])
    slopes = np.linalg.lstsq(design, rows.spend)[0]
    rest = rows.spend - design @ slopes
    assert several.effect == pytest.approx(rest[rows.arm == "call"].mean() - rest[rows.arm == "control"].mean())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-1e4, 1e4), st.floats(0.1, 1e3))
def test_other_units_and_orders_move_the_effects_with_them(seed, shift, scale):
    order = np.random.default_rng(seed).permutation(900)
    shuffled = {name: values[order] for name, values in EXPERIMENT.items()}
    shuffled["spend"] = shift + scale * shuffled["spend"]
    one, other = (analyse(table, **COLUMNS, covariate="before", strata="region") for table in (EXPERIMENT, shuffled))
    for first, second in zip(one, other, strict=True):
        assert (second.effect, second.high) == pytest.approx((scale * first.effect, scale * first.high), rel=1e-6)
        assert second.p_value == pytest.approx(first.p_value, rel=1e-6)


@pytest.mark.parametrize("constant", [7, 0.1, 1e9 / 3])
def test_a_constant_outcome_has_no_effect(constant):
    row = analyse(EXPERIMENT | {"spend": np.full(900, constant)}, **COLUMNS, covariate="before").row("call", "cuped")
    assert numbers(row) == (0, 0, 0, 1)


def test_decimals_and_truth_values_are_numbers():
    cents = pa.array(np.round(EXPERIMENT["spend"] * 100).astype(np.int64)).cast(pa.decimal128(20, 0))
    decimal = analyse(EXPERIMENT | {"spend": cents}, **COLUMNS).row("call")
    assert decimal.effect == pytest.approx(100 * full(EXPERIMENT).row("call").effect)
    is_large = analyse(EXPERIMENT | {"spend": EXPERIMENT["spend"] > 50}, **COLUMNS).row("call")
    shares = [np.mean(EXPERIMENT["spend"][EXPERIMENT["arm"] == arm] > 50) for arm in ("call", "control")]
    assert is_large.effect == pytest.approx(shares[0] - shares[1])


def change(**columns):
    return EXPERIMENT | columns


WITH_GAP = np.where(np.arange(900) == 3, np.nan, EXPERIMENT["spend"])
BAD = {
    "only arm": (change(arm=["control"] * 900), {}, "arm: all rows are of control"),
    "no control": (EXPERIMENT, {"control": "none"}, "arm: no row is of the control 'none'. The arms are call, control"),
    "text": (EXPERIMENT, {"outcome": "arm"}, "arm: holds .*string, no numbers"),
    "no column": (EXPERIMENT, {"outcome": "margin"}, "margin: there is no such column. The columns are arm, spend"),
    "missing": (change(spend=pa.array(WITH_GAP, from_pandas=True)), {}, "spend: 1 of 900 values are missing"),
    "not finite": (change(spend=WITH_GAP), {}, "spend: 1 values are not finite"),
    "no arm": (change(arm=[None, *EXPERIMENT["arm"][1:]]), {}, "arm: 1 of 900 values are missing"),
    "covariate": (change(before=np.ones(900)), {"covariate": "before"}, "before: all rows are 1. A covariate that nev"),
    "leak": (EXPERIMENT, {"covariate": "spend"}, "covariate: it explains the outcome fully. Use what was known"),
    "denominator": (change(visits=np.zeros(900)), {"denominator": "visits"}, "visits: its mean in an arm is not above"),
    "no frame": (7, {}, "table: a table is needed"),
}
THIN = {
    "no rows": ({name: values[:0] for name, values in EXPERIMENT.items()}, {}, "table: there are no rows"),
    "one row": (change(arm=["one", *["control"] * 899]), {}, "arm: one has one row; an arm needs 2"),
    "stratum": (
        change(region=np.arange(900) // 2),
        {"strata": "region"},
        "region: stratum 0 has .* Merge small strata",
    ),
    "no spread": (
        change(spend=np.where(EXPERIMENT["arm"] == "call", 0.3, 0.1)),
        {},
        "outcome: the outcome does not vary within",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_an_experiment_is_refused_in_words(name):
    table, columns, message = BAD[name]
    with pytest.raises(BadExperiment, match=message):
        analyse(table, **COLUMNS | columns)


@pytest.mark.parametrize("name", THIN)
def test_too_few_rows_are_refused_in_words(name):
    table, columns, message = THIN[name]
    with pytest.raises(NotEnoughData, match=message):
        analyse(table, **COLUMNS | columns)
