"""Which policy is chosen, the curve of gain against cost, and mean effects of history."""

import json
from pathlib import Path

import numpy as np
import pytest

from patron.schema.errors import BadTrial
from patron.uplift import DEFAULT, average_effects, choose_policy, cost_curve
from patron.uplift.average_effects import robustness_share
from patron.uplift.cost_curve import curve_of_scores
from uplift_trials import BUDGETS, curve_rows, shop_trial

TRIAL = {"treatment": "offer", "control": "none", "outcome": "outcome"}
PEERS = json.loads((Path(__file__).parent / "peer_numbers.json").read_text(encoding="utf-8"))
COST = {"coupon": 0.4, "call": 0.2}


@pytest.fixture(scope="module")
def fitted():
    return DEFAULT.fit(shop_trial(2_000, 20)[0], **TRIAL)


@pytest.fixture(scope="module")
def others():
    return shop_trial(4_000, 21)


def test_an_uplift_policy_that_beats_the_simpler_ones_is_used(fitted, others):
    table, effects = others
    policy = choose_policy(fitted, table, **TRIAL, cost=COST)
    assert (policy.kind, policy.refused, policy.arm) == ("uplift", False, None)
    assert all(one.low > 0 for one in policy.gains.values())
    decision = policy.decide(table)
    assert set(decision) <= {"none", "call", "coupon"}
    net = np.where(decision == "call", effects[:, 0] - 0.2, np.where(decision == "coupon", effects[:, 1] - 0.4, 0.0))
    worth = policy.values["uplift"]
    assert worth.low < net.mean() < worth.high
    assert "closest simpler policy" in policy.reason


def test_an_effect_alike_for_all_is_one_arm_for_everybody():
    rng = np.random.default_rng(0)
    table = {"x": rng.normal(size=4_000), "offer": rng.integers(0, 2, 4_000)}
    table["outcome"] = table["x"] + 0.5 * table["offer"] + rng.normal(size=4_000)
    first, second = ({name: one[part] for name, one in table.items()} for part in (slice(2_000), slice(2_000, None)))
    fitted = DEFAULT.fit(first, treatment="offer", outcome="outcome")
    policy = choose_policy(fitted, second, treatment="offer", outcome="outcome", cost={1: 0.1})
    assert (policy.kind, policy.refused, policy.arm) == ("single_arm", True, "1")
    assert set(policy.decide(second)) == {"1"}
    assert policy.reason.startswith("Use 1 to everybody: the uplift policy")
    dear = choose_policy(fitted, second, treatment="offer", outcome="outcome", cost={1: 5.0})
    assert (dear.kind, dear.arm) == ("none", "0")
    assert "makes no offers" in dear.reason
    worthless = choose_policy(fitted, second, treatment="offer", outcome="outcome", cost={1: 0.0}, value=0.0)
    assert worthless.kind == "none"


def test_response_ranking_is_used_where_it_is_as_good():
    """The effect is the expected outcome's own sign, and the fit was of another world."""
    rng = np.random.default_rng(1)

    def world(count, steep):
        x, z = rng.normal(size=(2, count))
        arm = rng.integers(0, 2, count)
        return {"x": x, "z": z, "offer": arm, "outcome": 3 * x + arm * (x + steep * z) + 0.1 * rng.normal(size=count)}

    fitted = DEFAULT.fit(world(1_000, 1.0), treatment="offer", outcome="outcome")
    policy = choose_policy(fitted, world(4_000, 0.0), treatment="offer", outcome="outcome", cost={1: 0.0})
    assert policy.kind == "response"
    table = world(500, 0.0)
    decision = policy.decide(table)
    response = fitted.response(table)
    assert response[decision == "1"].min() > response[decision == "0"].max()


def test_costs_may_be_columns_and_must_be_money(fitted, others):
    table, _ = others
    as_column = choose_policy(fitted, table | {"fee": [0.4] * 4_000}, **TRIAL, cost={"coupon": "fee", "call": 0.2})
    assert as_column.values == choose_policy(fitted, table, **TRIAL, cost=COST).values
    for cost, words in (
        ({"coupon": -1.0, "call": 0.0}, "-1 is not a finite number from 0 on"),
        ({"coupon": np.inf, "call": 0.0}, "inf is not a finite number"),
        ({"coupon": 1.0}, "no cost of call"),
        ({"coupon": 1.0, "call": 0.0, "gift": 1.0}, "gift is not an arm"),
        (COST | {"none": 1.0}, "cannot cost anything"),
    ):
        with pytest.raises(BadTrial, match=words):
            choose_policy(fitted, table, **TRIAL, cost=cost)
    with pytest.raises(BadTrial, match="value"):
        choose_policy(fitted, table, **TRIAL, cost=COST, value=-1.0)
    with pytest.raises(BadTrial, match="control"):
        choose_policy(fitted, table, treatment="offer", control="call", outcome="outcome", cost=COST)
    strange = ["gift" if one == "call" else one for one in table["offer"]]
    with pytest.raises(BadTrial, match="gift is not an arm of the fit"):
        choose_policy(fitted, table | {"offer": strange}, **TRIAL, cost=COST)


def test_the_cost_curve_holds_the_truth_and_its_tests_find_the_targeting(fitted, others):
    table, effects = others
    curve = cost_curve(fitted, table, **TRIAL, cost=COST)
    assert curve.spend[0] == 0
    assert curve["gain"][0] == 0
    assert curve.to_table().column_names == ["spend", "gain", "low", "high"]
    budget = 0.1
    truth = _true_gain(fitted.effect_matrix(table), effects, np.array([0.2, 0.4]), budget)
    one = curve.at(budget)
    assert one.low < truth < one.high
    tests = {row.name.split(" (")[0].split(" v ")[-1]: row for row in curve.test(budget)[1:2]}
    assert tests["untargeted"].low > 0
    assert curve.test(np.inf)[0].value >= -0.1
    assert curve.at(np.inf) == curve.at(float(curve.spend[-1]))
    with pytest.raises(BadTrial, match="budget"):
        curve.at(-1.0)


def test_curves_and_their_errors_are_those_of_maq():
    """0.2.2 built from source, 500 draws: equal but for part of a customer's step, errors but for other draws."""
    rows = curve_rows()
    curve = curve_of_scores(rows["reward"], rows["scores"], rows["cost"], ("1", "2", "3"), points=1_000)
    for name, numbers in PEERS["maq 0.2.2"].items():
        for budget, (gain, error) in zip(BUDGETS, numbers, strict=True):
            place = np.searchsorted(curve.spend, budget)
            assert np.interp(budget, curve.spend, curve.curves[name].gain) == pytest.approx(gain, abs=5e-4)
            assert curve.curves[name].draws[:, place].std() == pytest.approx(error, rel=0.2)


def _true_gain(estimate, effects, cost, budget):
    """Gain of a brute-force search over the price of money, on the true effects."""
    place = np.arange(len(effects))

    def choice(price):
        net = np.column_stack([np.zeros(len(effects)), estimate - price * cost])
        return net.argmax(axis=1)

    def spend(price):
        return np.r_[0.0, cost][choice(price)].mean()

    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if spend(middle) > budget else (low, middle)
    return np.column_stack([np.zeros(len(effects)), effects])[place, choice(high)].mean()


def test_mean_effects_of_chosen_arms_are_adjusted_and_warned_of():
    table, effects = shop_trial(6_000, 30, chosen=True)
    result = average_effects(table, **TRIAL)
    call, coupon = result.rows
    for row, truth in ((call, 0.3), (coupon, effects[:, 1].mean())):
        assert row.low < truth < row.high
        assert 0 < row.robustness_of_interval < row.robustness < 1
        assert row.offer in row.sentence
    assert coupon.raw_low > effects[:, 1].mean()
    assert coupon.strongest_feature == "first"
    assert "not drawn at random" in result.warning
    assert result.to_table().num_rows == 2


def test_the_robustness_is_the_share_at_which_the_bias_is_as_large_as_the_effect():
    for ratio in (0.01, 0.3, 2.0):
        share = robustness_share(ratio)
        assert share / np.sqrt(1 - share) == pytest.approx(ratio)
    assert robustness_share(0.0) == 0


def test_drawn_arms_need_no_warning_and_an_effect_of_nothing_is_doubtful():
    rng = np.random.default_rng(5)
    table = {"x": rng.normal(size=800), "arm": rng.integers(0, 2, 800), "y": rng.normal(size=800)}
    result = average_effects(table, treatment="arm", outcome="y", propensity={0: 0.5, 1: 0.5})
    assert result.warning == ""
    (row,) = result.rows
    assert row.robustness_of_interval == 0
    assert "may be nothing" in row.sentence
