"""Bandits whose propensities are true, and interleaved lists that favour nobody."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from patron.experiments import Thompson, off_policy, preference, team_draft
from patron.schema.errors import BadExperiment, NotEnoughData

ARMS = ("none", "coupon", "call")


def play(bandit, means, *, rounds, customers, seed, is_binary=True):
    """Rounds of choices with their rewards; the last bandit and all decisions."""
    rng = np.random.default_rng(seed)
    log = []
    for _ in range(rounds):
        choices = bandit.choose(np.arange(customers), rng=rng)
        mean = np.array([means[ARMS.index(arm)] for arm in choices.arm])
        reward = (rng.random(customers) < mean) * 1.0 if is_binary else rng.exponential(mean)
        bandit = bandit.update({"arm": choices.arm.tolist(), "reward": reward}, arm="arm", reward="reward")
        log.append((choices, reward))
    return bandit, log


@pytest.mark.parametrize("is_binary", [True, False])
def test_customers_go_to_the_best_arm_and_every_arm_keeps_its_floor(is_binary):
    means = (0.1, 0.2, 0.12) if is_binary else (5.0, 9.0, 6.0)
    bandit, log = play(
        Thompson(ARMS, floor=0.1, is_binary=is_binary), means, rounds=20, customers=200, seed=1, is_binary=is_binary
    )
    shares = bandit.shares(rng=np.random.default_rng(0))
    assert shares.sum() == pytest.approx(1)
    assert min(shares) >= 0.1
    assert shares[1] > 0.75
    assert all(choices.propensity.min() >= 0.1 for choices, _ in log)
    first = log[0][0]
    assert sorted(set(first.propensity.round(1))) in ([0.3], [0.3, 0.4])


def test_logged_propensities_are_how_often_each_arm_is_drawn():
    bandit, _ = play(Thompson(ARMS, is_binary=True), (0.1, 0.14, 0.1), rounds=3, customers=100, seed=3)
    choices = bandit.choose(range(20_000), rng=np.random.default_rng(5))
    propensity = {arm: choices.propensity[choices.arm == arm][0] for arm in ARMS}
    counts = [(choices.arm == arm).sum() for arm in ARMS]
    assert stats.chisquare(counts, np.array(list(propensity.values())) * 20_000).pvalue > 1e-3
    assert list(choices.ids) == list(range(20_000))


def test_what_a_bandit_logs_can_be_judged_off_policy_without_bias():
    values = []
    for seed in range(60):
        _, log = play(Thompson(ARMS, floor=0.1, is_binary=True), (0.2, 0.4, 0.3), rounds=5, customers=60, seed=seed)
        action = np.concatenate([[ARMS.index(arm) for arm in choices.arm] for choices, _ in log])
        propensity = np.concatenate([choices.propensity for choices, _ in log])
        target = np.tile([0.0, 0.0, 1.0], (len(action), 1))
        judged = off_policy(np.concatenate([reward for _, reward in log]), action, propensity, target)
        values.append(judged.row("ips").value)
    assert abs(np.mean(values) - 0.3) < 3 * np.std(values) / 60**0.5


def test_an_arm_without_a_buyer_so_far_is_not_given_up():
    log = {
        "arm": ["none"] * 20 + ["coupon"] * 20 + ["call"] * 20,
        "reward": [0.0] * 20 + [0.0] * 19 + [90.0] + [0.0] * 20,
    }
    shares = Thompson(ARMS).update(log, arm="arm", reward="reward").shares(rng=np.random.default_rng(0))
    assert min(shares) > 0.1


def test_a_bandit_is_saved_and_reads_rewards_in_parts(tmp_path):
    bandit, log = play(Thompson(ARMS, floor=0.02), (1.0, 2.0, 3.0), rounds=3, customers=50, seed=4, is_binary=False)
    arms = np.concatenate([choices.arm for choices, _ in log]).tolist()
    whole = Thompson(ARMS, floor=0.02).update(
        {"arm": arms, "reward": np.concatenate([reward for _, reward in log])}, arm="arm", reward="reward"
    )
    assert whole.total == pytest.approx(bandit.total)
    assert whole.count == bandit.count
    bandit.save(tmp_path / "bandit.json")
    assert Thompson.load(tmp_path / "bandit.json") == bandit


def test_bandits_that_cannot_be_are_refused_in_words(tmp_path):
    with pytest.raises(BadExperiment, match="arms: 2 arms, 1 different"):
        Thompson(("a", "a"))
    with pytest.raises(BadExperiment, match=r"floor: 0.5 of each of 3 arms .* It is at most 0.333"):
        Thompson(ARMS, floor=0.5)
    with pytest.raises(BadExperiment, match=r"arm: mail is not among the arms. They are none, coupon, call"):
        Thompson(ARMS).update({"arm": ["mail"], "reward": [1]}, arm="arm", reward="reward")
    with pytest.raises(BadExperiment, match="reward: not all are 0 or 1"):
        Thompson(ARMS, is_binary=True).update({"arm": ["call"], "reward": [2]}, arm="arm", reward="reward")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(BadExperiment, match="not a saved bandit"):
        Thompson.load(tmp_path / "other.json")


RANKINGS = st.lists(st.integers(0, 20), max_size=12)


@settings(max_examples=60, deadline=None)
@given(RANKINGS, RANKINGS, st.integers(1, 15), st.integers(0, 99))
def test_a_mixed_list_holds_each_item_once_and_each_team_picks_its_best(first, second, length, seed):
    mixed = team_draft(first, second, length=length, rng=np.random.default_rng(seed))
    assert len(set(mixed.items)) == len(mixed.items) == min(length, len(set(first) | set(second)))
    for place, (item, team) in enumerate(zip(mixed.items, mixed.team, strict=True)):
        before = mixed.items[:place]
        assert item == next(one for one in (first, second)[team] if one not in before)
    if len(set(first)) >= length and len(set(second)) >= length:
        assert abs(mixed.team.count(0) - mixed.team.count(1)) <= 1


def test_clicks_at_random_favour_no_ranker_and_a_better_one_wins():
    rng = np.random.default_rng(8)
    for quality, is_better in ((0.0, False), (0.3, True)):
        clicks = []
        for _ in range(1_000):
            items = rng.permutation(30)
            first, second = items[:10], np.sort(items)[:10]
            mixed = team_draft(first.tolist(), second.tolist(), length=10, rng=rng)
            clicked = [item for item in mixed.items if rng.random() < 0.1 + quality * (item < 10)]
            clicks.append(mixed.clicks_of_teams(clicked))
        judged = preference(*np.array(clicks).T)
        assert (judged.low > 0) == is_better
        assert (judged.p_value < 1e-3) == is_better
        assert (judged.second_wins > 2 * judged.first_wins) == is_better
        assert judged.first_wins + judged.second_wins + judged.ties == 1_000


def test_lists_of_one_customer_count_once():
    first, second = np.array([0, 0, 1, 2, 0]), np.array([1, 1, 0, 2, 3])
    judged = preference(first, second, customer=["a", "a", "b", "c", "d"])
    assert (judged.value, judged.first_wins, judged.second_wins, judged.ties) == (0.8, 1, 2, 1)
    assert judged.p_value == pytest.approx(1.0)
    alone, copied = (preference(np.tile(first, n), np.tile(second, n), customer=list("abcde") * n) for n in (1, 9))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_lists_that_cannot_be_judged_are_refused_in_words():
    with pytest.raises(BadExperiment, match="length: 0"):
        team_draft([1], [2], length=0, rng=np.random.default_rng(0))
    with pytest.raises(BadExperiment, match="first_clicks: not an array with a count"):
        preference([-1], [0])
    with pytest.raises(BadExperiment, match="second_clicks: 1 lists, and 2"):
        preference([1, 0], [0])
    with pytest.raises(BadExperiment, match="customer: 3 customers for 2 lists"):
        preference([1, 0], [0, 1], customer=[1, 2, 3])
    with pytest.raises(NotEnoughData, match="lists of 1 customers"):
        preference([1, 0], [0, 1], customer=[1, 1])
