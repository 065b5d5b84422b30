"""Assignment by hash: stable, independent of order, in the right shares; sample ratios; sample sizes."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from patron.experiments import (
    Layer,
    analyse,
    assign,
    cuped_saving,
    detectable_effect,
    duration,
    sample_ratio_mismatch,
    sample_size,
)
from patron.schema.errors import BadExperiment, NotEnoughData

IDS = [f"customer-{number}" for number in range(20_000)]
HALVES = {"control": 1, "offer": 1}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=5), max_size=30), st.integers(0, 99))
def test_an_arm_depends_on_the_id_only_not_on_the_others_or_their_order(ids, seed):
    order = np.random.default_rng(seed).permutation(len(ids)).astype(int)
    arms = assign("free delivery", ids, weights=HALVES, salt="s")
    again = assign("free delivery", [ids[place] for place in order] + ["newcomer"], weights=HALVES, salt="s")
    assert again[:-1].tolist() == arms[order].tolist()


def test_shares_are_the_weights_and_an_arm_without_weight_gets_nobody():
    weights = {"none": 0, "control": 2, "offer": 1, "last": 0.0}
    arms = assign("coupon", IDS, weights=weights, salt="s")
    counts = {arm: int((arms == arm).sum()) for arm in weights}
    assert (counts["none"], counts["last"]) == (0, 0)
    assert sample_ratio_mismatch(counts=counts, weights=weights).p_value > 0.01


def test_texts_and_numbers_of_all_kinds_are_the_same_customers():
    numbers = list(range(50))
    expected = assign("e", numbers, weights=HALVES).tolist()
    for ids in (np.arange(50), pa.array(numbers, pa.int8()), [str(number) for number in numbers], pa.array(numbers)):
        assert assign("e", ids, weights=HALVES).tolist() == expected
    text = pa.array([str(number) for number in numbers]).dictionary_encode()
    assert assign("e", text, weights=HALVES).tolist() == expected
    assert assign("e", [], weights=HALVES).tolist() == []


def test_the_first_arms_stay_what_they_are():
    """A new version must not move anybody to another arm in the middle of an experiment."""
    arms = assign("coupon", ["a", "b", "c", "d", "e", "f", "g", "h"], weights=HALVES, salt="shop")
    assert "".join(arm[0] for arm in arms) == FIRST_ARMS


FIRST_ARMS = "ccoccooo"


def test_experiments_and_salts_are_independent_of_each_other():
    first, second, third = (
        assign(name, IDS, weights=HALVES, salt=salt) == "offer" for name, salt in (("a", "s"), ("b", "s"), ("a", "t"))
    )
    for one, other in ((first, second), (first, third)):
        assert stats.chi2_contingency(np.histogram2d(one, other, 2)[0]).pvalue > 1e-4


def test_experiments_of_a_layer_share_no_customer_and_other_layers_do_not_matter():
    layer = Layer("checkout", {"a": 0.3, "b": 0.5})
    arms = {name: assign(name, IDS, weights=HALVES, salt="s", layer=layer) for name in layer.shares}
    inside = {name: np.array([arm is not None for arm in each]) for name, each in arms.items()}
    assert not (inside["a"] & inside["b"]).any()
    assert inside["a"].mean() == pytest.approx(0.3, abs=0.015)
    assert inside["b"].mean() == pytest.approx(0.5, abs=0.015)
    alone = assign("a", IDS, weights=HALVES, salt="s")
    assert (alone[inside["a"]] == arms["a"][inside["a"]]).all()
    other = Layer("mail", {"c": 0.5}).holds("c", IDS, salt="s")
    assert stats.chi2_contingency(np.histogram2d(inside["a"], other, 2)[0]).pvalue > 1e-4
    larger = Layer("checkout", {"a": 0.3, "b": 0.5, "c": 0.2})
    assert (larger.holds("b", IDS, salt="s") == inside["b"]).all()


@pytest.mark.parametrize(
    ("ids", "weights", "layer", "message"),
    [
        (["a"], {}, None, "weights: there are none"),
        (["a"], {"x": 0.0}, None, "weights: all are 0"),
        (["a"], {"x": 1, "y": -1}, None, "weights: the share of y is -1"),
        (["a"], {"x": math.nan}, None, "weights: the share of x is nan"),
        (["a", None], HALVES, None, "ids: 1 are missing"),
        ([1.5], HALVES, None, "ids: not texts or whole numbers, but double"),
        (["a", 1], HALVES, None, "ids: not texts or whole numbers"),
        (["a"], HALVES, {"f": 0.5}, "layer: e is not in layer l. Its experiments are f"),
        (["a"], HALVES, {"e": 0.5, "f": 0.6}, "layer: the shares of layer l add up to 1.1"),
    ],
)
def test_what_cannot_be_assigned_is_refused_in_words(ids, weights, layer, message):
    with pytest.raises(BadExperiment, match=message):
        assign("e", ids, weights=weights, layer=Layer("l", layer) if layer else None)


def test_the_alarm_of_the_sample_ratio_is_pearsons_and_rings_at_its_level():
    ratio = sample_ratio_mismatch(counts={"control": 312, "offer": 619}, weights={"control": 1, "offer": 2})
    assert ratio.p_value == pytest.approx(stats.chisquare([312, 619], [931 / 3, 1862 / 3]).pvalue, rel=1e-12)
    drawn = np.random.default_rng(0).binomial(10_000, 0.3, 3_000)
    weights = {"control": 0.7, "offer": 0.3}
    p_values = np.array(
        [
            sample_ratio_mismatch(counts={"control": 10_000 - one, "offer": one}, weights=weights).p_value
            for one in drawn.tolist()
        ]
    )
    for level in (0.05, 0.01):
        assert abs((p_values < level).mean() - level) < 3 * (level * (1 - level) / 3_000) ** 0.5
    assert sample_ratio_mismatch(counts={"control": 5_300, "offer": 4_700}, weights=HALVES).is_mismatch


def test_customers_of_an_arm_without_weight_are_a_mismatch():
    assert sample_ratio_mismatch(counts={"a": 9, "b": 1}, weights={"a": 1, "b": 0}).p_value == 0
    assert sample_ratio_mismatch(counts={"a": 9, "b": 0}, weights={"a": 1, "b": 0}).p_value == 1


@pytest.mark.parametrize(
    ("counts", "weights", "message"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "c": 1}, "weights: b, c is only in one of counts and weights"),
        ({"control": -1, "offer": 2}, HALVES, "counts: a number is below 0"),
        ({"control": 1}, {"control": 1}, "weights: two arms are needed"),
        ({"control": 0, "offer": 0}, HALVES, "counts: there are no customers"),
    ],
)
def test_counts_that_cannot_be_tested_are_refused_in_words(counts, weights, message):
    with pytest.raises((BadExperiment, NotEnoughData), match=message):
        sample_ratio_mismatch(counts=counts, weights=weights)


def test_sample_sizes_equal_those_of_statsmodels():
    """TTestIndPower of statsmodels 0.15.0: 63.766, 1570.733 and 39245.263 customers.

    At 50 and 1,000 customers it says .5658803 and .12535081, where its solver stops at a power of .7999973 and
    .79999998: it gives the power of our effects as .8 to 12 digits.
    """
    assert [sample_size(size * 10, 10) for size in (0.5, 0.1, -0.02)] == [64, 1571, 39_246]
    assert detectable_effect(50, 1) == pytest.approx(0.565880297529597, rel=1e-5)
    assert detectable_effect(1000, 1) == pytest.approx(0.125350805297037, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.003, 3), st.floats(0.5, 0.99), st.floats(0.001, 0.1), st.floats(0, 0.9))
def test_the_effect_that_a_sample_detects_is_the_one_it_was_sized_for(effect, power, alpha, saving):
    customers = sample_size(effect, 1, power, alpha, saving=saving)
    assert detectable_effect(customers, 1, power, alpha, saving=saving) <= effect * (1 + 1e-9)
    if customers > 3:
        assert detectable_effect(customers - 1, 1, power, alpha, saving=saving) > effect * (1 - 1e-6)


def test_a_plan_with_the_saving_of_history_has_its_power():
    """Predicted saving, the sample for it, and the share of such experiments in which CUPED is significant."""
    rng = np.random.default_rng(3)

    def customers(count):
        before = rng.gamma(1, 20, count)
        return before, 0.8 * before + rng.gamma(1, 10, count)

    before, after = customers(20_000)
    saving = cuped_saving({"before": before, "after": after}, outcome="after", covariate="before")
    assert saving == pytest.approx(np.corrcoef(before, after)[0, 1] ** 2, abs=1e-3)
    count = sample_size(3, after.std(), saving=saving)
    assert count < 0.4 * sample_size(3, after.std())
    assert duration(3, after.std(), saving=saving, customers_per_day=10) == math.ceil(2 * count / 10)
    significant = []
    for _ in range(300):
        before, after = customers(2 * count)
        offer = np.arange(2 * count) % 2
        rows = {"arm": offer, "spend": after + 3 * offer, "before": before}
        row = analyse(rows, group="arm", outcome="spend", control=0, covariate="before").row(1, "cuped")
        significant.append(row.p_value < 0.05)
    assert abs(np.mean(significant) - 0.8) < 3 * (0.8 * 0.2 / 300) ** 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effect": 0}, "effect: 0 cannot be detected"),
        ({"sd": 0}, "sd: 0 is not above 0"),
        ({"power": 1}, "power: 1 is not between 0 and 1"),
        ({"power": 0.01}, r"power: 0\.01 is not above alpha"),
        ({"saving": 1}, "saving: 1 is not 0 or more and below 1"),
        ({"customers_per_day": 0}, "customers_per_day: 0 is not above 0"),
        ({"arms": 1}, "arms: 1 arms; a control and another"),
    ],
)
def test_plans_that_cannot_be_are_refused_in_words(arguments, message):
    with pytest.raises(BadExperiment, match=message):
        duration(**{"effect": 1, "sd": 1, "customers_per_day": 5} | arguments)
    with pytest.raises(NotEnoughData, match="customers: 1 customers an arm"):
        detectable_effect(1, 1)
