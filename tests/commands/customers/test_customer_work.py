"""Daily work with customers: what staff do is kept, encrypted where it is text, in the audit log, and undone."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa

from patron.answers.customers.customer_list import NOBODY, CustomerQuery, match_customers
from patron.answers.customers.customer_marks import Reader, customer_work, find_task, list_staff, list_tags, marks_of
from patron.answers.customers.task_list import list_tasks
from patron.answers.customers.watch_list import snoozed_customers, watch_list, watch_list_history
from patron.commands.customers.customer_work import (
    TaskDraft,
    add_tag,
    assign_owner,
    assign_tasks,
    close_task,
    create_tasks,
    delete_note,
    end_snooze,
    remove_tag,
    snooze,
    write_note,
)
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadRequest, NotFound
from patron.schema.tables import SEGMENTS, VALUE_AT_RISK
from patron.storage.access.access_tables import USERS
from patron.storage.customers.customer_tables import CUSTOMER_NOTES, TASKS
from patron.storage.runs.last_run import last_run

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BY = {"by": "Ada (user 0a1b)", "now": NOW}
ADA = Reader("Ada (user 0a1b)", "0a1b")
OTHER = Reader("Ben (user 0c2d)", "0c2d")


@pytest.fixture(scope="module")
def ids(made_shop):
    """Some customers, of whom no other test speaks."""
    user = {"name": "Ada", "roles": [], "grants": [], "team": "", "password_hash": "", "state": "active"}
    user |= {"locale": "", "created_at": NOW, "created_by": "test"}
    with made_shop.store.begin() as connection:
        connection.execute(sa.insert(USERS).values(user_id="0a1b", email="work-ada@example.org", **user))
    yield match_customers(made_shop, CustomerQuery(is_at_risk=True)).customer_ids(6)
    with made_shop.store.begin() as connection:
        connection.execute(sa.delete(USERS).where(USERS.c.user_id == "0a1b"))


def actions(shop):
    return [entry.action for entry in audit_log.entries(shop.store)]


def test_a_tag_is_added_once_finds_its_customers_and_goes(made_shop, ids):
    assert add_tag(RequestContext.from_name(made_shop, **BY), ids[:3], "  work   gold ") == 3
    assert add_tag(RequestContext.from_name(made_shop, **BY), ids[:4], "work gold") == 1
    assert ("work gold", 4) in [(tag.tag, tag.customer_count) for tag in list_tags(made_shop)]
    tagged = match_customers(made_shop, CustomerQuery(tag="work gold")).customer_ids(10)
    assert sorted(tagged) == sorted(ids[:4])
    assert remove_tag(RequestContext.from_name(made_shop, **BY), ids, "work gold") == 4
    assert marks_of(made_shop, ids) == {}
    assert actions(made_shop)[-3:] == ["customers tagged", "customers tagged", "tag removed"]


@pytest.mark.parametrize("tag", ["", "x" * 41, "ann@example.org", "0171 2345678", "a\x07"])
def test_a_tag_that_is_empty_long_or_names_a_person_is_refused(made_shop, ids, tag):
    with pytest.raises(BadRequest, match="tag"):
        add_tag(RequestContext.from_name(made_shop, **BY), ids[:1], tag)


def test_nobody_unknown_is_worked_on(made_shop, ids):
    for order in (
        lambda who: add_tag(RequestContext.from_name(made_shop, **BY), who, "x"),
        lambda who: assign_owner(RequestContext.from_name(made_shop, **BY), who, ""),
        lambda who: create_tasks(RequestContext.from_name(made_shop, **BY), who, TaskDraft("call")),
        lambda who: snooze(
            RequestContext.from_name(made_shop, **BY), who, until=NOW + timedelta(days=1), reason="known"
        ),
    ):
        with pytest.raises(NotFound):
            order([ids[0], "nobody"])
        with pytest.raises(BadRequest):
            order([])
    assert marks_of(made_shop, ids) == {}


def test_a_note_is_encrypted_and_read_by_its_author_and_whom_it_is_revealed_to(made_shop, ids):
    note_id = write_note(RequestContext.from_name(made_shop, **BY), ids[0], "Wants\r\nvegan shoes")
    with made_shop.store.begin() as connection:
        content = connection.scalar(sa.select(CUSTOMER_NOTES.c.content).where(CUSTOMER_NOTES.c.note_id == note_id))
    assert b"vegan" not in content
    texts = {
        reader: customer_work(made_shop, ids[0], reader=reader, now=NOW).notes[0].text
        for reader in (ADA, OTHER, Reader("Ben (user 0c2d)", "0c2d", is_revealed=True))
    }
    assert list(texts.values()) == ["Wants\nvegan shoes", None, "Wants\nvegan shoes"]
    with pytest.raises(BadRequest, match="author"):
        delete_note(RequestContext.from_name(made_shop, OTHER.name, now=NOW), ids[0], note_id)
    with pytest.raises(NotFound):
        delete_note(RequestContext.from_name(made_shop, **BY), ids[1], note_id)
    delete_note(RequestContext.from_name(made_shop, **BY), ids[0], note_id)
    assert customer_work(made_shop, ids[0], reader=ADA, now=NOW).notes == ()
    assert "vegan" not in str(audit_log.entries(made_shop.store))


def test_an_owner_is_somebody_who_is_active(made_shop, ids):
    assert "0a1b" in [one.user_id for one in list_staff(made_shop)]
    assign_owner(RequestContext.from_name(made_shop, **BY), ids[:2], "0a1b")
    assert sorted(match_customers(made_shop, CustomerQuery(owner="0a1b")).customer_ids(9)) == sorted(ids[:2])
    assert not set(ids[:2]) & set(match_customers(made_shop, CustomerQuery(owner=NOBODY)).customer_ids(999))
    with pytest.raises(BadRequest, match="active"):
        assign_owner(RequestContext.from_name(made_shop, **BY), ids[:1], "ffff")
    assign_owner(RequestContext.from_name(made_shop, **BY), ids[:2], "")
    assert marks_of(made_shop, ids) == {}


def test_a_task_is_assigned_done_once_and_counted(made_shop, ids):
    draft = TaskDraft("call", "Ask about the late parcel", due_at=NOW - timedelta(days=1))
    late, other = create_tasks(
        RequestContext.from_name(made_shop, **BY), ids[:2], draft, values_at_risk={ids[0]: 1234.4}
    )
    before = list_tasks(made_shop, "overdue", reader=OTHER, now=NOW)
    assert {task.task_id for task in before.tasks} == {late, other}
    assert {task.due_at for task in before.tasks} == {NOW - timedelta(days=1)}
    assert [task.text for task in before.tasks] == [None, None]
    assert find_task(made_shop, late, reader=ADA).value_at_risk_cents == 1234
    assert assign_tasks(RequestContext.from_name(made_shop, **BY), [late], "0a1b") == 1
    mine = list_tasks(made_shop, "mine", reader=Reader("x", "0a1b"), now=NOW)
    assert [(task.task_id, task.text) for task in mine.tasks] == [(late, "Ask about the late parcel")]
    close_task(RequestContext.from_name(made_shop, **BY), late, "reached", "Sends it again")
    for outcome in ("reached", ""):
        with pytest.raises(BadRequest, match="closed already"):
            close_task(RequestContext.from_name(made_shop, **BY), late, outcome)
    close_task(RequestContext.from_name(made_shop, **BY), other, "")
    closed = list_tasks(made_shop, "closed", reader=ADA, now=NOW)
    assert {(task.task_id, task.state, task.outcome) for task in closed.tasks} == {
        (late, "done", "reached"), (other, "dropped", "")
    }  # fmt: skip
    assert closed.outcomes == {"reached": 1}
    assert find_task(made_shop, late, reader=ADA).text == "Ask about the late parcel\n\nSends it again"
    assert list_tasks(made_shop, reader=ADA, now=NOW, among=frozenset()).total_count == 0
    with made_shop.store.begin() as connection:
        connection.execute(sa.delete(TASKS).where(TASKS.c.task_id.in_([late, other])))


def test_a_snooze_lasts_until_its_end_or_until_it_is_ended(made_shop, ids):
    snooze(RequestContext.from_name(made_shop, **BY), ids[:2], until=NOW + timedelta(days=7), reason="contacted")
    assert set(snoozed_customers(made_shop, now=NOW)) == set(ids[:2])
    assert snoozed_customers(made_shop, now=NOW + timedelta(days=8)) == {}
    assert end_snooze(RequestContext.from_name(made_shop, **BY), ids) == 2
    with pytest.raises(BadRequest, match="passed"):
        snooze(RequestContext.from_name(made_shop, **BY), ids[:1], until=NOW, reason="known")


def test_the_list_and_the_watch_list_have_the_same_people_and_money(made_shop):
    view = last_run(made_shop)
    watched = watch_list(view, limit=999)
    listed = list(match_customers(made_shop, CustomerQuery(is_at_risk=True, sort="value_at_risk")).rows(0, 999))
    assert [(one.customer_id, one.value_at_risk_cents, one.churn_probability) for one in watched] == [
        (one.customer_id, one.value_at_risk_cents, one.churn_probability) for one in listed
    ]
    newest, first = watch_list_history(view)
    assert newest.customer_count == len(watched)
    assert newest.value_at_risk_cents == pytest.approx(sum(one.value_at_risk_cents for one in watched))
    assert first.entered_count is None
    assert newest.entered_count - newest.left_count == newest.customer_count - first.customer_count


@contextmanager
def rewritten(shop, changes):
    """The last run's view with other rows of some runs, by table and run."""
    view, pinned, before = last_run(shop), {}, []
    try:
        for (table, run_id), rows in changes.items():
            before.append((table, run_id, rows_of(shop, table, run_id)))
            pinned[table.name] = shop.lake.replace(table, rows, part=run_id)
        yield replace(view, pinned={**view.pinned, **pinned})
    finally:
        for table, run_id, rows in before:
            shop.lake.replace(table, rows, part=run_id)


def rows_of(shop, table, run_id):
    rows = shop.lake.read(table)
    return rows.filter(pc.equal(rows["run_id"], run_id))


def test_a_run_that_completed_after_a_later_cutoffs_is_not_in_the_history_it_knows(made_shop):
    newest, first = watch_list_history(last_run(made_shop))
    with rewritten(made_shop, {(SEGMENTS, first.run_id): SEGMENTS.empty()}) as view:
        assert watch_list_history(view) == (replace(newest, entered_count=None, left_count=None),)


def test_who_left_a_list_that_is_empty_now_has_left(made_shop):
    newest, first = watch_list_history(last_run(made_shop))
    changes = {(VALUE_AT_RISK, newest.run_id): VALUE_AT_RISK.empty()}
    for table in (SEGMENTS, VALUE_AT_RISK):
        rows = rows_of(made_shop, table, newest.run_id)
        earlier = pa.array([first.run_id] * rows.num_rows, pa.string())
        changes[table, first.run_id] = rows.set_column(rows.column_names.index("run_id"), "run_id", earlier)
    with rewritten(made_shop, changes) as view:
        emptied, before = watch_list_history(view)
    assert (emptied.customer_count, emptied.entered_count, emptied.left_count) == (0, 0, newest.customer_count)
    assert before.customer_count == newest.customer_count
