from dataclasses import replace

import numpy as np

from patron.measure.effect_estimates import effect_against_holdout, effects_by_stratum


def test_offers_against_the_holdout_give_the_effect_on_those_who_got_one(world):
    off = []
    for seed in range(8):
        drawn = world(4_000, seed, lift=400.0, loss=400.0)
        found = effect_against_holdout(drawn)
        off.append((found.difference - 400.0) / found.standard_error)
    assert max(np.abs(off)) < 3.5
    assert abs(np.mean(off)) < 3 / np.sqrt(len(off))


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


def test_decisions_whose_propensities_were_not_kept_are_not_measured(world):
    silent = replace(world(300), propensities={})
    assert effects_by_stratum(silent) == []
    only_offer = replace(world(300), propensities={"ten": world(300).propensities["ten"]})
    assert effects_by_stratum(only_offer) == []
