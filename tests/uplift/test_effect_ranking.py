"""Qini, AUUC, uplift at a share and calibration: as scikit-uplift has them, by hand, and for several offers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.schema.errors import BadTrial, NotEnoughData
from patron.uplift import DEFAULT, auuc, calibration, policy_value, qini, uplift_at
from uplift_trials import CASES, shop_trial, trial_rows

PEERS = json.loads((Path(__file__).parent / "peer_numbers.json").read_text(encoding="utf-8"))
MEASURES = {"qini": qini, "auuc": auuc, "uplift_at": uplift_at}
MEASURE = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


@pytest.mark.parametrize("case", CASES)
@MEASURE
def test_measures_equal_those_of_scikit_uplift(measure, case):
    """0.5.1, recorded by benchmarks/uplift/peer_numbers.py."""
    name = next(key for key, one in MEASURES.items() if one is measure)
    assert measure(**trial_rows(case)).value == pytest.approx(PEERS["scikit-uplift 0.5.1"][case][name], abs=1e-12)


@MEASURE
def test_arms_may_have_names_and_effects_columns(measure):
    rows = trial_rows("no ties")
    names = np.array(["nothing", "coupon"])[rows["treatment"]]
    expected = measure(**rows)
    assert measure(rows["outcome"], {"coupon": rows["effect"]}, names, "nothing") == expected
    assert measure(rows["outcome"], rows["effect"], rows["treatment"] == 1, False) == expected
    assert expected.low < expected.value < expected.high


def test_the_qini_curve_by_hand():
    """Offered 1, control 0, offered 0, control 1 in this order: the best there is, so 1; turned round,
    the curve is 0, 0, -1, -1/2, 0 with area -1.5 next to 3."""
    outcome, treatment = np.array([1, 0, 0, 1]), np.array([1, 0, 1, 0])
    assert qini(outcome, np.array([4.0, 3.0, 2.0, 1.0]), treatment).value == pytest.approx(1)
    assert qini(outcome, np.array([1.0, 2.0, 3.0, 4.0]), treatment).value == pytest.approx(-0.5)
    assert uplift_at(outcome, np.array([4.0, 3.0, 2.0, 1.0]), treatment, share=0.5).value == 1


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_ranking_is_all_that_counts_and_money_may_have_any_unit(seed):
    rng = np.random.default_rng(seed)
    effect, treatment = rng.normal(size=60), np.r_[0, 1, rng.integers(0, 2, 58)]
    outcome = rng.gamma(1.0, size=60)
    for measure in (qini, auuc):
        value = measure(outcome, effect, treatment).value
        assert measure(outcome, np.exp(effect), treatment).value == pytest.approx(value)
        assert measure(100 * outcome, effect, treatment).value == pytest.approx(value)
        assert value <= 1 + 1e-9


def test_several_offers_are_judged_where_the_best_one_was_given():
    table, effects = shop_trial(4_000, 8)
    arms, outcome = np.array(table["offer"]), np.array(table["outcome"])
    truth = {"call": effects[:, 0], "coupon": effects[:, 1]}
    random = {name: np.random.default_rng(0).permutation(one) for name, one in truth.items()}
    for measure in (qini, auuc, uplift_at):
        assert measure(outcome, truth, arms, "none").low > measure(outcome, random, arms, "none").value
    best = np.maximum(effects[:, 0], effects[:, 1])
    top = best >= np.quantile(best, 0.7)
    at = uplift_at(outcome, truth, arms, "none")
    assert at.low < best[top].mean() < at.high


@MEASURE
def test_intervals_of_effects_without_use_hold_what_chance_gives(measure):
    rng = np.random.default_rng(1)
    expected = 0.2 if measure is uplift_at else 0.0
    inside = 0
    for seed in range(40):
        treatment = rng.integers(0, 2, 400)
        outcome = rng.normal(size=400) + 0.2 * treatment
        one = measure(outcome, rng.normal(size=400), treatment, seed=seed)
        inside += one.low <= expected <= one.high
    assert inside >= 33


def test_calibration_is_1_for_true_effects_and_less_for_wide_ones():
    table, effects = shop_trial(6_000, 9)
    rows = (
        np.array(table["outcome"]),
        {"call": effects[:, 0], "coupon": effects[:, 1]},
        np.array(table["offer"]),
        "none",
    )
    right = calibration(*rows)
    assert right.low < 1 < right.high
    assert right.value - right.low < 0.3
    wide = calibration(rows[0], {name: 3 * one for name, one in rows[1].items()}, *rows[2:])
    assert wide.high < 0.6
    bins = right.to_table().to_pandas()
    assert (bins["estimated"].diff().dropna() >= 0).all()
    assert bins["row_count"].sum() <= 6_000
    assert ((bins["low"] <= bins["estimated"]) & (bins["estimated"] <= bins["high"])).mean() >= 0.7


@pytest.mark.parametrize("is_doubly_robust", [False, True])
def test_a_policy_is_worth_what_the_truth_says(is_doubly_robust):
    table, effects = shop_trial(5_000, 10, chosen=is_doubly_robust)
    decision = np.where(effects[:, 1] > effects[:, 0], "coupon", "call")
    features = {name: table[name] for name in ("first", "second", "channel")} if is_doubly_robust else None
    one = policy_value(np.array(table["outcome"]), decision, table["offer"], control="none", table=features)
    truth = 2 + 1 / 3 + effects.max(axis=1).mean()
    assert one.method == ("dr" if is_doubly_robust else "ips")
    assert abs(one.value - truth) < (one.high - one.low)
    assert one.high - one.low < 0.25


def test_a_policy_of_one_arm_is_worth_its_mean():
    table, _ = shop_trial(1_000, 11)
    outcome, arms = np.array(table["outcome"]), np.array(table["offer"])
    one = policy_value(outcome, np.full(1_000, "call"), arms, control="none")
    assert one.value == pytest.approx(outcome[arms == "call"].mean())


def test_bad_arrays_are_refused_in_words():
    rows = trial_rows("no ties")
    with pytest.raises(BadTrial, match="share"):
        uplift_at(**rows, share=0.0)
    with pytest.raises(BadTrial, match="effect"):
        qini(rows["outcome"], rows["effect"][:-1], rows["treatment"])
    with pytest.raises(BadTrial, match="missing or infinite"):
        qini(rows["outcome"], np.full(600, np.nan), rows["treatment"])
    with pytest.raises(BadTrial, match="no row is in the control arm none"):
        qini(**rows, control="none")
    with pytest.raises(BadTrial, match="every row is in arm 1"):
        auuc(rows["outcome"], rows["effect"], np.ones(600), control=1)
    with pytest.raises(NotEnoughData, match="no customers"):
        qini(np.array([]), np.array([]), np.array([]))
    with pytest.raises(BadTrial, match="no effects of coupon"):
        qini(rows["outcome"], {"call": rows["effect"]}, np.where(rows["treatment"], "coupon", "none"), "none")
    assert DEFAULT.name == "dr"
