"""Who is a member of which segment from when to when, run by run: only stays that begin or end are written.

A segment is evaluated at the run's cutoff by its newest rule, so that a changed rule moves people as of this run; tags
that it names are those of now. A rule that names what the run does not have leaves its members as they were; `patron
segment show` says what is wrong.

Of a segment whose new members enter a journey there are stays by the rules that were approved with it, too: they begin
as those of the segment are, and then go on by the approved rules, whatever becomes of the segment's.
"""

from collections.abc import Mapping

import pyarrow as pa

from patron.schema.errors import BadSegment
from patron.schema.models.questions import QUESTION_BY_NAME, Question
from patron.schema.table_definition import Table
from patron.schema.tables import SEGMENT_MEMBERS, TRIGGER_MEMBERS
from patron.segments.segment_fields import FORECASTS, fields_query
from patron.segments.segment_rules import SegmentRule
from patron.segments.segment_sql import SegmentQuery, segment_query
from patron.storage.customers.customer_tags import tagged_customers
from patron.storage.engine import literal, timestamp
from patron.storage.models.missing_forecasts import is_answered
from patron.storage.offers.policy import PROFILING
from patron.storage.runs.stage_view import StageView
from patron.storage.segments.segment_query import stage_scope, trigger_scope


def build_segment_members(view: StageView) -> None:
    """Write `segment_fields` of the run, and `segment_members`: the last run's stays, ended and begun by this one."""
    profiling = literal(view.policy.consent.purpose(PROFILING))
    answered = [name for name in FORECASTS if _is_answered(view, name)]
    view.write_query("segment_fields", fields_query(answered, run_id=literal(view.run.run_id), profiling=profiling))
    of_segments = _lasting_stays(view, SEGMENT_MEMBERS)
    _write_stays(view, SEGMENT_MEMBERS, of_segments, _members(view, of_segments))
    of_triggers = _with_new_triggers(view, _lasting_stays(view, TRIGGER_MEMBERS), of_segments)
    _write_stays(view, TRIGGER_MEMBERS, of_triggers, _trigger_members(view, of_triggers))


def _is_answered(view: StageView, name: str) -> bool:
    question = QUESTION_BY_NAME[name]
    return isinstance(question, Question) and is_answered(view, question)


def _lasting_stays(view: StageView, table: Table) -> pa.Table:
    """Stays that began before the cutoff and last until then, whatever an earlier attempt of the run wrote."""
    if not view.has_last(table.name):
        return table.empty()
    cutoff = timestamp(view.run.as_of)
    return view.query(f"""
select * from last_{table.name}
where entered_at < {cutoff} and (left_at is null or left_at >= {cutoff})""")


def _members(view: StageView, lasting: pa.Table) -> pa.Table:
    """Members of every segment at the run's cutoff, by the newest rules."""
    scope = stage_scope(view)
    parts = [_keys(SEGMENT_MEMBERS).empty_table()]
    for name in sorted(view.segments):
        try:
            query = segment_query(SegmentRule(name), scope)
        except BadSegment:
            parts.append(_as_they_were(view, SEGMENT_MEMBERS, lasting, {"segment": name}))
            continue
        parts.append(_queried(view, SEGMENT_MEMBERS, query, {"segment": name}))
    return pa.concat_tables(parts)


def _trigger_members(view: StageView, lasting: pa.Table) -> pa.Table:
    """Members of the segments of triggers at the run's cutoff, by the rules that were approved."""
    parts = [_keys(TRIGGER_MEMBERS).empty_table()]
    for trigger in view.triggers:
        of = {"journey": trigger.journey, "approval": trigger.approval}
        try:
            query = segment_query(SegmentRule(trigger.segment), trigger_scope(view, trigger))
        except BadSegment:
            parts.append(_as_they_were(view, TRIGGER_MEMBERS, lasting, of))
            continue
        parts.append(_queried(view, TRIGGER_MEMBERS, query, of))
    return pa.concat_tables(parts)


def _with_new_triggers(view: StageView, lasting: pa.Table, of_segments: pa.Table) -> pa.Table:
    """Stays of triggers; those that no run knew begin with the stays of their segments."""
    known = set[tuple[str, int]]()
    if view.has_last(TRIGGER_MEMBERS.name):
        rows = view.query(f"select distinct journey, approval from last_{TRIGGER_MEMBERS.name}").to_pylist()
        known = {(row["journey"], row["approval"]) for row in rows}
    parts = [lasting]
    for trigger in view.triggers:
        if (trigger.journey, trigger.approval) not in known:
            columns = f"{literal(trigger.journey)} as journey, {trigger.approval} as approval"
            sql = f"select {columns}, customer_id, entered_at, left_at from stays where segment = $segment"
            rows = view.query(sql, {"segment": trigger.segment}, stays=of_segments)
            parts.append(rows.cast(TRIGGER_MEMBERS.schema()))
    return pa.concat_tables(part.cast(TRIGGER_MEMBERS.schema()) for part in parts)


def _keys(table: Table) -> pa.Schema:
    """Columns that tell whose stay it is, and where."""
    return pa.schema([table.schema().field(name) for name in table.key if name != "entered_at"])


def _as_they_were(view: StageView, table: Table, lasting: pa.Table, of: Mapping[str, str | int]) -> pa.Table:
    """Members as the run before had them."""
    names, same = ", ".join(_keys(table).names), " and ".join(f"{name} = ${name}" for name in of)
    return view.query(f"select {names} from lasting where {same}", of, lasting=lasting).cast(_keys(table))


def _queried(view: StageView, table: Table, query: SegmentQuery, of: Mapping[str, str | int]) -> pa.Table:
    """Members that a query finds."""
    columns = ", ".join(f"${name} as {name}" for name in of)
    tagged = tagged_customers(view.declared_store, query.tags)
    rows = view.query(f"select {columns}, m.customer_id from ({query.sql}) m", {**query.parameters, **of}, **tagged)
    return rows.cast(_keys(table))


def _write_stays(view: StageView, table: Table, lasting: pa.Table, members: pa.Table) -> None:
    """Write the last run's stays, ended and begun by this one."""
    cutoff, keys = timestamp(view.run.as_of), _keys(table).names
    columns = ", ".join(f"coalesce(m.{name}, l.{name}) as {name}" for name in keys)
    same = " and ".join(f"l.{name} = m.{name}" for name in keys)
    sql = f"""
select {columns},
  coalesce(l.entered_at, {cutoff}) as entered_at, case when m.customer_id is null then {cutoff} end as left_at
from members m full join lasting l on {same}"""
    stays = view.query(sql, members=members, lasting=lasting)
    if view.has_last(table.name):
        changeable = f"left_at is null or left_at >= {cutoff} or entered_at >= {cutoff}"
        view.amend(table.name, stays, where=changeable)
    else:
        view.write(table.name, stays)
