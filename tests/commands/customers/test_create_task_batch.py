"""Bulk tasks: a stated share is held out by lot, stays so, is shown to nobody as work, and never grows by hand."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from patron.answers.customers.customer_list import CustomerQuery, match_customers
from patron.answers.customers.customer_marks import Reader, customer_work, find_task
from patron.answers.customers.task_list import list_tasks
from patron.commands.customers.create_task_batch import BY_REASON, create_task_batch
from patron.commands.customers.customer_work import TaskDraft, assign_tasks, close_task, create_tasks
from patron.decide.holdout import HOLDOUT, arm_of
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadRequest, NotFound
from patron.storage.customers.customer_tables import TASKS

NOW = datetime(2026, 4, 7, 9, tzinfo=UTC)
BY = {"by": "Ada (user 0b1c)", "now": NOW}
ADA = Reader("Ada (user 0b1c)", "0b1c")
CALL = TaskDraft("call", "Ask what was missing.")


@pytest.fixture(scope="module")
def ids(made_shop):
    return match_customers(made_shop, CustomerQuery()).customer_ids(200)


@pytest.fixture(autouse=True)
def clean(made_shop):
    yield
    made_shop.reload_settings()
    with made_shop.store.begin() as connection:
        connection.execute(sa.delete(TASKS).where(TASKS.c.batch_id != ""))


@pytest.fixture
def hold_out(made_shop, monkeypatch):
    """Say which share is held out; policy.toml stays as it is."""

    def change(share, **other):
        tasks = made_shop.policy.tasks.model_copy(update={"holdout_share": share, **other})
        made_shop.policy = made_shop.policy.model_copy(update={"tasks": tasks})
        monkeypatch.setattr(made_shop, "reload_settings", lambda: None)

    return change


def rows_of(shop, batch):
    with shop.store.begin() as connection:
        return list(connection.execute(sa.select(TASKS).where(TASKS.c.batch_id == batch.batch_id)))


def test_the_stated_share_gets_no_task_and_everybody_is_counted_once(made_shop, ids, hold_out):
    hold_out(0.3)
    batch = create_task_batch(RequestContext.from_name(made_shop, **BY), ids, CALL, values_at_risk={ids[0]: 1_234.4})
    assert len(batch.task_ids) + batch.held_out_count + batch.control_count == len(ids)
    drawn = len(ids) - batch.control_count
    assert abs(batch.held_out_count - 0.3 * drawn) < 4 * (0.3 * 0.7 * drawn) ** 0.5
    for row in rows_of(made_shop, batch):
        assert row.is_holdout == (arm_of(f"tasks/{batch.batch_id}", row.customer_id, 0.3) == HOLDOUT)
        assert row.holdout_share == 0.3
    entry = audit_log.entries(made_shop.store)[-1]
    assert (entry.action, json.loads(entry.details)["held_out_count"]) == ("tasks created", batch.held_out_count)


def test_who_is_in_the_control_group_of_the_shop_gets_no_task_and_is_not_drawn(made_shop, ids, hold_out):
    hold_out(0.0)
    holdout = made_shop.policy.holdout
    in_control = {identifier for identifier in ids if arm_of(holdout.experiment, identifier, holdout.share) == HOLDOUT}
    batch = create_task_batch(RequestContext.from_name(made_shop, **BY), ids, CALL)
    assert 0 < batch.control_count == len(in_control)
    assert {row.customer_id for row in rows_of(made_shop, batch)} == set(ids) - in_control


def test_an_arm_lasts_for_the_window_and_is_drawn_again_after_it(made_shop, ids, hold_out):
    hold_out(0.5, window_days=60)
    first = rows_of(made_shop, create_task_batch(RequestContext.from_name(made_shop, **BY), ids, CALL))
    held = {row.customer_id for row in first if row.is_holdout}
    soon = {**BY, "now": NOW + timedelta(days=59)}
    second = create_task_batch(RequestContext.from_name(made_shop, **soon), ids, TaskDraft("write"))
    assert second.held_out_count == len(held)
    assert not held & {row.customer_id for row in rows_of(made_shop, second)}
    later = rows_of(
        made_shop,
        create_task_batch(RequestContext.from_name(made_shop, **{**BY, "now": NOW + timedelta(days=61)}), ids, CALL),
    )
    again = {row.customer_id for row in later if row.is_holdout}
    assert again
    assert again != held


def test_nobody_sees_a_holdout_as_work_and_their_page_says_until_when(made_shop, ids, hold_out):
    hold_out(0.5)
    before = list_tasks(made_shop, "open", reader=ADA, now=NOW).total_count
    batch = create_task_batch(RequestContext.from_name(made_shop, **BY), ids, CALL)
    assert list_tasks(made_shop, "open", reader=ADA, now=NOW).total_count == before + len(batch.task_ids)
    held = next(row for row in rows_of(made_shop, batch) if row.is_holdout)
    work = customer_work(made_shop, held.customer_id, reader=ADA, now=NOW)
    assert (work.tasks, work.held_out_until) == ((), NOW + timedelta(days=made_shop.policy.tasks.window_days))
    with pytest.raises(NotFound):
        close_task(RequestContext.from_name(made_shop, **BY), held.task_id, "reached")
    with pytest.raises(NotFound):
        find_task(made_shop, held.task_id, reader=ADA)
    assert assign_tasks(RequestContext.from_name(made_shop, **BY), [held.task_id], "") == 0


def test_a_task_by_hand_is_never_held_out(made_shop, ids, hold_out):
    hold_out(0.5)
    tasks = create_tasks(RequestContext.from_name(made_shop, **BY), ids[:40], CALL)
    assert len(tasks) == 40
    with made_shop.store.begin() as connection:
        by_hand = connection.execute(sa.select(TASKS).where(TASKS.c.task_id.in_(tasks))).all()
        connection.execute(sa.delete(TASKS).where(TASKS.c.task_id.in_(tasks)))
    assert {(row.is_holdout, row.assigned_at, row.batch_id) for row in by_hand} == {(False, None, "")}


def test_a_bulk_action_may_choose_the_task_by_the_reason_for_leaving(made_shop, ids, hold_out):
    hold_out(0.0, usual_playbook="check", playbooks={"overdue": "write"})
    rows = rows_of(made_shop, create_task_batch(RequestContext.from_name(made_shop, **BY), ids, TaskDraft(BY_REASON)))
    assert {(row.reason == "overdue", row.playbook) for row in rows} == {(True, "write"), (False, "check")}


def test_an_unknown_task_or_customer_creates_nothing(made_shop, ids):
    with pytest.raises(BadRequest, match="playbook"):
        create_task_batch(RequestContext.from_name(made_shop, **BY), ids[:2], TaskDraft("dance"))
    with pytest.raises(NotFound):
        create_task_batch(RequestContext.from_name(made_shop, **BY), ["nobody", ids[0]], CALL)
