import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.decide.eligibility import REASONS
from patron.decide.evidence import Evidence, MeasuredEffect
from patron.decide.expected_value import expected_values, order_cents, spend_per_day
from patron.decide.holdout import HOLDOUT, arm_of
from patron.decide.selection import select_offers
from patron.decide.strata import strata
from patron.schema.numbers import float_column

SMALL = settings(max_examples=40, deadline=None)
CUSTOMERS = 300


def effects_of(rows, rng):
    """Effects of every stratum, some good and some bad."""
    names = np.unique(strata(rows, spend_per_day(rows)))
    return {(o, str(n)): MeasuredEffect(rng.normal(0, 400), 100.0) for o in ("ten", "twenty") for n in names}


@pytest.fixture
def chosen(candidates, policy):
    def run(seed=0, *, is_measured=True, budget_cents=100_000, regret_cents=5_000, **sections):
        rows = candidates(CUSTOMERS, seed)
        rng = np.random.default_rng(seed)
        held = rng.random(CUSTOMERS) < 0.1
        learned = Evidence(effects_of(rows, rng) if is_measured else {}, 0.45)
        limits = {"budget_cents": budget_cents, "regret_cents": regret_cents}
        rng = np.random.default_rng(seed + 1)
        return rows, held, select_offers(rows, held, policy(**sections), learned, **limits, rng=rng)

    return run


def spent(choice):
    offered = np.flatnonzero(choice.action >= 0)
    return choice.expected.cost[offered, choice.action[offered]].sum()


LIMITS = {"cents": st.integers(0, 60_000), "regret": st.integers(0, 10_000), "is_measured": st.booleans()}


def test_neither_spend_nor_regret_exceeds_its_limit_and_propensities_sum_to_one(chosen):
    @SMALL
    @given(seed=st.integers(0, 10_000), **LIMITS)
    def holds(seed, cents, regret, is_measured):
        limits = {"budget_cents": cents, "regret_cents": regret}
        _, _, choice = chosen(seed, is_measured=is_measured, **limits)
        assert spent(choice) <= cents * (1 + 1e-9) + 1e-6
        assert choice.exploration_cost_cents.sum() <= regret + 1e-6
        assert np.allclose(choice.propensities_by_action.sum(axis=1), 1.0)
        assert (choice.propensity > 0).all()
        certain = choice.propensities_by_action.max(axis=1) == 1
        if not cents or not regret:
            assert certain.all()
        assert (choice.propensities_by_action[~certain, -1] > 0).all(), "nothing is what every offer is compared with"

    holds()


def test_no_position_of_the_wheel_exceeds_the_budget(candidates, policy):
    rows, nobody = candidates(80, 3), np.zeros(80, dtype=bool)
    learned = Evidence(effects_of(rows, np.random.default_rng(3)), 0.45)
    for draw in range(100):
        choice = select_offers(
            rows, nobody, policy(), learned, budget_cents=4_000, regret_cents=3_000, rng=np.random.default_rng(draw)
        )
        assert spent(choice) <= 4_000 + 1e-6


def test_more_regret_teaches_more_and_it_goes_where_the_sign_is_unsure(chosen):
    by_value = {"fairness": {"price_from_value": True}}
    plain = chosen(4, regret_cents=0, **by_value)[2]
    choices = [chosen(4, regret_cents=cents, **by_value)[2] for cents in (500, 5_000)]
    randomised = [(choice.propensities_by_action.max(axis=1) < 1).sum() for choice in choices]
    assert 0 < randomised[0] < randomised[1]
    ratio = np.abs(plain.expected.net) / plain.expected.standard_error
    few = choices[0].propensities_by_action.max(axis=1) < 1
    assert ratio.min(axis=1)[few].mean() < ratio.min(axis=1)[~few].mean()
    closed = plain.expected.optimistic_net < 0
    assert not choices[1].propensities_by_action[:, :-1][closed].any()


def test_the_order_of_customers_makes_no_difference(candidates, policy):
    rows, nobody = candidates(200, 8), np.zeros(200, dtype=bool)
    learned = Evidence(effects_of(rows, np.random.default_rng(8)), 0.45)
    order = np.random.default_rng(9).permutation(200)
    first, other = (
        select_offers(
            some, nobody, policy(), learned, budget_cents=20_000, regret_cents=3_000, rng=np.random.default_rng(1)
        )
        for some in (rows, rows.take(order))
    )
    assert (first.action[order] == other.action).all()
    assert (first.propensities_by_action[order] == other.propensities_by_action).all()
    assert len(np.unique(first.propensities_by_action)) > 10


def test_no_held_out_or_capped_customer_gets_an_offer(chosen):
    @SMALL
    @given(seed=st.integers(0, 10_000), is_measured=st.booleans())
    def holds(seed, is_measured):
        rows, held, choice = chosen(seed, is_measured=is_measured)
        capped = float_column(rows, "offer_count") >= 1
        assert (choice.action[held | capped] == -1).all()
        assert set(choice.reason[held]) <= {"holdout"}
        assert set(choice.reason) <= REASONS.keys()

    holds()


def test_actions_come_up_as_often_as_their_propensities_say(candidates, policy):
    rows = candidates(60, 5)
    rng = np.random.default_rng(5)
    learned = Evidence(effects_of(rows, rng), 0.45)
    nobody = np.zeros(60, dtype=bool)
    counts, claimed = np.zeros((60, 3)), np.zeros((60, 3))
    draws = 600
    for draw in range(draws):
        choice = select_offers(
            rows, nobody, policy(), learned, budget_cents=100_000, regret_cents=3_000, rng=np.random.default_rng(draw)
        )
        counts[np.arange(60), choice.action] += 1  # 'none' is -1, the last column
        claimed += choice.propensities_by_action
    claimed /= draws
    error = np.sqrt(np.maximum(claimed * (1 - claimed), 1e-4) / draws)
    assert (np.abs(counts / draws - claimed) < 4.5 * error).all()


def test_refused_consent_means_no_offer_and_says_so(chosen):
    _, _, choice = chosen(consent={"unknown": "refuse"})
    assert set(choice.reason) == {"no_consent"}
    assert (choice.action == -1).all()


def test_without_offers_nobody_gets_one(chosen):
    _, _, choice = chosen(offers=[])
    assert set(choice.reason) <= {"no_offer", "holdout", "cap_reached"}


def test_money_is_not_spent_where_every_offer_loses(candidates, policy):
    rows = candidates(CUSTOMERS)
    losing = Evidence({(offer, "all"): MeasuredEffect(-500.0, 50.0) for offer in ("ten", "twenty")}, 0.45)
    choice = select_offers(
        rows,
        np.zeros(CUSTOMERS, bool),
        policy(),
        losing,
        budget_cents=100_000,
        regret_cents=5_000,
        rng=np.random.default_rng(1),
    )
    assert (choice.action == -1).all()
    assert "net_value_below_zero" in set(choice.reason)


def test_offers_go_where_the_measured_net_value_is_best(candidates, policy):
    rows = candidates(CUSTOMERS)
    good = {("ten", "all"): MeasuredEffect(50.0, 0.01), ("twenty", "all"): MeasuredEffect(300.0, 0.01)}
    choice = select_offers(
        rows,
        np.zeros(CUSTOMERS, bool),
        policy(),
        Evidence(good, 0.45),
        budget_cents=10**9,
        regret_cents=0,
        rng=np.random.default_rng(1),
    )
    free = choice.reason != "cap_reached"
    assert (choice.action[free] == 1).all()
    assert choice.expected.net[:, 1] == pytest.approx(295.0, abs=0.1)  # 300 less 5 for sending it


def test_a_run_decides_the_same_again(chosen):
    first, again = chosen(7)[2], chosen(7)[2]
    assert (first.action == again.action).all()
    assert (first.propensity == again.propensity).all()


def test_the_holdout_has_its_share_and_another_experiment_draws_anew():
    arms = np.array([arm_of("a", f"c{n}", 0.1) == HOLDOUT for n in range(20_000)])
    others = np.array([arm_of("b", f"c{n}", 0.1) == HOLDOUT for n in range(20_000)])
    assert abs(arms.mean() - 0.1) < 3 * np.sqrt(0.09 / 20_000)
    assert abs((arms & others).mean() - 0.01) < 3 * np.sqrt(0.01 / 20_000)


def net_of_first_offer(rows, policy, effects):
    stratum = strata(rows, spend_per_day(rows))
    return expected_values(rows, stratum, policy().offers, Evidence(effects, 0.45)).net[:, 0]


def test_a_first_noisy_measurement_corrects_the_assumption_and_a_sure_one_replaces_it(candidates, policy):
    rows = candidates(CUSTOMERS)
    assumed = net_of_first_offer(rows, policy, {})
    noisy, sure = (net_of_first_offer(rows, policy, {("ten", "all"): MeasuredEffect(-100.0, e)}) for e in (400.0, 0.01))
    assert (np.minimum(assumed, -105.0) < noisy).all()
    assert (noisy < np.maximum(assumed, -105.0)).all()
    assert noisy.mean() > (assumed.mean() - 105.0) / 2
    assert sure == pytest.approx(-105.0, abs=0.1)


def test_one_unlucky_month_does_not_stop_an_offer_that_is_thought_to_pay(candidates, policy):
    rows = candidates(CUSTOMERS)
    pays = net_of_first_offer(rows, policy, {}) > 0
    unlucky, hopeless = ({("ten", "all"): MeasuredEffect(-150.0, error)} for error in (150.0, 20.0))
    assert pays.mean() > 0.3
    assert (net_of_first_offer(rows, policy, unlucky)[pays] > 0).mean() > 0.5
    assert (net_of_first_offer(rows, policy, hopeless) < 0).mean() > 0.9


def test_orders_that_an_offer_was_measured_to_add_are_charged_what_they_cost(candidates, policy):
    rows = candidates(CUSTOMERS)
    stratum = strata(rows, spend_per_day(rows))
    offer = {"id": "ship", "discount_share": 0.0, "cost_per_order_cents": 500, "assumed_purchase_uplift": 0.0}
    found = {("ship", "all"): MeasuredEffect(450.0, 1e-9)}
    expectation = expected_values(rows, stratum, policy(offers=[offer]).offers, Evidence(found, 0.45))
    nothing = expected_values(rows, stratum, policy(offers=[offer]).offers, Evidence({}, 0.45))
    added = 450.0 / (0.45 * order_cents(rows))
    assert expectation.cost[:, 0] == pytest.approx(nothing.cost[:, 0] + 500 * added)


def test_a_gain_counted_for_a_week_is_not_charged_the_orders_of_a_month(candidates, policy):
    rows = candidates(CUSTOMERS)
    stratum = strata(rows, spend_per_day(rows))
    offer = {"id": "ship", "discount_share": 0.0, "cost_per_order_cents": 500, "assumed_purchase_uplift": 0.0}

    def net(share):
        found = {("ship", "all"): MeasuredEffect(0.0, 1e-9, share)}
        expectation = expected_values(rows, stratum, policy(offers=[offer]).offers, Evidence(found, 0.45))
        return expectation.net[:, 0]

    assert net(0.25) == pytest.approx(0.25 * net(1.0))
