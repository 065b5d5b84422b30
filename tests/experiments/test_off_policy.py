"""Off-policy estimates: worked out by hand, covering on simulated logs, and findings where a log is bad."""

import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from patron.experiments import off_policy
from patron.experiments.decision_log import DecisionLog
from patron.experiments.expected_rewards import expected_rewards
from patron.schema.errors import BadLog, NotEnoughData

DRAWS = 300
MIN_COVERAGE = 0.92
"""Of a nominal 95 %: 2.4 standard errors of 300 draws below it."""
WITH_MODEL = (
    "ips",
    "snips",
    "dr",
    "sndr",
    "switch",
    "shrinkage",
)


@dataclass(frozen=True)
class World:
    """Contexts, a policy that logs, a policy to be judged, and the reward of every action."""

    context: np.ndarray
    logged: np.ndarray
    target: np.ndarray
    mean: np.ndarray

    @property
    def value(self) -> float:
        return float((self.target * self.mean).sum(axis=1).mean())


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def world(rng, rows, *, is_rare=False):
    """Four actions; which is best depends on the context, and the judged policy knows it better than the log does.

    Rewards are spends with noise, or clicks of some per cent.
    """
    context = rng.standard_normal((rows, 2))
    scores = context @ np.array([[1.0, -1.0, 0.5, 0.0], [0.0, 0.5, -1.0, 1.0]])
    mean = 0.02 + 0.06 / (1 + np.exp(-scores)) if is_rare else 10 + 3 * scores
    return World(context, softmax(0.3 * scores), softmax(1.2 * scores), mean)


def draw(rng, shop, *, is_rare=False):
    """Action, propensity and reward of every row."""
    action = (shop.logged.cumsum(axis=1) < rng.random((len(shop.logged), 1))).sum(axis=1).clip(max=3)
    row = np.arange(len(action))
    mean = shop.mean[row, action]
    reward = (rng.random(len(row)) < mean).astype(float) if is_rare else mean + rng.gamma(1, 5, len(row)) - 5
    return reward, action, shop.logged[row, action]


def coverage(rows, *, is_rare=False, has_context=True):
    """Share of draws whose interval holds the true value, and mean squared error, of each estimator."""
    truth = world(np.random.default_rng(99), 400_000, is_rare=is_rare).value
    is_covered, errors = [], []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        shop = world(rng, rows, is_rare=is_rare)
        judged = off_policy(
            *draw(rng, shop, is_rare=is_rare), shop.target, context=shop.context if has_context else None, seed=seed
        )
        is_covered.append({row.estimator: row.low <= truth <= row.high for row in judged.rows})
        errors.append({row.estimator: (row.value - truth) ** 2 for row in judged.rows})
    return tuple({name: np.mean([one[name] for one in each]) for name in each[0]} for each in (is_covered, errors))


def test_intervals_hold_the_true_spend_and_a_model_of_rewards_makes_the_estimate_surer():
    is_covered, errors = coverage(250)
    assert {name: is_covered[name] for name in WITH_MODEL if is_covered[name] < MIN_COVERAGE} == {}
    assert errors["sndr"] < min(0.5 * errors["ips"], errors["snips"])


def test_intervals_hold_the_true_share_of_rare_clicks():
    is_covered, _ = coverage(400, is_rare=True)
    assert {name: is_covered[name] for name in WITH_MODEL if is_covered[name] < MIN_COVERAGE} == {}


def test_without_context_rewards_are_weighted_and_the_interval_holds_too():
    is_covered, _ = coverage(150, is_rare=True, has_context=False)
    assert set(is_covered) == {"ips", "snips"}
    assert min(is_covered.values()) >= MIN_COVERAGE


def log_of(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    shop = world(rng, rows)
    return draw(rng, shop), shop


def test_estimators_are_what_their_formulas_say():
    (reward, action, propensity), shop = log_of()
    expected = shop.mean + 1
    judged = off_policy(reward, action, propensity, shop.target, expected)
    row = np.arange(len(reward))
    weight = shop.target[row, action] / propensity
    of_policy, residual = (shop.target * expected).sum(axis=1).mean(), reward - expected[row, action]
    shrinkage, threshold = (judged.row(name).shrinkage or 0.0 for name in ("shrinkage", "switch"))
    shrunk = weight / (1 + weight**2 / shrinkage)
    formulas = {
        "dm": of_policy,
        "ips": np.mean(weight * reward),
        "snips": np.average(reward, weights=weight),
        "dr": of_policy + np.mean(weight * residual),
        "sndr": of_policy + np.average(residual, weights=weight),
        "switch": of_policy + np.mean(weight * (weight <= threshold) * residual),
        "shrinkage": of_policy + np.mean(shrunk * residual),
    }
    table = judged.to_table()
    assert dict(zip(table["estimator"].to_pylist(), table["value"].to_pylist(), strict=True)) == pytest.approx(formulas)
    assert judged.row("ips").effective_sample_size == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert judged.row("shrinkage").share_clipped == np.mean(weight**2 > shrinkage)
    assert judged.row("switch").share_clipped == np.mean(weight > threshold)
    assert judged.estimator == "sndr"


def test_estimates_on_open_bandit_are_those_that_obp_prints(real_data):
    real_data("open_bandit_prior.csv")
    folder = real_data("obd_item_context.parquet").parent
    study = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "experiments" / "open_bandit_peer.py"))
    judged = study["judge"](folder)
    printed = study["PRINTED"]
    assert {name: judged.row(name).value for name in printed} == pytest.approx(printed, abs=1.5e-6)


def test_the_policy_that_logged_earned_the_mean_reward_of_the_log():
    (reward, action, propensity), shop = log_of()
    judged = off_policy(reward, action, propensity, shop.logged)
    assert (judged.value, judged.gain.value) == pytest.approx((reward.mean(), 0))
    assert judged.low < judged.value < judged.high
    assert judged.logged.value == reward.mean()
    assert judged.findings == ()


def test_other_units_of_reward_move_all_values_but_that_of_plain_weighting_with_them():
    (reward, action, propensity), shop = log_of()
    one = off_policy(reward, action, propensity, shop.target, context=shop.context)
    other = off_policy(100 * reward - 700, action, propensity, shop.target, context=shop.context)
    for name in ("snips", "sndr", "dr", "dm"):
        first, second = one.row(name), other.row(name)
        assert second.value == pytest.approx(100 * first.value - 700)
        assert second.high - second.low == pytest.approx(100 * (first.high - first.low))


def test_a_seed_gives_the_same_value_again():
    (reward, action, propensity), shop = log_of()
    values = [off_policy(reward, action, propensity, shop.target, None, shop.context, seed).value for seed in (3, 3, 4)]
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_the_expected_rewards_of_a_row_do_not_depend_on_its_reward():
    (reward, action, propensity), shop = log_of()
    reward[:2] = reward.min(), reward.max()
    before = expected_rewards(DecisionLog.of(reward, action, propensity, shop.target), shop.context, 0)
    other = reward.copy()
    other[7] = np.median(reward)
    after = expected_rewards(DecisionLog.of(other, action, propensity, shop.target), shop.context, 0)
    assert before[7] == pytest.approx(after[7], abs=0)
    assert not np.array_equal(before, after)
    assert np.corrcoef(before.ravel(), shop.mean.ravel())[0, 1] > 0.9


def test_an_action_that_the_log_never_took_is_a_finding():
    (reward, action, propensity), shop = log_of()
    target = np.column_stack([shop.target * 0.8, np.full(len(reward), 0.2)])
    findings = off_policy(reward, action, propensity, target).findings
    assert "puts 20.0% of its probability on 1 action that the log never took" in findings[0]
    assert "Weights average 0." in findings[1]


def test_propensities_that_do_not_add_up_are_a_finding():
    (reward, action, propensity), shop = log_of()
    too_small = off_policy(reward, action, propensity / 2, shop.target).findings
    assert any(one.startswith("Weights average") and one.endswith("too small.") for one in too_small)
    assert any("there are 4 actions: propensities do not add up to 1" in one for one in too_small)
    too_large = off_policy(reward, action, np.minimum(2 * propensity, 1), shop.target).findings
    assert any("logged propensities are too large" in one for one in too_large)


def test_weights_that_are_too_large_are_a_finding():
    rng = np.random.default_rng(5)
    propensity = np.where(rng.random(2_000) < 0.995, 0.995, 0.005)
    action = (propensity < 0.5).astype(int)
    target = np.tile([0.02, 0.98], (2_000, 1))
    findings = off_policy(rng.standard_normal(2_000), action, propensity, target).findings
    assert any(finding.startswith("For this policy the 2,000 rows are worth") for finding in findings)
    assert any("of all weight" in finding for finding in findings)


def test_expected_rewards_that_the_log_contradicts_are_a_finding():
    (reward, action, propensity), shop = log_of()
    (finding,) = off_policy(reward, action, propensity, shop.target, shop.mean + 5).findings
    assert "the model of rewards is wrong where the policy acts" in finding
    assert off_policy(reward, action, propensity, shop.target, shop.mean).findings == ()


def test_few_outcomes_are_a_finding_and_none_is_refused():
    (reward, action, propensity), shop = log_of()
    reward = np.zeros(len(reward))
    with pytest.raises(NotEnoughData, match="another reward than 0"):
        off_policy(reward, action, propensity, shop.target)
    reward[:3] = 1
    findings = off_policy(reward, action, propensity, shop.target).findings
    assert "Only 3 rows have another reward than 0 and an action of the policy: too few to judge it." in findings


def test_a_short_log_is_a_finding_that_does_not_blame_the_policy():
    (reward, action, propensity), shop = log_of(60)
    (finding,) = off_policy(reward, action, propensity, shop.logged).findings
    assert finding == "The log has 60 rows, worth 60 for this policy: too few to be sure."


def test_a_policy_that_takes_none_of_the_logged_actions_is_refused():
    (reward, action, propensity), _ = log_of()
    target = np.tile([0, 0, 0, 0, 1.0], (len(reward), 1))
    with pytest.raises(NotEnoughData, match="none of the logged actions"):
        off_policy(reward, action, propensity, target)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("propensity", lambda one: one - one.min(), r"propensity: 1 are not above 0 and at most 1, such as 0\."),
        ("propensity", lambda one: 3 * one, "propensity: .* are not above 0 and at most 1"),
        ("propensity", lambda one: one[1:], "propensity: 399 rows, and 400 rewards"),
        ("target", lambda one: one - 0.5, "target: .* probabilities are not in 0 to 1, such as -"),
        ("target", lambda one: one * 0.9, r"target: the probabilities of 400 rows do not add up to 1, but to 0\.9"),
        ("target", lambda one: one[:, 0], "target: an array of 1 dimensions where a table"),
        ("action", lambda one: one + 1, "action: 4 is not a column of target, which has 4. Number the actions from 0"),
        ("action", lambda one: one + 0.5, "action: .*5 is not a column of target"),
        ("reward", lambda one: np.where(one > 10, np.nan, one), "reward: .* values are missing or infinite"),
        ("reward", lambda one: one.astype(str) + "x", "reward: not an array of numbers"),
        ("expected", lambda one: one[:, 1:], "expected: 3 columns, and 4 actions of the policy"),
        ("context", lambda one: one[:9], "context: 9 rows, and 400 rewards"),
    ],
)
def test_what_cannot_be_a_log_is_refused_in_words(part, change, message):
    (reward, action, propensity), shop = log_of()
    parts = {"reward": reward, "action": action, "propensity": propensity, "target": shop.target}
    parts[part] = change({**parts, "expected": shop.mean, "context": shop.context}[part])
    with pytest.raises(BadLog, match=message):
        off_policy(**parts)
