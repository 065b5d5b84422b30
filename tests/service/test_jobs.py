"""Work in the background says how it ended, also when its process dies; one run at a time; a schedule is kept."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from patron.answers.data.run_history import show_job
from patron.commands.data.schedule_runs import schedule_runs
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadQuery, NotEnoughData, WorkspaceBusy
from patron.service import jobs
from patron.service.run_timer import RunTimer
from patron.storage.runs.jobs import (
    RUN,
    RUNNING,
    SCHEDULE,
    add_job,
    job_of,
    new_job,
    next_time,
    run_schedule,
    update_job,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def request(shop, by="Ada", now=NOW):
    job = new_job(RUN, {}, by=by, now=now)
    with shop.store.begin() as connection:
        add_job(connection, job)
    return job.job_id


def test_work_that_is_refused_fails_with_its_message_and_later_news_change_nothing(shop):
    def work(_job, progress):
        progress("facts", 0, 12)
        raise NotEnoughData("there is no order", where="orders", todo="Import some.")

    job_id = request(shop)
    assert not jobs.carry_out(shop, job_id, {RUN: work}, clock=lambda: NOW)
    done = job_of(shop.store, job_id)
    assert (done.state, done.step, done.problem["what"]) == ("failed", "facts", "there is no order")
    update_job(shop.store, job_id, state=RUNNING)
    assert job_of(shop.store, job_id).state == "failed"


def test_a_job_whose_process_died_has_failed_and_makes_room_for_another(shop):
    job_id = request(shop)
    update_job(shop.store, job_id, state=RUNNING)
    assert show_job(shop, job_id, now=NOW).state == "failed"

    def work(_job, _progress):
        alive = show_job(shop, second, now=NOW + timedelta(hours=1))
        with pytest.raises(WorkspaceBusy):
            jobs.start_job(RequestContext.from_name(shop, "Bo", now=NOW), RUN, {})
        return {"state": alive.state}

    second = request(shop)
    assert jobs.carry_out(shop, second, {RUN: work}, clock=lambda: NOW)
    assert job_of(shop.store, second).result == {"state": RUNNING}


def test_a_schedule_is_due_once_a_day_by_the_shops_clock(shop):
    schedule_runs(RequestContext.from_name(shop, "Ada", now=NOW), "02:30")
    assert "runs scheduled" in [entry.action for entry in audit_log.entries(shop.store)]
    timer = RunTimer(shop, lambda: NOW)
    assert timer.due_at(NOW + timedelta(hours=1)) is None
    due = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
    assert timer.due_at(due + timedelta(minutes=5)) == due
    assert timer.due_at(due + timedelta(hours=20)) == due
    request(shop, SCHEDULE, due + timedelta(minutes=1))
    assert timer.due_at(due + timedelta(hours=20)) is None
    assert next_time(run_schedule(shop.store), NOW, "UTC") == due
    schedule_runs(RequestContext.from_name(shop, "Ada", now=NOW), "")
    assert timer.due_at(due + timedelta(days=3)) is None
    with pytest.raises(BadQuery):
        schedule_runs(RequestContext.from_name(shop, "Ada", now=NOW), "25:00")


def test_neither_an_upload_that_stays_nor_a_database_that_restarts_keeps_the_clock_from_starting_runs(
    shop, monkeypatch
):
    started, looks = threading.Event(), []

    def stay(_shop, *, now):
        raise PermissionError(f"an upload of {now}")

    def start_due_run(_timer, _now):
        looks.append(1)
        if len(looks) == 1:
            raise sa.exc.OperationalError("select", {}, OSError("the server closed the connection"))
        started.set()

    monkeypatch.setattr("patron.service.run_timer.delete_old_uploads", stay)
    monkeypatch.setattr(RunTimer, "start_due_run", start_due_run)
    timer = RunTimer(shop, lambda: NOW, check_seconds=0.01)
    timer.start()
    try:
        assert started.wait(30)
    finally:
        timer.stop()
    assert [what for what, problem in timer.problems.items() if problem] == ["old uploads cannot be deleted"]
