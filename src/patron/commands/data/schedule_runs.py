"""When runs start by themselves: once a day at a time, or never."""

import re

from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence
from patron.storage.runs.jobs import RunSchedule, write_run_schedule

NOT_TIME_OF_DAY = Sentence("not_time_of_day", "{text!r} is not a time of the day")
TIME_SUCH_AS = Sentence("time_such_as", "Write one such as 02:30.")

TIME = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")


def schedule_runs(context: RequestContext, local_time: str) -> RunSchedule:
    """Let a run start every day at HH:MM by the shop's clock, or, without a time, none. Raises BadQuery."""
    if local_time and not TIME.fullmatch(local_time):
        raise BadQuery(NOT_TIME_OF_DAY(text=local_time), where="time", todo=TIME_SUCH_AS)
    schedule = RunSchedule(local_time, context.now, context.by)
    with context.shop.store.begin() as connection:
        write_run_schedule(connection, schedule)
        context.record(connection, AuditAction.RUNS_SCHEDULED, {"time": local_time})
    return schedule
