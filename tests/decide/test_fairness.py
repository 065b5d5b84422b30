"""Customers who leave are recognised alike: unfair forecasts are found and mitigated, fair ones raise nothing."""

from dataclasses import replace

import numpy as np
import pytest

from patron.decide.eligibility import EXCLUSIONS
from patron.decide.evidence import Evidence
from patron.decide.fair_churn import PastChurn, judge_churn
from patron.decide.fair_offers import price_rows
from patron.decide.group_thresholds import fit_thresholds, is_recognised
from patron.decide.selection import could_have_offer, select_offers, withhold_offers
from patron.schema.models.group_metrics import TRUE_POSITIVE_RATE
from patron.schema.tables import LEFT_OUT

CUTOFFS = np.array(["2024-11-01", "2025-01-30", "2025-04-30"], dtype="datetime64[D]")
"""The outcomes of each are known at the next; the first is an earlier training's."""
NEIGHBOURS = np.array(["2025-03-01", "2025-03-31", "2025-04-30"], dtype="datetime64[D]")
"""Those of one training: 30 days apart, so that outcomes of 90 days overlap."""


def past_churn(seed, *, too_low=0.0, customers=600, cutoffs=CUTOFFS):
    """Forecasts of customers at three cutoffs; those of group b are `too_low` below the calibrated ones."""
    rng = np.random.default_rng(seed)
    is_b = rng.random(customers) < 0.35
    chance = np.clip(rng.beta(2, 2, customers) + rng.normal(0, 0.05, (3, customers)), 0.01, 0.99)
    happened = (rng.random(chance.shape) < chance).astype(np.float64)
    names = np.array([f"c{seed}-{n}" for n in range(customers)])
    past = PastChurn(
        np.tile(names, 3),
        np.repeat(cutoffs, customers),
        np.clip(chance - too_low * is_b, 0, 1).ravel(),
        happened.ravel(),
        np.repeat(cutoffs > CUTOFFS[0], customers),
    )
    return past, {"gender": dict(zip(names.tolist(), np.where(is_b, "b", "a").tolist(), strict=True))}


def judged(past, groups, policy, *, is_pinned=False, **fairness):
    changed = policy(fairness={"sensitive_traits": ["gender"], **fairness})
    return judge_churn(past, groups, changed, rng=np.random.default_rng(0), is_pinned=is_pinned)


def evaluated_groups(churn):
    return {row.group_name for row in churn.rows if row.mitigation == "group_thresholds" and row.verdict != "untested"}


def gap_of(churn, mitigation):
    [row] = [
        row
        for row in churn.rows
        if (row.group_name, row.metric, row.mitigation) == ("b", TRUE_POSITIVE_RATE, mitigation)
    ]
    return row


def test_fair_forecasts_raise_nothing_in_twenty_shops(policy):
    alarms = [
        [row for row in judged(*past_churn(seed, customers=400), policy).rows if row.verdict in {"warn", "refuse"}]
        for seed in range(20)
    ]
    assert sum(map(bool, alarms)) <= 1


def test_forecasts_that_are_too_low_for_a_group_refuse_offers_and_its_own_threshold_fixes_that(policy):
    past, groups = past_churn(1, too_low=0.25)
    bare = judged(past, groups, policy)
    assert bare.is_refused
    assert not bare.thresholds
    assert (gap_of(bare, "none").gap_high or 0.0) < -0.2
    mitigated = judged(past, groups, policy, mitigation="group_thresholds")
    after = gap_of(mitigated, "group_thresholds")
    assert not mitigated.is_refused
    assert mitigated.thresholds["b"] < 0.5
    assert after.verdict == "fair"
    assert after.gap == pytest.approx(0.0, abs=0.1)


def test_fair_forecasts_keep_one_threshold_for_all(policy):
    churn = judged(*past_churn(2), policy, mitigation="group_thresholds")
    assert churn.thresholds == {}
    assert {row.mitigation for row in churn.rows} == {"none"}


@pytest.mark.parametrize("cutoffs", [CUTOFFS[1:2], NEIGHBOURS, CUTOFFS])
def test_thresholds_learn_from_no_outcome_that_was_unknown_at_the_cutoff(policy, cutoffs):
    if len(cutoffs) == 1:
        past, groups = past_churn(1, too_low=0.25, customers=1_500)
        past = past.where(past.cutoffs == cutoffs[0])
    else:
        past, groups = past_churn(1, too_low=0.25, cutoffs=cutoffs)
        past = replace(past, is_latest=np.ones_like(past.is_latest))  # the first has no outcome to learn from
    churn = judged(past, groups, policy, mitigation="group_thresholds")
    assert churn.is_refused
    assert churn.thresholds
    assert not evaluated_groups(churn)


def test_a_group_too_small_to_learn_from_before_stays_refused(policy):
    past, groups = past_churn(1, too_low=0.3, customers=700)
    is_b = past.groups(groups["gender"]) == "b"
    few = past.where((past.cutoffs != CUTOFFS[0]) | ~is_b | (np.arange(len(is_b)) % 700 < 60))
    few = few.where(few.cutoffs != CUTOFFS[2])
    churn = judged(few, groups, policy, mitigation="group_thresholds")
    assert gap_of(churn, "group_thresholds").gap == pytest.approx(gap_of(churn, "none").gap, abs=0.02)
    assert gap_of(churn, "group_thresholds").verdict == "refuse"
    assert churn.is_refused


@pytest.mark.parametrize("too_low_before", [0.15, 0.2])
def test_a_refusal_stays_where_a_gap_is_left_that_noise_could_explain(policy, too_low_before):
    past, groups = past_churn(3, too_low=0.35, customers=300)
    is_before = past.cutoffs == CUTOFFS[0]
    less = (past.groups(groups["gender"]) == "b") & is_before
    past = replace(past, forecast=np.where(less, past.forecast + 0.35 - too_low_before, past.forecast))
    churn = judged(
        past.where(past.cutoffs != CUTOFFS[2]), groups, policy, mitigation="group_thresholds", fewest_customers=20
    )
    after = gap_of(churn, "group_thresholds")
    assert -0.25 < (after.gap or 0.0) < -0.1, "half of the gap is closed"
    assert (after.gap_high or 0.0) > -0.1, "what is left is no refusal of its own"
    assert after.verdict == "refuse"
    assert churn.is_refused


def off_by_calibration(past, groups):
    """The same customers beyond a threshold of 0.5, but far too low forecasts for group b."""
    is_b = past.groups(groups) == "b"
    low = np.where(past.forecast >= 0.5, past.forecast * 0.1 + 0.45, past.forecast * 0.1)
    return replace(past, forecast=np.where(is_b, low, past.forecast))


def test_calibration_only_warns_in_groups_that_have_a_threshold_now_and_before(policy):
    fair, groups = past_churn(1, customers=700)
    past = off_by_calibration(fair, groups["gender"])
    assert judged(past, groups, policy).is_refused
    both = judged(past, groups, policy, mitigation="group_thresholds")
    assert both.thresholds.keys() == {"a", "b"}
    assert not both.is_refused
    is_b = past.groups(groups["gender"]) == "b"
    few = past.where((past.cutoffs != CUTOFFS[0]) | ~is_b | (np.arange(len(is_b)) % 700 < 60))
    few = few.where(few.cutoffs != CUTOFFS[2])
    churn = judged(few, groups, policy, mitigation="group_thresholds")
    assert evaluated_groups(churn) == {"a", "b"}
    assert churn.is_refused, "nothing could be learned of b before"


def test_a_refusal_stays_where_no_group_gets_a_threshold(policy):
    past, groups = past_churn(1)
    is_b = past.groups(groups["gender"]) == "b"
    everybody = replace(past, forecast=np.where(is_b, 0.5, 0.9))
    churn = judged(everybody, groups, policy, mitigation="group_thresholds")
    assert churn.thresholds == {}
    assert not evaluated_groups(churn)
    assert churn.is_refused


def test_thresholds_that_follow_one_trait_lift_no_refusal_about_another(policy):
    past, groups = past_churn(1, too_low=0.15, customers=900)
    age = {name: "ab"[n % 2] for n, name in enumerate(groups["gender"])}
    past = off_by_calibration(past, age)
    both = {"gender": groups["gender"], "age": age}
    traits = {"sensitive_traits": ["gender", "age"], "mitigation": "group_thresholds"}
    churn = judged(past, both, policy, **traits)
    assert churn.trait == "gender"
    refused = {(row.trait, row.mitigation, row.metric) for row in churn.rows if row.verdict == "refuse"}
    assert ("age", "group_thresholds", "calibration_gap") in refused
    assert ("gender", "group_thresholds", "calibration_gap") not in refused
    assert churn.is_refused


def test_a_pinned_model_gets_no_thresholds_of_another_one(policy):
    past, groups = past_churn(1, too_low=0.25)
    churn = judged(past, groups, policy, mitigation="group_thresholds", is_pinned=True)
    assert churn.thresholds == {}
    assert churn.is_refused


def test_a_trait_that_nobody_has_is_no_finding(policy):
    past, _ = past_churn(3)
    churn = judged(past, {"gender": {}}, policy)
    [row] = churn.rows
    assert (row.metric, row.customer_count) == ("without_group", 600)
    assert not churn.is_refused


def test_no_row_names_a_group_that_is_too_small(policy):
    past, _ = past_churn(5)
    names = np.unique(past.customers).tolist()
    groups = {name: "a" if n < 300 else "b" if n < 580 else f"1987-03-{n}" for n, name in enumerate(names)}
    churn = judged(past, {"gender": groups}, policy)
    assert {row.group_name for row in churn.rows} == {"a", "b", ""}
    [small] = [row for row in churn.rows if row.metric == LEFT_OUT]
    assert (small.group_name, small.customer_count) == ("", 20)


def test_thresholds_recognise_the_same_share_of_those_who_leave_in_every_group():
    past, groups = past_churn(4, too_low=0.3, customers=3_000)
    names = past.groups(groups["gender"])
    thresholds = fit_thresholds(past.forecast, past.happened, names, threshold=0.5, fewest=50)
    chosen = is_recognised(past.forecast, names.tolist(), thresholds, 0.5)
    shares = [chosen[(names == group) & (past.happened > 0)].mean() for group in "ab"]
    assert shares[0] == pytest.approx(shares[1], abs=0.01)
    assert shares[0] == pytest.approx((past.forecast >= 0.5)[past.happened > 0].mean(), abs=0.01)


def test_nobody_is_recognised_by_a_threshold_of_a_group_with_few_who_leave():
    forecast, happened = np.linspace(0, 1, 100), np.zeros(100)
    happened[90:95] = 1
    names = np.array(["a"] * 50 + ["b"] * 50)
    assert fit_thresholds(forecast, happened, names, threshold=0.93, fewest=20) == {}


def test_withheld_offers_leave_nothing_to_chance_and_keep_other_reasons(candidates, policy):
    rows, held = candidates(300), np.arange(300) % 10 == 0
    choice = select_offers(
        rows, held, policy(), Evidence({}, 0.45), budget_cents=100_000, regret_cents=5_000, rng=np.random.default_rng(1)
    )
    assert (choice.action >= 0).any()
    withheld = withhold_offers(choice)
    assert (withheld.action == -1).all()
    assert (withheld.propensity == 1).all()
    assert (withheld.propensities_by_action[:, -1] == 1).all()
    assert (withheld.reason[could_have_offer(choice)] == "unfair").all()
    kept = np.isin(choice.reason, EXCLUSIONS)
    assert kept.any()
    assert (withheld.reason[kept] == choice.reason[kept]).all()


def test_the_price_of_thresholds_is_counted_in_people_and_in_expected_gain(candidates, policy):
    def selected(rows):
        held = np.zeros(rows.num_rows, dtype=bool)
        made = policy()
        return rows, select_offers(
            rows, held, made, Evidence({}, 0.45), budget_cents=20_000, regret_cents=1_000, rng=np.random.default_rng(1)
        )

    everybody = candidates(300)
    before, after = selected(everybody.slice(0, 250)), selected(everybody.slice(40))
    added, removed, change = price_rows("gender", before, after)
    assert (added.metric, added.customer_count) == ("customers_added", 50)
    assert (removed.metric, removed.customer_count) == ("customers_removed", 40)
    gains = [(one[1].propensities_by_action[:, :-1] * one[1].expected.net).sum() for one in (before, after)]
    assert change.value == pytest.approx(gains[1] - gains[0], abs=0.01)
    assert change.value != 0
