from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron.measure.offer_effects import offer_effects

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def estimate(outcomes, offer="any", stratum="all"):
    return next(effect for effect in offer_effects(outcomes) if (effect.offer, effect.stratum) == (offer, stratum))


def two_offers(drawn, seed):
    """Half of the offers are another one, of another effect, drawn with its own probability."""
    other = np.random.default_rng(seed).random(len(drawn.run)) < 0.5
    half = drawn.propensities["ten"] / 2
    return replace(
        drawn,
        action=np.where((drawn.action == "ten") & other, "five", drawn.action),
        margin_cents=drawn.margin_cents + 150.0 * ((drawn.action == "ten") & other),
        propensities={"five": half, "ten": half, "none": drawn.propensities["none"]},
    )


@quick
@given(count=st.integers(8, 120), runs=st.integers(1, 3), seed=st.integers(0, 10_000))
def test_a_whole_is_the_mean_of_its_parts_and_lies_between_them(world, count, runs, seed):
    estimates = offer_effects(two_offers(world(count, seed, runs=runs), seed))
    by_key = {(one.offer, one.stratum): one for one in estimates}
    offers = {offer for offer, _ in by_key} - {"any"}
    strata = {stratum for _, stratum in by_key} - {"all"}
    wholes = {("any", "all"): [(offer, stratum) for offer in offers for stratum in strata]}
    wholes |= {(offer, "all"): [(offer, stratum) for stratum in strata] for offer in (*offers, "any")}
    wholes |= {("any", stratum): [(offer, stratum) for offer in offers] for stratum in strata}
    for whole, names in wholes.items():
        parts = [by_key[name] for name in names if name in by_key]
        if whole not in by_key or not parts:
            continue
        assert sum(part.treated_count for part in parts) == by_key[whole].treated_count
        for kind in ("raw", "adjusted"):
            values = [getattr(part, kind).value for part in parts]
            mean = np.average(values, weights=[part.treated_count for part in parts])
            assert getattr(by_key[whole], kind).value == pytest.approx(mean, abs=1e-6)
            assert min(values) - 1e-6 <= getattr(by_key[whole], kind).value <= max(values) + 1e-6


def test_the_whole_is_the_effect_on_those_who_got_an_offer(world):
    off = []
    for seed in range(8):
        drawn = world(2_000, seed, lift=400.0, loss=400.0)
        found = estimate(drawn)
        off.append((found.adjusted.value - 400.0) / found.standard_error)
    assert max(np.abs(off)) < 3.5
    assert abs(np.mean(off)) < 3 / np.sqrt(len(off))


def test_what_is_known_at_the_decision_narrows_the_interval(world):
    found = estimate(world(3_000))
    assert found.adjusted.high - found.adjusted.low < 0.9 * (found.raw.high - found.raw.low)
    assert found.sequence.low < found.adjusted.low < found.adjusted.high < found.sequence.high


def test_intervals_hold_the_truth_where_few_without_an_offer_show_a_heavy_tail(world):
    held, short = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        drawn = world(600, seed, lift=0.0, loss=0.0, runs=1)
        offered = (rng.random(600) < 0.9) & ~drawn.is_holdout
        margin = np.where(rng.random(600) < 0.1, rng.lognormal(7, 1.2, 600), 0.0)
        of_offer = np.where(drawn.is_holdout, 0.0, 0.9)
        found = estimate(
            replace(
                drawn,
                action=np.where(offered, "ten", "none"),
                margin_cents=margin,
                covariates=np.zeros((600, 0)),
                is_first=np.zeros(600, dtype=bool),
                propensities={"ten": of_offer, "none": np.where(drawn.is_holdout, 0.0, 0.1)},
            )
        )
        held.append(found.adjusted.low <= 0 <= found.adjusted.high)
        plain = [margin[offered], margin[~offered & ~drawn.is_holdout]]
        error = np.sqrt(sum(part.var(ddof=1) / len(part) for part in plain))
        short.append(abs(plain[0].mean() - plain[1].mean()) <= 1.96 * error)
    assert np.mean(held) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / len(held))
    assert np.mean(held) > np.mean(short) + 0.03


def test_who_could_not_have_got_the_offer_is_not_its_control(world):
    drawn = world(900)
    drawn = replace(drawn, is_first=np.zeros(len(drawn.run), dtype=bool))
    closed = (drawn.run == "t2") & ~drawn.is_holdout
    kept = drawn.rows(~(closed & (drawn.action == "ten")))
    is_closed = kept.run == "t2"
    propensities = {
        "ten": np.where(is_closed, 0.0, kept.propensities["ten"]),
        "none": np.where(is_closed, 0.5, kept.propensities["none"]),
    }
    mixed = estimate(replace(kept, propensities=propensities))
    alone = estimate(drawn.rows(drawn.run != "t2"))
    assert (mixed.treated_count, mixed.control_count) == (alone.treated_count, alone.control_count)


def test_the_holdout_counts_at_each_customers_first_decision_only(world):
    drawn = world(600, lift=400.0, loss=400.0)
    later = drawn.is_holdout & ~drawn.is_first
    odd = replace(drawn, margin_cents=np.where(later, 1e6, drawn.margin_cents))
    assert estimate(odd).raw == estimate(drawn).raw  # the raw one: what is expected comes from all who had no offer
    first = drawn.is_holdout & drawn.is_first
    assert estimate(drawn).control_count == ((drawn.action == "none") & ~drawn.is_holdout).sum() + first.sum()


def test_offers_that_were_certain_are_compared_with_the_holdout(world):
    drawn = world(3_000, lift=400.0, loss=400.0, runs=1)
    got = ~drawn.is_holdout
    certain = replace(
        drawn,
        action=np.where(got, "ten", "none"),
        margin_cents=drawn.margin_cents + 400.0 * (got & (drawn.action == "none")),
        propensities={"ten": got.astype(float)},
    )
    found = estimate(certain)
    assert (found.treated_count, found.control_count) == (got.sum(), (~got).sum())
    assert abs(found.adjusted.value - 400.0) < 3.5 * found.standard_error
    assert offer_effects(replace(certain, is_first=np.zeros(len(got), dtype=bool))) == []


def test_an_arm_in_which_nobody_bought_is_not_sure(world):
    drawn = world(60, runs=1)
    silent = replace(drawn, margin_cents=np.where(drawn.action == "ten", 0.0, drawn.margin_cents))
    silent = replace(silent, covariates=np.zeros((len(silent.run), 0)), stratum=np.full(len(silent.run), "one"))
    found = estimate(silent)
    spread = np.std(silent.margin_cents)
    assert found.standard_error > 0.6 * spread * np.sqrt(1 / found.treated_count + 1 / found.control_count)


def test_cost_and_net_value_are_those_of_the_offers(world):
    drawn = world(300)
    found = estimate(replace(drawn, discount_cents=np.where(drawn.action == "ten", 80.0, 0.0)))
    assert found.cost_cents == pytest.approx(85.0)
    assert found.net_cents == pytest.approx(found.adjusted.value - 5.0)  # the margin has the discount in it already


def test_decisions_whose_propensities_were_not_kept_are_not_measured(world):
    assert offer_effects(replace(world(300), propensities={})) == []
    of_offer = world(300).propensities["ten"]
    alone = replace(world(300), propensities={"ten": of_offer}, is_first=np.zeros(900, dtype=bool))
    assert offer_effects(alone) == []


def test_the_holdout_stands_for_all_who_got_an_offer_where_some_are_certain_of_one_and_others_of_none(world):
    too_high = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        drawn = world(100, seed, runs=1)
        worth = rng.lognormal(0, 0.7, 100)
        of_offer = np.where(worth > 1.3, 1.0, np.where(worth < 0.7, 0.0, 0.5))
        held = rng.random(100) < 0.1
        offered = (rng.random(100) < of_offer) & ~held
        of_none = np.where(of_offer == 0.5, 0.5, 0.0)  # what is certain has no propensity of none
        drawn = replace(
            drawn,
            stratum=np.full(100, "one"),
            action=np.where(offered, "ten", "none"),
            is_holdout=held,
            margin_cents=2_000.0 * worth * rng.gamma(1.0, 1.0, 100),
            covariates=worth[:, None],
            propensities={"ten": np.where(held, 0.0, of_offer), "none": np.where(held, 0.0, of_none)},
        )
        too_high.append(estimate(drawn).adjusted.low > 0)
    assert np.mean(too_high) < 0.025 + 3 * np.sqrt(0.025 * 0.975 / len(too_high))
