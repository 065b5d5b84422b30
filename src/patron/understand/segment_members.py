"""Who is a member of which segment from when to when, run by run: only stays that begin or end are written.

A segment is evaluated at the run's cutoff by its newest rule, so that a changed rule moves people as of this run; tags
that it names are those of now. A rule that names what the run does not have leaves its members as they were; `patron
segment show` says what is wrong.
"""

import pyarrow as pa

from patron.schema.errors import BadSegment
from patron.schema.models.questions import QUESTION_BY_NAME, Question
from patron.schema.table_definition import TEXT
from patron.schema.tables import SEGMENT_MEMBERS
from patron.segments.segment_fields import FORECASTS, fields_query
from patron.segments.segment_rules import SegmentRule
from patron.segments.segment_sql import segment_query
from patron.storage.customers.customer_tags import tagged_customers
from patron.storage.engine import literal, timestamp
from patron.storage.models.missing_forecasts import is_answered
from patron.storage.offers.policy import PROFILING
from patron.storage.runs.stage_view import StageView
from patron.storage.segments.segment_query import stage_scope

MEMBERS = pa.schema([("segment", TEXT), ("customer_id", TEXT)])
TABLE = SEGMENT_MEMBERS.name


def build_segment_members(view: StageView) -> None:
    """Write `segment_fields` of the run, and `segment_members`: the last run's stays, ended and begun by this one."""
    profiling = literal(view.policy.consent.purpose(PROFILING))
    answered = [name for name in FORECASTS if _is_answered(view, name)]
    view.write_query("segment_fields", fields_query(answered, run_id=literal(view.run.run_id), profiling=profiling))
    has_last = view.has_last(TABLE)
    lasting = view.query(_lasting_stays(view)) if has_last else SEGMENT_MEMBERS.empty()
    members = _members(view, lasting)
    stays = view.query(_stays(view), members=members, lasting=lasting)
    if has_last:
        cutoff = timestamp(view.run.as_of)
        changeable = f"left_at is null or left_at >= {cutoff} or entered_at >= {cutoff}"
        view.amend(TABLE, stays, where=changeable)
    else:
        view.write(TABLE, stays)


def _is_answered(view: StageView, name: str) -> bool:
    question = QUESTION_BY_NAME[name]
    return isinstance(question, Question) and is_answered(view, question)


def _lasting_stays(view: StageView) -> str:
    """Stays that began before the cutoff and last until then, whatever an earlier attempt of the run wrote."""
    cutoff = timestamp(view.run.as_of)
    return f"""
select segment, customer_id, entered_at, left_at from last_{TABLE}
where entered_at < {cutoff} and (left_at is null or left_at >= {cutoff})"""


def _members(view: StageView, lasting: pa.Table) -> pa.Table:
    """Members of every segment at the run's cutoff, by the newest rules."""
    scope = stage_scope(view)
    parts = [MEMBERS.empty_table()]
    for name in sorted(view.segments):
        try:
            query = segment_query(SegmentRule(name), scope)
        except BadSegment:
            of_segment = f"select segment, customer_id from lasting where segment = {literal(name)}"
            parts.append(view.query(of_segment, lasting=lasting).cast(MEMBERS))
            continue
        sql = f"select $segment as segment, m.customer_id from ({query.sql}) m"
        tagged = tagged_customers(view.declared_store, query.tags)
        parts.append(view.query(sql, {**query.parameters, "segment": name}, **tagged).cast(MEMBERS))
    return pa.concat_tables(parts)


def _stays(view: StageView) -> str:
    cutoff = timestamp(view.run.as_of)
    return f"""
select coalesce(m.segment, l.segment) as segment, coalesce(m.customer_id, l.customer_id) as customer_id,
  coalesce(l.entered_at, {cutoff}) as entered_at, case when m.customer_id is null then {cutoff} end as left_at
from members m full join lasting l on l.segment = m.segment and l.customer_id = m.customer_id"""
