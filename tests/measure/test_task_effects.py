"""What tasks of staff changed: a known effect is found, and nothing is found where there is none to find."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron import measure
from patron.decide.holdout import HOLDOUT, arm_of
from patron.measure.task_effects import measure_tasks
from patron.run import stage_view
from patron.schema.tables import BY_NAME
from patron.storage.console_tables import TASKS
from patron.storage.runs import Run
from patron.storage.shop import Shop

START = datetime(2024, 6, 1, tzinfo=UTC)
WINDOW = timedelta(days=60)
AFTER = Run.at(START + timedelta(days=70))
BY_CALL, BY_LETTER = 2_000, 0
"""What a task brings, cents."""


def task(number, *, share=0.2, at=START, **other):
    """A draw of one customer, and its task."""
    customer = f"c{number:04}"
    playbook = "call" if number % 2 else "write"
    row = {
        "task_id": f"{customer}-{at:%m%d}",
        "customer_id": customer,
        "playbook": playbook,
        "content": b"",
        "owner": "",
        "state": "open",
        "outcome": "",
        "value_at_risk_cents": None,
        "is_holdout": arm_of(f"tasks/{at:%m%d}", customer, share) == HOLDOUT,
        "due_at": None,
        "created_at": at,
        "created_by": "test",
        "closed_at": None,
        "closed_by": "",
        "reason": "overdue" if number % 3 else "",
        "batch_id": f"{at:%m%d}",
        "holdout_share": share,
        "assigned_at": at,
        "measured_until": at + WINDOW,
    }
    return {**row, **other}


def by_hand(row):
    mark = {"task_id": row["task_id"] + "-hand", "is_holdout": False, "batch_id": "", "holdout_share": None}
    return {**row, **mark, "assigned_at": None, "measured_until": None, "created_at": START + timedelta(days=1)}


def line(number, customer, at, cents, **other):
    money = {"gross_cents": cents, "discount_cents": 0, "paid_cents": cents}
    flags = {"is_identified": True, "has_coupon": False, "has_price": True, "is_refund": False}
    when = {"ordered_at": at, "occurred_at": at, "known_at": at, "quantity": 1}
    return {
        "line_id": f"l{number}",
        "order_id": f"o{number}",
        "customer_id": customer,
        **when,
        **money,
        **flags,
        **other,
    }


def lines(tasks, seed=0):
    """Orders before and after the draw, of customers who differ; a task adds to the ones after it."""
    rng = np.random.default_rng(seed)
    rows = []
    for one in tasks:
        usual = rng.gamma(2.0, 4_000)
        effect = 0 if one["is_holdout"] else BY_CALL if one["playbook"] == "call" else BY_LETTER
        for days, more in ((-40, 0), (-20, 0), (10, effect), (30, 0)):
            cents = round(usual * rng.gamma(8.0, 1 / 8) + more)
            rows.append(line(len(rows), one["customer_id"], one["created_at"] + timedelta(days=days), cents))
    return rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        Shop.create(folder / "shop").close()
        shop = Shop.open(folder / "shop")
        yield shop
        shop.close()


def effects(shop, tasks, sold, run=AFTER, identities=(), changes=()):
    """Rows by playbook, reason and metric, as a run measures these tasks."""
    for name, rows in (("order_lines", sold), ("identities", identities), ("identity_changes", changes)):
        shop.lake.replace(BY_NAME[name], pa.Table.from_pylist(list(rows), schema=BY_NAME[name].schema()))
    with shop.store.begin() as connection:
        connection.execute(sa.delete(TASKS))
        if tasks:
            connection.execute(sa.insert(TASKS), tasks)
    rows = measure_tasks(stage_view(shop, measure, run=run)).to_pylist()
    return {(row["playbook"], row["reason"], row["metric"]): row for row in rows}


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
    sold = [replace_customer(one, held["customer_id"], "merged") for one in lines(tasks)]
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
