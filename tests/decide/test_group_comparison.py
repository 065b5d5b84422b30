"""Rates and calibration by group: definitions, intervals, small groups, and what is beyond noise."""

import numpy as np
import pytest

from patron.decide.group_comparison import SelectedRows, compare_groups, group_values
from patron.schema.models.group_metrics import GROUP_METRICS


def some_rows(seed, *, count=1_500, shift=0.0):
    """Rows of two groups of a calibrated forecast; group b's forecast is `shift` too high."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.where(rng.random(count // 2) < 0.3, "b", "a"), 2)
    chance = rng.beta(2, 2, count)
    happened = (rng.random(count) < chance).astype(np.float64)
    forecast = np.clip(chance + shift * (group == "b"), 0, 1)
    return SelectedRows(np.arange(count) // 2, forecast >= 0.5, forecast, happened), group


def metric(comparison, group, name):
    return next(one for one in comparison.metrics if (one.group, one.metric) == (group, name))


def test_the_rates_of_a_small_table_are_those_counted_by_hand():
    rows = SelectedRows(
        np.arange(6),
        np.array([True, True, False, True, False, False]),
        np.array([0.9, 0.6, 0.4, 0.8, 0.2, 0.1]),
        np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
    )
    values = {name: float(value[0]) for name, value in group_values(rows).items()}
    assert values["selection_rate"] == pytest.approx(3 / 6)
    assert values["true_positive_rate"] == pytest.approx(2 / 3)
    assert values["false_positive_rate"] == pytest.approx(1 / 3)
    assert values["calibration_gap"] == pytest.approx(0.0)
    assert values["auc"] == pytest.approx(7 / 9)
    assert {*values, "selection_ratio"} == {*GROUP_METRICS}


def test_a_forecast_that_is_too_high_for_one_group_is_beyond_noise_and_a_fair_one_is_not():
    fair, unfair = (
        compare_groups(*some_rows(3, shift=shift), fewest=50, rng=np.random.default_rng(0)) for shift in (0.0, 0.2)
    )
    for name in ("calibration_gap", "true_positive_rate", "false_positive_rate"):
        gap = metric(unfair, "b", name).gap
        assert gap is not None
        assert gap.low > 0
        between = metric(fair, "b", name).gap
        assert between is not None
        assert between.low < 0 < between.high
    assert metric(unfair, "b", "selection_ratio").value.low > 1


def test_the_gap_of_one_of_two_groups_is_the_opposite_of_the_others():
    compared = compare_groups(*some_rows(4), fewest=50, rng=np.random.default_rng(0))
    one, other = (metric(compared, group, "true_positive_rate").gap for group in "ab")
    assert one is not None
    assert other is not None
    assert one.value == pytest.approx(-other.value)


def test_the_interval_of_a_gap_holds_the_true_gap_in_nearly_all_of_many_samples():
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        group = np.repeat(["a", "b"], 200)
        selected = rng.random(400) < np.where(group == "a", 0.5, 0.3)
        compared = compare_groups(SelectedRows(np.arange(400), selected), group, fewest=50, rng=rng)
        gap = metric(compared, "b", "selection_rate").gap
        assert gap is not None
        held += gap.low <= -0.2 <= gap.high
    assert held >= 36


def test_a_small_group_is_counted_and_not_named_and_so_are_customers_without_a_group():
    rows = SelectedRows(np.arange(300), np.arange(300) % 2 == 0)
    groups = np.array(["a"] * 140 + ["b"] * 130 + ["rare"] * 12 + ["rarer"] * 8 + [""] * 10)
    compared = compare_groups(rows, groups, fewest=50, rng=np.random.default_rng(0))
    assert compared.left_out_count == 20
    assert compared.without_group_count == 10
    assert {one.group for one in compared.metrics} == {"a", "b"}
    assert "rare" not in repr(compared)


def test_a_group_without_others_to_compare_it_with_is_left_out():
    rows, groups = SelectedRows(np.arange(300), np.arange(300) % 2 == 0), np.array(["a"] * 300)
    assert compare_groups(rows, groups, fewest=50, rng=np.random.default_rng(0)).left_out_count == 300


def test_a_rate_of_too_few_customers_is_left_out():
    happened = np.zeros(400)
    happened[:30] = 1
    rows = SelectedRows(np.arange(400), np.arange(400) % 3 == 0, np.full(400, 0.1), happened)
    compared = compare_groups(rows, np.repeat(["a", "b"], 200), fewest=50, rng=np.random.default_rng(0))
    shown = {one.metric for one in compared.metrics}
    assert not shown & {"true_positive_rate", "auc"}
    assert {"false_positive_rate", "selection_rate", "calibration_gap"} <= shown


def test_none_of_fifty_is_not_taken_for_sure():
    selected = np.arange(550) % 25 == 0
    selected[:50] = False
    groups = np.array(["a"] * 50 + ["b"] * 500)
    compared = compare_groups(SelectedRows(np.arange(550), selected), groups, fewest=50, rng=np.random.default_rng(0))
    ratio = metric(compared, "a", "selection_ratio").value
    assert ratio.value == 0.0
    assert ratio.high > 1.0


def test_neither_ids_nor_the_order_of_rows_change_anything():
    rows, groups = some_rows(5, shift=0.1)
    order = np.random.default_rng(9).permutation(len(rows))
    ids = np.random.default_rng(8).permutation(2 * len(rows))[rows.customers]
    other = SelectedRows(ids, rows.is_selected, rows.forecast, rows.happened).where(order)
    first = compare_groups(rows, groups, fewest=50, rng=np.random.default_rng(0))
    assert compare_groups(other, groups[order], fewest=50, rng=np.random.default_rng(0)) == first
