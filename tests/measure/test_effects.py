from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from patron.measure.decision_outcomes import windows
from patron.measure.effect_estimates import effect_against_holdout, effects_by_stratum
from patron.measure.effects import estimate
from patron.measure.empirical_bayes import shrunk_effects


def truth(stratum):
    return 300.0 if "deals_high" in stratum else -100.0


def test_the_intervals_of_the_strata_contain_the_true_effects(world):
    rows = [row for row in estimate(world(6_000)) if row["offer"] == "ten" and row["stratum"] != "all"]
    assert len(rows) == 18
    inside = [row["low"] <= truth(row["stratum"]) <= row["high"] for row in rows]
    assert sum(inside) >= 15


def test_shrunken_effects_are_nearer_to_the_truth_than_plain_ones(world):
    plain, shrunk = [], []
    for seed in range(6):
        estimates = [one for one in effects_by_stratum(world(1_500, seed)) if one.stratum != "all"]
        keys = [(one.offer, one.stratum) for one in estimates]
        plain += [one.difference - truth(one.stratum) for one in estimates]
        shrunk += [one.effect - truth(one.stratum) for one in shrunk_effects(estimates, keys)]
    assert np.mean(np.square(shrunk)) < 0.7 * np.mean(np.square(plain))


def test_offers_against_the_holdout_give_the_effect_on_those_who_got_one(world):
    off = []
    for seed in range(8):
        drawn = world(4_000, seed, lift=400.0, loss=400.0)
        found = effect_against_holdout(drawn)
        off.append((found.difference - 400.0) / found.standard_error)
    assert max(np.abs(off)) < 3.5
    assert abs(np.mean(off)) < 3 / np.sqrt(len(off))


def test_a_placebo_contains_zero_about_as_often_as_promised(world):
    covered = []
    for seed in range(40):
        rows = estimate(world(400, seed, lift=0.0, loss=0.0))
        covered += [row["low"] <= 0 <= row["high"] for row in rows if row["stratum"] == "all"]
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / len(covered))


def test_a_stratum_never_measured_gets_the_effect_of_its_parts(world):
    drawn = world(6_000)
    missing = "lapsed/deals_high/value_low"
    estimates = [one for one in effects_by_stratum(drawn) if one.stratum not in {"all", missing}]
    found = shrunk_effects(estimates, [("ten", missing)])[0]
    assert abs(found.effect - 300.0) < 3 * found.standard_error
    assert found.effect > 100.0


def test_nothing_is_claimed_of_what_was_not_randomised(world):
    drawn = world(500)
    certain = drawn.rows(np.flatnonzero(drawn.is_holdout))
    assert effects_by_stratum(certain) == []
    assert effect_against_holdout(certain) is None
    assert estimate(certain) == []


@pytest.mark.parametrize("seed", range(3))
def test_estimates_do_not_depend_on_the_order_of_the_rows(world, seed):
    drawn = world(800, seed)
    shuffled = drawn.rows(np.random.default_rng(seed).permutation(len(drawn.margin_cents)))
    for one, other in zip(estimate(drawn), estimate(shuffled), strict=True):
        assert one["stratum"] == other["stratum"]
        assert one["effect_cents"] == pytest.approx(other["effect_cents"], abs=1e-4)


def test_who_could_not_have_got_the_offer_is_not_its_control(world):
    drawn = world(900)
    is_closed = (drawn.run == "t2") & ~drawn.is_holdout
    kept = drawn.rows(~(is_closed & (drawn.action == "ten")))
    closed = kept.run == "t2"
    propensities = {
        "ten": np.where(closed, 0.0, kept.propensities["ten"]),
        "none": np.where(closed, 0.5, kept.propensities["none"]),
    }
    rich = np.where(closed, kept.margin_cents + 5_000 * kept.covariates[:, 2], kept.margin_cents)
    mixed = next(
        one
        for one in effects_by_stratum(replace(kept, propensities=propensities, margin_cents=rich))
        if one.stratum == "all"
    )
    alone = next(one for one in effects_by_stratum(drawn.rows(drawn.run != "t2")) if one.stratum == "all")
    assert mixed.control_count == alone.control_count
    assert mixed.treated_count == alone.treated_count


def test_the_holdout_is_compared_at_each_customers_first_decision_only(world):
    drawn = world(2_000, lift=400.0, loss=400.0)
    is_gone = (~drawn.is_first) & (drawn.action == "ten")  # offers took these customers out of the later runs
    later = drawn.rows(~is_gone)
    assert effect_against_holdout(later) == effect_against_holdout(drawn.rows(drawn.is_first))


def test_an_arm_in_which_nobody_bought_is_not_sure(world):
    drawn = world(60, runs=1)
    silent = replace(drawn, margin_cents=np.where(drawn.action == "ten", 0.0, drawn.margin_cents))
    silent = replace(silent, covariates=np.zeros((len(silent.run), 0)), stratum=np.full(len(silent.run), "one"))
    found = next(one for one in effects_by_stratum(silent) if one.stratum == "all")
    spread = np.std(silent.margin_cents)
    assert found.standard_error > 0.7 * spread * np.sqrt(1 / found.treated_count + 1 / found.control_count)


def test_a_window_ends_where_the_next_offers_begin():
    first = datetime(2024, 1, 1, tzinfo=UTC)
    runs = [("a", first), ("b", first + timedelta(days=7)), ("c", first + timedelta(days=60))]
    rows = windows(runs, first + timedelta(days=70), window_days=28, history_days=69).to_pylist()
    assert [(row["until"] - row["decided_at"]).days for row in rows] == [7, 28, 28]
    assert [row["is_measured"] for row in rows] == [False, True, False]  # too old, over, still running


def test_decisions_whose_propensities_were_not_kept_are_not_measured(world):
    silent = replace(world(300), propensities={})
    assert effects_by_stratum(silent) == []
    only_offer = replace(world(300), propensities={"ten": world(300).propensities["ten"]})
    assert effects_by_stratum(only_offer) == []
