"""Members of segments, computed from the tables of a run and the events: what stages, answers and commands share."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.errors import BadSegment
from patron.schema.events import ALIASES, BY_NAME, OF_PRODUCTS
from patron.schema.privacy.personal_keys import PLAIN
from patron.schema.tables import SEGMENT_FIELDS
from patron.segments.segment_fields import FIELDS, FORECASTS, feature_fields, fields_query
from patron.segments.segment_parser import parse_rule
from patron.segments.segment_rules import KnownNames, Rule, SegmentField, SegmentRule
from patron.segments.segment_sql import SegmentQuery, SegmentScope, segment_query
from patron.storage.customers.customer_tags import tagged_customers
from patron.storage.engine import literal
from patron.storage.models.missing_forecasts import missing_forecasts
from patron.storage.offers.policy import PROFILING
from patron.storage.segments.segment_definitions import definitions, no_segment
from patron.storage.shop import Snapshot
from patron.storage.store.store import Store

if TYPE_CHECKING:
    from patron.storage.outreach.approved_terms import SegmentTriggerTerms
    from patron.storage.runs.stage_view import StageView

COMPUTED_FIELDS = "computed_segment_fields"
"""The query that stands for `segment_fields` where a run wrote none, as those of earlier versions."""


def member_ids(snapshot: Snapshot, name: str, *, at: datetime | None = None) -> pa.Table:
    """Customers (`customer_id`, sorted) whom the newest rule of a segment selects.

    Features, forecasts, orders and consents are those of the run; events count until `at`, by default the run's cutoff.
    Tags are those of now.
    Raises NotFound, BadSegment for a rule that names what the run does not have.
    """
    scope = snapshot_scope(snapshot, at=at)
    if name not in scope.rules:
        raise no_segment(name, scope.rules)
    query = segment_query(SegmentRule(name), scope)
    return query_members(snapshot, query, "select customer_id from members order by customer_id")


def without_members(snapshot: Snapshot, customers: pa.Table, segments: Iterable[str]) -> pa.Table:
    """Customers (`customer_id`) who are in none of some segments. Raises as `member_ids`."""
    for name in segments:
        others = member_ids(snapshot, name)["customer_id"].combine_chunks()
        customers = customers.filter(pc.invert(pc.is_in(customers["customer_id"], value_set=others)))
    return customers


def count(snapshot: Snapshot, rule: Rule, *, at: datetime | None = None) -> int:
    """How many customers a rule selects; of a saved segment it is SegmentRule(name). Raises BadSegment."""
    query = segment_query(rule, snapshot_scope(snapshot, at=at))
    return query_members(snapshot, query, "select count(*) as n from members")["n"][0].as_py()


def snapshot_scope(snapshot: Snapshot, *, at: datetime | None = None) -> SegmentScope:
    """What rules are compiled for in a completed run, with the newest rules of all segments, or the approved ones."""
    rules = snapshot.shop.segment_rules
    if rules is None:
        rules = {name: one.rule for name, one in definitions(snapshot.store).items()}
    fields_table = SEGMENT_FIELDS.name if _has_fields(snapshot) else COMPUTED_FIELDS
    return _scope(snapshot, rules, at or snapshot.run.as_of, fields_table)


def stage_scope(view: "StageView") -> SegmentScope:
    """What rules are compiled for within a run that wrote its `segment_fields`."""
    return _scope(view, {name: one.rule for name, one in view.segments.items()}, view.run.as_of, SEGMENT_FIELDS.name)


def trigger_scope(view: "StageView", trigger: "SegmentTriggerTerms") -> SegmentScope:
    """The same with the rules that were approved with a journey."""
    return replace(stage_scope(view), rules=trigger.rules, purpose_of=trigger.consent.purpose)


def _scope(view: "Snapshot | StageView", rules: Mapping[str, Rule], at: datetime, fields_table: str) -> SegmentScope:
    run, purpose_of = view.run, view.policy.consent.purpose
    return SegmentScope(
        run.run_id,
        run.as_of,
        at=at,
        features=run_features(view),
        rules=rules,
        purpose_of=purpose_of,
        fields_table=fields_table,
    )


def run_features(view: "Snapshot | StageView") -> Mapping[str, SegmentField]:
    """Features that a rule may name in a run."""
    return feature_fields(view.query("select * from features limit 0").schema)


def query_members(snapshot: Snapshot, query: SegmentQuery, sql: str, **tables: pa.Table) -> pa.Table:
    """Run SQL over `members`, the rows of a segment's query, and over tables of the run; tags are those of now."""
    clauses = [f"members as ({query.sql})"]
    if COMPUTED_FIELDS in query.sql:
        missing = {one.question for one in missing_forecasts(snapshot)}
        answered = [question for question in FORECASTS if question not in missing]
        profiling = literal(snapshot.policy.consent.purpose(PROFILING))
        computed = fields_query(answered, run_id=literal(snapshot.run.run_id), profiling=profiling)
        clauses.insert(0, f"{COMPUTED_FIELDS} as ({computed})")
    tagged = tagged_customers(snapshot.store, query.tags)
    return snapshot.query(f"with {', '.join(clauses)}\n{sql}", query.parameters, **tables, **tagged)


def _has_fields(snapshot: Snapshot) -> bool:
    if snapshot.table_version(SEGMENT_FIELDS.name) is None:
        return False
    chosen = f"select run_id from {SEGMENT_FIELDS.name} where run_id = $run_id limit 1"
    return snapshot.query(chosen, {"run_id": snapshot.run.run_id}).num_rows > 0


def read_rule(content: object, snapshot: Snapshot | None, store: Store, *, where: str = "rule") -> Rule:
    """A rule from its content, checked against what the last run left. Raises BadSegment with all that is wrong."""
    try:
        return parse_rule(content, known_names(snapshot, store), where=where)
    except BadSegment:
        if snapshot is None:
            raise
        # why: names of the shop's other events take reading them all, which a rule rarely needs
        return parse_rule(content, known_names(snapshot, store, with_other_events=True), where=where)


def known_names(snapshot: Snapshot | None, store: Store, *, with_other_events: bool = False) -> KnownNames:
    """Names that a rule may mention, as the last run left the shop; before any run, those that every run has.

    Events are those of the catalogue, and with others all that ever came.
    """
    fields, events = dict(FIELDS), set(BY_NAME) | set(ALIASES)
    if snapshot is not None:
        fields |= run_features(snapshot)
        if with_other_events:
            events |= set(snapshot.query("select distinct name from events")["name"].to_pylist())
    return KnownNames(fields, frozenset(PLAIN), frozenset(events - set(OF_PRODUCTS)), frozenset(definitions(store)))
