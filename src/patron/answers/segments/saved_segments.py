"""Saved segments: who is in them now, what is at stake, how they overlap, and how they came to be as they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import pyarrow as pa
from pydantic import AwareDatetime, Field

from patron.answers.customers.customer_marks import list_tags
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.errors import BadSegment
from patron.segments.segment_rules import Rule, SegmentField, SegmentRule, rule_content
from patron.segments.segment_sql import SegmentQuery, SegmentScope, memberships_query, segment_query
from patron.storage.engine import exact_sum
from patron.storage.runs.last_run import last_run, records
from patron.storage.segments.segment_definitions import (
    SegmentDefinition,
    SegmentUse,
    definitions,
    history,
    no_segment,
    uses_of_segment,
)
from patron.storage.segments.segment_query import count, known_names, query_members, read_rule, snapshot_scope
from patron.storage.shop import Shop, Snapshot

READ_SEGMENTS = Right(Action.READ, Area.SEGMENTS)
Since = Annotated[
    AwareDatetime | None,
    Field(description="Time from which entries and exits count (default: 30 days before the last run's cutoff)."),
]
IsLive = Annotated[bool, Field(description="Whether events count that were stored since the last run.")]
WithOverlaps = Annotated[bool, Field(description="Whether saved segments with members in common are listed, too.")]
VISIBLE = "customer_id in (select customer_id from visible)"
DAYS_BACK = 30
"""How far back entries and exits are counted unless a date is named."""


@dataclass(frozen=True)
class SegmentLine:
    """One segment of the list."""

    name: str
    folder: str
    version: int
    saved_at: datetime
    saved_by: str
    customer_count: int | None
    """Members by the newest rule and the last run; None before any run, and for a rule with a problem."""
    expected_cents: float | None
    """Net revenue that they are expected to bring in 90 days; None without a forecast."""
    entered_count: int
    """Members whom the last run found and the one before had not."""
    left_count: int
    """Members of the run before whom the last one did not find."""
    problem: str
    """Why it has no members, such as a field that the run does not have; empty where nothing is wrong."""


@dataclass(frozen=True)
class SegmentCount:
    """How many customers a rule selects."""

    count: int


@dataclass(frozen=True)
class RuleCount(SegmentCount):
    """Whom a rule selects, and what they are worth."""

    share: float
    """Of all customers of the run."""
    expected_cents: float | None
    """Net revenue that they are expected to bring in 90 days; None without a forecast."""
    overlaps: tuple["Overlap", ...]
    """Saved segments with members in common, the largest overlap first; empty unless wanted."""


@dataclass(frozen=True)
class SegmentVersion:
    """One version of a segment, with its rule as a file has it."""

    version: int
    saved_at: datetime
    saved_by: str
    note: str
    folder: str
    rule: dict[str, Any]


@dataclass(frozen=True)
class Overlap:
    """Customers who are in another segment, too."""

    name: str
    customer_count: int
    share: float
    """Of this segment's members."""


@dataclass(frozen=True)
class SegmentTotals:
    """What members have in common with money: sums and means of the last run's forecasts."""

    customer_count: int
    expected_cents: float | None
    """Net revenue that they are expected to bring in 90 days: what is at stake; None without a forecast."""
    mean_churn_probability: float | None


@dataclass(frozen=True)
class SegmentDetail:
    """One segment at the last run, by its newest rule."""

    name: str
    folder: str
    run_id: str
    as_of: datetime
    share: float
    """Of all customers of the run."""
    totals: SegmentTotals
    overlaps: tuple[Overlap, ...]
    """Other segments with members in common, the largest overlap first."""
    since: datetime
    entered_count: int
    """Stays that began since then, as the runs saw it; the first run after a segment is saved begins all of them."""
    left_count: int
    """Stays that ended since then."""
    versions: tuple[SegmentVersion, ...]
    """The newest first; its rule is the one that counts."""
    uses: tuple[SegmentUse, ...]
    """What needs the segment, which cannot be deleted as long."""


@dataclass(frozen=True)
class SegmentComparison:
    """Two segments next to each other."""

    first: str
    second: str
    totals: dict[str, SegmentTotals]
    """By group: first, second, both, only_first, only_second."""


@dataclass(frozen=True)
class SegmentNames:
    """What a rule may name."""

    fields: tuple[SegmentField, ...]
    traits: tuple[str, ...]
    events: tuple[str, ...]
    segments: tuple[str, ...]
    tags: tuple[str, ...]
    """Tags in use; a rule may name others, too."""


@operation(READ_SEGMENTS, "GET /api/segments")
def list_segments(shop: Shop, *, only: pa.Table | None = None) -> tuple[SegmentLine, ...]:
    """Every segment with its members at the last run.

    In order of folder and name; `only` counts these customers.
    """
    saved, view = definitions(shop.store), shop.snapshot()
    sizes, problems = _sizes(last_run(shop), saved, only) if view else ({}, {})
    moves = _moves_of_run(last_run(shop), only) if view else {}
    lines = (
        SegmentLine(
            one.name,
            one.folder,
            one.version,
            one.saved_at,
            one.saved_by,
            *sizes.get(one.name, (None, None)),
            *moves.get(one.name, (0, 0)),
            problems.get(one.name, "" if view else "no run has completed yet"),
        )
        for one in saved.values()
    )
    return tuple(sorted(lines, key=lambda line: (line.folder, line.name)))


def count_segment(shop: Shop, name: str, *, at: datetime | None = None) -> SegmentCount:
    """Members of a segment by its newest rule; events until `at` count, by default until the run's cutoff.

    Raises NoRunYet, NotFound, BadSegment.
    """
    view = last_run(shop)
    _require_segment(shop, name)
    return SegmentCount(_count(view, SegmentRule(name), at))


@operation(READ_SEGMENTS, "POST /api/segments/count")
def count_rule(
    shop: Shop,
    rule: dict[str, Any],
    *,
    is_live: IsLive = False,
    with_overlaps: WithOverlaps = False,
    only: pa.Table | None = None,
    now: datetime | None = None,
) -> RuleCount:
    """Customers whom a rule selects, which is not saved, and what they are expected to bring.

    A live count has events until `now`; `only` counts these customers. Raises NoRunYet, BadSegment.
    """
    view, at = last_run(shop), now if is_live else None
    parsed = read_rule(rule, view, shop.store)
    scope = snapshot_scope(view, at=at)
    groups = {"members": "m0", "customers": "true"}
    totals = _totals(view.with_newest_events() if at else view, scope, [parsed], groups, only)
    members, customers = totals["members"], totals["customers"].customer_count
    share = members.customer_count / customers if customers else 0.0
    overlaps = _overlaps(view, scope, parsed, only) if with_overlaps else ()
    return RuleCount(members.customer_count, share, members.expected_cents, overlaps)


def _count(view: Snapshot, rule: Rule, at: datetime | None) -> int:
    return count(view.with_newest_events() if at else view, rule, at=at)


@operation(READ_SEGMENTS, "GET /api/segments/{name}")
def show_segment(shop: Shop, name: str, since: Since = None, *, only: pa.Table | None = None) -> SegmentDetail:
    """One segment: members, what is at stake, overlaps, entries and exits, and its versions.

    `since` is when entries and exits are counted from, by default 30 days before the cutoff; `only` counts these
    customers, as if there were no others. Raises NoRunYet, NotFound, BadSegment.
    """
    versions, view = history(shop.store, name), last_run(shop)
    scope = snapshot_scope(view)
    since = since or view.run.as_of - timedelta(days=DAYS_BACK)
    totals = _totals(view, scope, [SegmentRule(name)], {"members": "m0", "customers": "true"}, only)
    entered, left = _moves(view, name, since, only)
    customers = totals["customers"].customer_count
    with shop.store.begin() as connection:
        uses = uses_of_segment(connection, name)
    return SegmentDetail(
        name=name,
        folder=versions[-1].folder,
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        share=totals["members"].customer_count / customers if customers else 0.0,
        totals=totals["members"],
        overlaps=_overlaps(view, scope, SegmentRule(name), only),
        since=since,
        entered_count=entered,
        left_count=left,
        versions=_versions(versions),
        uses=uses,
    )


@operation(READ_SEGMENTS, "GET /api/segments/{name}/comparison/{other}")
def compare_segments(shop: Shop, name: str, other: str, *, only: pa.Table | None = None) -> SegmentComparison:
    """Two segments: totals of each, of who is in both, and of who is in one only.

    `only` counts these customers. Raises NotFound, BadSegment.
    """
    for each in (name, other):
        _require_segment(shop, each)
    view = last_run(shop)
    groups = {
        "first": "m0",
        "second": "m1",
        "both": "m0 and m1",
        "only_first": "m0 and not m1",
        "only_second": "m1 and not m0",
    }
    rules = [SegmentRule(name), SegmentRule(other)]
    return SegmentComparison(name, other, _totals(view, snapshot_scope(view), rules, groups, only))


def segment_history(shop: Shop, name: str) -> tuple[SegmentVersion, ...]:
    """Every version of a segment, the newest first. Raises NotFound."""
    return _versions(history(shop.store, name))


@operation(READ_SEGMENTS, "GET /api/segment-fields")
def segment_names(shop: Shop, *, only: pa.Table | None = None) -> SegmentNames:
    """What a rule may name: fields, traits, events, other segments and tags.

    As the last run left the shop; `only` names tags of these customers.
    """
    known = known_names(shop.snapshot(), shop.store, with_other_events=True)
    names = (tuple(sorted(listed)) for listed in (known.traits, known.events, known.segments))
    tags = tuple(tag.tag for tag in list_tags(shop, only=only))
    return SegmentNames(tuple(known.fields.values()), *names, tags=tags)


def _versions(saved: Iterable[SegmentDefinition]) -> tuple[SegmentVersion, ...]:
    versions = [
        SegmentVersion(
            one.version,
            one.saved_at,
            saved_by=one.saved_by,
            note=one.note,
            folder=one.folder,
            rule=rule_content(one.rule),
        )
        for one in saved
    ]
    return tuple(reversed(versions))


def _require_segment(shop: Shop, name: str) -> None:
    saved = definitions(shop.store)
    if name not in saved:
        raise no_segment(name, saved)


def _problems(scope: SegmentScope, names: Iterable[str]) -> dict[str, str]:
    """What is wrong with each segment that has no members for it."""
    problems: dict[str, str] = {}
    for name in names:
        try:
            segment_query(SegmentRule(name), scope)
        except BadSegment as error:
            problems[name] = error.what
    return problems


def _sizes(
    view: Snapshot, names: Iterable[str], only: pa.Table | None
) -> tuple[dict[str, tuple[int, float | None]], dict[str, str]]:
    """Members of each segment and what they are expected to bring, and what is wrong with the others."""
    scope, listed = snapshot_scope(view), list(names)
    problems = _problems(scope, listed)
    usable = [SegmentRule(name) for name in listed if name not in problems]
    if not usable:
        return {}, problems
    totals = _totals(view, scope, usable, {f"g{place}": f"m{place}" for place in range(len(usable))}, only)
    of_rule = zip(usable, totals.values(), strict=True)
    return {rule.segment: (one.customer_count, one.expected_cents) for rule, one in of_rule}, problems


def _overlaps(view: Snapshot, scope: SegmentScope, rule: Rule, only: pa.Table | None) -> tuple[Overlap, ...]:
    others = [one for one in scope.rules if SegmentRule(one) != rule]
    problems = _problems(scope, others)
    others = [other for other in others if other not in problems]
    query = memberships_query([rule, *map(SegmentRule, others)], scope, ["customer_id"])
    sums = ", ".join(f"count(case when m0 and m{place} then 1 end) as n{place}" for place in range(len(others) + 1))
    [row] = records(_query_visible(view, query, sums, only))
    total, *counts = row.values()
    listed = [Overlap(one, n, n / total) for one, n in zip(others, counts, strict=True) if n]
    return tuple(sorted(listed, key=lambda one: (-one.customer_count, one.name)))


def _totals(
    view: Snapshot,
    scope: SegmentScope,
    rules: Sequence[Rule],
    groups: Mapping[str, str],
    only: pa.Table | None,
) -> dict[str, SegmentTotals]:
    """Totals of groups of customers, each a condition over m0, m1 ..."""
    query = memberships_query(rules, scope, ["customer_id", "value", "churn_probability"])
    columns = [
        f"""count(case when {condition} then 1 end) as n_{group},
  {exact_sum(f"case when {condition} then value end")} as value_{group},
  {exact_sum(f"case when {condition} then churn_probability end")}
    / nullif(count(case when {condition} then churn_probability end), 0) as churn_{group}"""
        for group, condition in groups.items()
    ]
    [row] = records(_query_visible(view, query, ", ".join(columns), only))
    return {group: SegmentTotals(*(row[f"{of}_{group}"] for of in ("n", "value", "churn"))) for group in groups}


def _query_visible(view: Snapshot, query: SegmentQuery, columns: str, only: pa.Table | None) -> pa.Table:
    """Columns over members, or over those of them whom a reader sees."""
    if only is None:
        return query_members(view, query, f"select {columns} from members")
    return query_members(view, query, f"select {columns} from members where {VISIBLE}", visible=only)


def _moves(view: Snapshot, name: str, since: datetime, only: pa.Table | None) -> tuple[int, int]:
    """Stays in a segment that began, and that ended, since a time."""
    sql = """
select count(case when entered_at >= $since then 1 end) as entered,
  count(case when left_at >= $since then 1 end) as gone
from segment_members where segment = $segment"""
    sql, tables = (sql, {}) if only is None else (f"{sql} and {VISIBLE}", {"visible": only})
    [row] = records(view.query(sql, {"since": since, "segment": name}, **tables))
    return row["entered"], row["gone"]


def _moves_of_run(view: Snapshot, only: pa.Table | None) -> dict[str, tuple[int, int]]:
    """Stays that the last run began, and that it ended, by segment."""
    condition, tables = ("", {}) if only is None else (f" and {VISIBLE}", {"visible": only})
    sql = f"""
select segment, count(case when entered_at = $at then 1 end) as entered,
  count(case when left_at = $at then 1 end) as gone
from segment_members where (entered_at = $at or left_at = $at){condition} group by segment"""
    rows = records(view.query(sql, {"at": view.run.as_of}, **tables))
    return {row["segment"]: (row["entered"], row["gone"]) for row in rows}
