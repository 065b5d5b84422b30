"""Intervals hold the true effect as often as they say: at one look, at every look, and with heavy-tailed money."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from patron.experiments import analyse, bootstrap_effects, confidence_sequence
from patron.schema.errors import BadExperiment, NotEnoughData

RUNS = 250
COLUMNS = {"group": "arm", "outcome": "outcome", "control": 0}
STUDIES = Path(__file__).parents[2] / "benchmarks" / "experiments"
STUDY = runpy.run_path(str(STUDIES / "coverage.py"))
draw, MEAN_MONEY = STUDY["draw"], STUDY["MEAN_MONEY"]


def is_95_per_cent(shares):
    return abs(np.mean(shares) - 0.95) < 3 * (0.95 * 0.05 / len(shares)) ** 0.5


def holds(row, effect):
    return row.low <= effect <= row.high


@pytest.mark.parametrize("effect", [0.0, 0.1 * MEAN_MONEY])
def test_all_intervals_of_heavy_tailed_money_hold_the_effect_in_95_per_cent(effect):
    held = {}
    for seed in range(RUNS):
        rows = draw("money", effect, np.random.default_rng([seed, effect > 0]), 2_000)
        for row in analyse(rows, **COLUMNS, covariate="before", denominator="visits", strata="half"):
            held.setdefault(row.method, []).append(holds(row, effect / 3 if row.method == "ratio" else effect))
        (row,) = bootstrap_effects(rows, **COLUMNS, resamples=150, seed=seed)
        held.setdefault("bootstrap", []).append(holds(row, effect))
    assert {method: np.mean(shares) for method, shares in held.items() if not is_95_per_cent(shares)} == {}


@pytest.mark.parametrize("effect", [0.0, 0.1 * MEAN_MONEY])
def test_intervals_of_all_looks_hold_together_where_one_looks_test_alarms_falsely(effect):
    held, alarms = [], []
    for seed in range(RUNS):
        looks = confidence_sequence(
            draw("money", effect, np.random.default_rng([seed, 7]), 3_000), **COLUMNS, tightest_at=1_000
        )
        held.append(all(holds(row, effect) for row in looks))
        finite = [row for row in looks if np.isfinite(row.low)]
        reach = [(row.high - row.low) / 2 / reach_of_paper(row.n) for row in finite]
        alarms.append(any(abs(row.effect - effect) > 1.96 * error for row, error in zip(finite, reach, strict=True)))
    assert np.mean(held) > 0.95 - 3 * (0.95 * 0.05 / RUNS) ** 0.5
    assert np.mean(alarms) > 3 * 0.05


def reach_of_paper(rows, tightest_at=1_000, alpha=0.05):
    """Half width of the normal mixture over a standard error, written as in the paper, with t the rows."""
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / tightest_at
    boundary = np.sqrt(2 * (rows * rho2 + 1) / (rows**2 * rho2) * np.log(np.sqrt(rows * rho2 + 1) / alpha))
    return boundary * np.sqrt(rows)


def test_a_look_is_the_formula_of_the_paper_on_the_rows_so_far():
    rows = draw("normal", 3.0, np.random.default_rng(1), 5_000)
    looks = confidence_sequence(rows, **COLUMNS, looks=[500, 2_345, 5_000], tightest_at=1_000).to_table()
    assert looks.column_names == ["arm", "look", "n", "effect", "low", "high"]
    assert looks["n"].to_pylist() == [500, 2_345, 5_000]
    first = {name: values[:2_345] for name, values in rows.items()}
    welch = analyse(first, **COLUMNS).row(1)
    parts = [first["outcome"][first["arm"] == arm] for arm in (0, 1)]
    equal = (sum(part.var() * len(part) for part in parts) / 2_343 * sum(1 / len(part) for part in parts)) ** 0.5
    error = max(welch.standard_error, equal)
    look = looks.slice(1, 1).to_pylist()[0]
    assert look["effect"] == pytest.approx(welch.effect, rel=1e-12)
    assert look["high"] - look["effect"] == pytest.approx(error * reach_of_paper(2_345), rel=1e-9)
    assert look["high"] - look["effect"] == pytest.approx(look["effect"] - look["low"])


def test_a_small_control_with_heavy_tails_is_held_at_every_look_and_by_the_bootstrap_but_not_by_welch():
    held = {"welch": [], "bootstrap": [], "sequence": []}
    for seed in range(RUNS):
        rows = draw("money", 0.0, np.random.default_rng([seed, 8]), 3_000, control=0.1)
        effects = analyse(rows, **COLUMNS)
        assert re.match(
            r"0 has only \d{3} of 3,000 rows of 1 and 0, .* Read those of bootstrap_effects", effects.findings[0]
        )
        held["welch"].append(holds(effects.row(1), 0))
        held["bootstrap"].append(holds(bootstrap_effects(rows, **COLUMNS, resamples=150, seed=seed).rows[0], 0))
        held["sequence"].append(all(holds(row, 0) for row in confidence_sequence(rows, **COLUMNS)))
    assert is_95_per_cent(held["bootstrap"])
    assert np.mean(held["sequence"]) > 0.95
    assert np.mean(held["welch"]) < 0.92


def test_equal_arms_and_outcomes_without_a_tail_have_no_finding():
    rng = np.random.default_rng(9)
    equal, small = draw("money", 0.0, rng, 3_000), draw("normal", 0.0, rng, 3_000, control=0.1)
    assert analyse(equal, **COLUMNS).findings == analyse(small, **COLUMNS).findings == ()


GBSTATS = {
    ("coupon", 450): (3.1848, -5.74107199807476, 12.1106719980748),
    ("coupon", 900): (2.6846, -2.85507566963621, 8.2242756696362),
    ("call", 450): (2.61993333333334, -6.64716744330693, 11.8870341099736),
    ("call", 900): (2.05996666666666, -3.90648755372168, 8.026420887055),
}
"""Effect, low and high of gbstats 0.8.0: `python benchmarks/experiments/peers.py sequences`."""


def test_sequences_equal_those_of_growthbook():
    rows = runpy.run_path(str(STUDIES / "peers.py"))["equal_arms"]()
    columns = {"group": "arm", "outcome": "spend", "control": "control"}
    for row in confidence_sequence(rows, **columns, looks=[450, 900], tightest_at=2_000):
        assert (row.effect, row.low, row.high) == pytest.approx(GBSTATS[row.arm, row.n], rel=1e-9)


def test_looks_are_50_equal_steps_of_every_arm_and_later_rows_change_no_earlier_look():
    rows = draw("normal", 3.0, np.random.default_rng(2), 5_000)
    rows["arm"] = rows["arm"] + (np.arange(5_000) % 3 == 0)
    looks = confidence_sequence(rows, **COLUMNS)
    assert [(row.arm, row.n) for row in looks] == [(arm, n) for arm in (1, 2) for n in range(100, 5_001, 100)]
    early = confidence_sequence({name: values[:2_000] for name, values in rows.items()}, **COLUMNS, looks=[1_000])
    assert [row.low for row in early] == pytest.approx([row.low for row in looks if row.n == 1_000], rel=1e-9)


def test_intervals_are_infinite_until_there_are_outcomes():
    rows = {"arm": np.arange(400) % 2, "outcome": np.repeat([0, 1], 200) * (np.arange(400) % 3 == 0)}
    looks = confidence_sequence(rows, **COLUMNS, looks=[1, 150, 400]).rows
    assert np.isnan(looks[0].effect)
    assert (looks[1].low, looks[1].effect, looks[1].high) == (-np.inf, 0, np.inf)
    assert np.isfinite(looks[2].high)


@pytest.mark.parametrize("looks", [[], [0, 5], [5, 5], [7, 5], [401], [2.5], ["a"], 5])
def test_looks_that_cannot_be_are_refused_in_words(looks):
    rows = draw("normal", 0.0, np.random.default_rng(2), 400)
    with pytest.raises(BadExperiment, match=r"looks: .* are not increasing row counts from 1 to 400"):
        confidence_sequence(rows, **COLUMNS, looks=looks)


def test_quantiles_hold_the_true_difference_of_medians():
    rng = np.random.default_rng(5)
    held = []
    for seed in range(RUNS):
        arm = rng.integers(0, 2, 800)
        outcome = rng.lognormal(3, 1, 800) * (1 + 0.2 * arm)
        (row,) = bootstrap_effects({"arm": arm, "outcome": outcome}, **COLUMNS, quantile=0.5, seed=seed, resamples=500)
        held.append(holds(row, 0.2 * np.exp(3)))
    assert is_95_per_cent(held)


def test_the_bootstrap_of_an_easy_outcome_is_welchs_interval_and_reproduces_by_seed():
    rows = draw("normal", 1.0, np.random.default_rng(3), 2_000)
    welch = analyse(rows, **COLUMNS).row(1)
    (one,) = bootstrap_effects(rows, **COLUMNS, seed=1)
    assert one == bootstrap_effects(rows, **COLUMNS, seed=1).rows[0]
    assert one.effect == pytest.approx(welch.effect)
    assert (one.low, one.high) == pytest.approx((welch.low, welch.high), abs=0.15 * welch.standard_error)
    assert abs(stats.norm.isf(one.p_value / 2) - welch.effect / welch.standard_error) < 0.5


def test_bootstraps_that_cannot_be_are_refused_in_words():
    rows = draw("normal", 3.0, np.random.default_rng(3), 40)
    with pytest.raises(BadExperiment, match="quantile: 1 is not"):
        bootstrap_effects(rows, **COLUMNS, quantile=1)
    with pytest.raises(BadExperiment, match="resamples: 0 is not"):
        bootstrap_effects(rows, **COLUMNS, resamples=0)
    with pytest.raises(BadExperiment, match="tightest_at: 0"):
        confidence_sequence(rows, **COLUMNS, tightest_at=0)
    with pytest.raises(NotEnoughData, match="one row"):
        bootstrap_effects({"arm": [0, 0, 1], "outcome": [1, 2, 3]}, **COLUMNS)
