"""What tasks of staff changed: a known effect is found, and nothing is found where there is none to find."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.support.shops.task_shop import AFTER, BY_CALL, BY_LETTER, START, WINDOW, by_hand, effects, lines, task

from patron.decide.holdout import HOLDOUT, arm_of
from patron.measure.task_effects import METRICS, effect_rows
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        Shop.create(folder / "shop").close()
        shop = Shop.open(folder / "shop")
        yield shop
        shop.close()


@pytest.fixture(scope="module")
def tasks():
    return [task(number) for number in range(1_200)]


@pytest.fixture(scope="module")
def measured(shop, tasks):
    return effects(shop, tasks, lines(tasks))


def test_the_interval_holds_what_tasks_bring_of_all_and_of_each_playbook(measured):
    for part, truth in ((("all", "all"), (BY_CALL + BY_LETTER) / 2), (("call", "all"), BY_CALL), (("write", "all"), 0)):
        row = measured[*part, "revenue"]
        assert row["low"] <= truth <= row["high"], part
        assert row["sequence_low"] < row["low"] < row["high"] < row["sequence_high"]
    assert measured["call", "all", "revenue"]["low"] > 0


def test_everybody_is_counted_by_their_draw_and_every_metric_has_a_row(measured, tasks):
    whole = measured["all", "all", "revenue"]
    assert whole["holdout_count"] == sum(one["is_holdout"] for one in tasks)
    assert whole["treated_count"] + whole["holdout_count"] == len(tasks)
    assert {metric for playbook, reason, metric in measured if (playbook, reason) == ("call", "unknown")} == {
        "revenue",
        "margin",
        "orders",
        "retained",
    }
    assert measured["all", "all", "orders"]["treated_mean"] == 2
    assert measured["all", "all", "orders"]["effect"] is None  # nothing varies: every customer ordered twice
    assert whole["sample_ratio_p_value"] > 0.001


def test_what_was_bought_before_makes_the_interval_narrower(measured):
    row = measured["all", "all", "revenue"]
    assert row["variance_removed"] > 0.5
    assert row["high"] - row["low"] < row["raw_high"] - row["raw_low"]


def test_the_cost_of_tasks_that_were_done_is_off_the_margin(shop, tasks, measured):
    done = [{**one, "state": "open" if one["is_holdout"] else "done"} for one in tasks]
    shop.policy = shop.policy.model_copy(
        update={"tasks": shop.policy.tasks.model_copy(update={"task_cost_cents": 300})}
    )
    try:
        costly = effects(shop, done, lines(tasks))
    finally:
        shop.reload_settings()
    name = ("all", "all", "margin")
    assert costly[name]["treated_mean"] == pytest.approx(measured[name]["treated_mean"] - 300)
    assert costly[name]["holdout_mean"] == pytest.approx(measured[name]["holdout_mean"])
    assert costly[name]["done_count"] == costly[name]["treated_count"]


def test_nothing_is_measured_before_the_window_is_over_nor_where_nobody_is_held_out(shop, tasks):
    sold = lines(tasks[:60])
    assert effects(shop, tasks[:60], sold, run=Run.at(START + WINDOW - timedelta(days=1))) == {}
    assert effects(shop, [task(number, share=0.0) for number in range(60)], sold) == {}
    assert effects(shop, [by_hand(one) for one in tasks[:60]], sold) == {}


def test_few_customers_have_counts_but_no_effect(shop, tasks):
    row = effects(shop, tasks[:40], lines(tasks[:40]))["all", "all", "revenue"]
    assert row["treated_count"] + row["holdout_count"] == 40
    assert (row["effect"], row["low"], row["adjusted_p_value"]) == (None, None, None)


def test_a_second_task_in_the_window_is_no_second_draw_and_one_after_it_is(shop, tasks):
    again = [{**one, "task_id": f"{one['task_id']}-2", "created_at": START + timedelta(days=9)} for one in tasks[:60]]
    later = [task(number, at=START + WINDOW) for number in range(60)]
    run = Run.at(START + 2 * WINDOW + timedelta(days=1))
    row = effects(shop, tasks[:60] + again + later, lines(tasks[:60]), run=run)["all", "all", "revenue"]
    assert row["treated_count"] + row["holdout_count"] == 120


def test_a_task_by_hand_for_who_was_held_out_is_counted_and_changes_no_arm(shop, tasks):
    held = [one for one in tasks if one["is_holdout"]][:3]
    row = effects(shop, tasks + [by_hand(one) for one in held], lines(tasks))["all", "all", "revenue"]
    assert row["holdout_by_hand_count"] == 3
    assert row["holdout_count"] == sum(one["is_holdout"] for one in tasks)


def test_a_merge_of_identities_does_not_flip_an_arm(shop, tasks):
    """A held-out customer becomes another one, who buys; they count once, and in the holdout."""
    held = next(one for one in tasks if one["is_holdout"])
    sold = [replace_customer(line, held["customer_id"], "merged") for line in lines(tasks)]
    known = {"is_user": True, "known_at": START}
    identities = [{"token": "t1", "customer_id": "merged", **known}]
    change = {"run_id": AFTER.run_id, "token": "t1", "customer_id": "merged", "known_at": START}
    changes = [{**change, "previous_customer_id": held["customer_id"], "rule": "user_id"}]
    plain = effects(shop, tasks, lines(tasks))["all", "all", "revenue"]
    merged = effects(shop, tasks, sold, identities=identities, changes=changes)["all", "all", "revenue"]
    for name in ("holdout_count", "treated_count", "holdout_mean"):
        assert merged[name] == plain[name]


def replace_customer(row, old, new):
    return {**row, "customer_id": new} if row["customer_id"] == old else row


def test_shares_that_differed_are_compared_among_themselves(shop):
    """Big spenders were drawn when half were held out: pooled, the holdout would look rich."""
    small = [task(number, share=0.1) for number in range(600)]
    big = [task(number, share=0.5, at=START + timedelta(days=1)) for number in range(600, 1_200)]
    sold = lines(small) + [
        {**one, "line_id": f"b{n}", "order_id": f"b{n}", "paid_cents": one["paid_cents"] * 5}
        for n, one in enumerate(lines(big, seed=1))
    ]
    row = effects(shop, small + big, sold)["all", "all", "revenue"]
    truth = (BY_CALL / 2 + 5 * BY_CALL / 2) / 2
    assert row["low"] <= truth <= row["high"]
    assert row["holdout_mean"] > row["treated_mean"]


def test_17_of_20_shops_have_an_interval_that_holds_the_truth():
    """Draws and amounts of 20 shops: the 95 % interval of all tasks, and the one for many looks."""
    once, always = 0, 0
    for seed in range(20):
        row = next(one for one in effect_rows(*drawn_shop(seed, effect=1_500)) if one["metric"] == "revenue")
        once += row["low"] <= 1_500 <= row["high"]
        always += row["sequence_low"] <= 1_500 <= row["sequence_high"]
    assert once >= 17
    assert always >= once


def drawn_shop(seed, *, effect, count=400):
    """Draws of one shop, whose customers' amounts are skewed and follow what they paid before."""
    rng = np.random.default_rng(seed)
    is_held = np.array([arm_of(f"tasks/seed {seed}", f"c{number}", 0.2) == HOLDOUT for number in range(count)])
    usual = rng.gamma(0.8, 6_000, count)
    revenue = usual * rng.gamma(1.0, 1.0, count) + effect * ~is_held
    same = {name: ["all of them"] * count for name in ("playbook", "reason")}
    zero = {name: np.zeros(count, dtype=np.int64) for name in ("done_count", "by_hand_count")}
    times = {name: [START] * count for name in ("start_at", "until_at")}
    arm = np.where(is_held, "holdout", "treated")
    entries = {"arm": arm, "holdout_share": np.full(count, 0.2), "before_cents": usual, **same, **zero, **times}
    return pa.table(entries), dict.fromkeys(METRICS, revenue)
