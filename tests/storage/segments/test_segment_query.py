"""Rules as SQL: the members of a plain evaluator, the algebra of sets, nested segments, and no value in the SQL."""

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.shops.segment_shop import (
    FIRST_CUTOFF,
    NESTED,
    SEGMENTS,
    TAGS,
    TEXTS,
    finish_run,
    holds,
    trees,
    world_at,
    write_world,
)

from patron.schema.errors import BadSegment, NotFound
from patron.segments.segment_rules import AllOf, AnyOf, Comparison, EventRule, FieldRule, Not, SegmentRule, TagRule
from patron.segments.segment_sql import SegmentScope, memberships_query, segment_query
from patron.storage.customers.customer_tables import CUSTOMER_TAGS
from patron.storage.runs.last_run import last_run
from patron.storage.segments.segment_definitions import save_definition
from patron.storage.segments.segment_query import COMPUTED_FIELDS, count, member_ids, query_members, snapshot_scope
from patron.storage.shop import Shop
from patron.storage.spark_engine import to_spark

WORLD = world_at(FIRST_CUTOFF, seed=7)


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    shop = Shop.create(tmp_path_factory.mktemp("segments") / "w")
    finish_run(shop, write_world(shop, WORLD))
    yield last_run(shop)
    shop.close()


def scope_of(view, rules, fields_table="segment_fields") -> SegmentScope:
    scope = snapshot_scope(view)
    return SegmentScope(scope.run_id, scope.as_of, scope.at, scope.features, rules, scope.purpose_of, fields_table)


def members(view, wanted, rules, fields_table="segment_fields") -> list[set[str]]:
    """Members of each rule, all by one query."""
    query = memberships_query(wanted, scope_of(view, rules, fields_table), ["customer_id"])
    rows = query_members(view, query, "select * from members").to_pylist()
    return [{row["customer_id"] for row in rows if row[f"m{place}"]} for place in range(len(wanted))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=NESTED, second=NESTED, nested=st.tuples(trees(), trees()))
def test_members_are_those_of_a_plain_evaluator_and_sets_have_their_algebra(view, first, second, nested):
    rules = dict(zip(SEGMENTS, nested, strict=True))
    both, either = AllOf((first, second)), AnyOf((first, second))
    derived = [Not(first), AllOf((first, Not(first))), Not(both), AnyOf((Not(first), Not(second))), Not(either),
               AllOf((Not(first), Not(second)))]  # fmt: skip
    everybody = WORLD.customers.keys()
    a, b, not_a, nothing, *de_morgan = members(view, [first, second, *derived], rules)
    for rule, selected in ((first, a), (second, b)):
        assert selected == {who for who, one in WORLD.customers.items() if holds(rule, one, WORLD.as_of, rules)}
    assert not_a == everybody - a
    assert nothing == set()
    assert de_morgan[0] == de_morgan[1] == everybody - (a & b)
    assert de_morgan[2] == de_morgan[3] == everybody - (a | b)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule=trees())
def test_a_run_of_an_earlier_version_is_read_alike(view, rule):
    assert members(view, [rule], {}, COMPUTED_FIELDS) == members(view, [rule], {})


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule=trees())
def test_values_are_parameters_and_the_sql_is_portable(view, rule):
    query = segment_query(rule, scope_of(view, {}))
    texts = {text for values in TEXTS.values() for text in values if text not in {"new", "active"}}
    assert not [text for text in texts if text in query.sql]
    spark = to_spark(query.sql)
    assert all(f":{name}" in spark for name in query.parameters)


def test_unknown_values_are_in_neither_comparison():
    below, above = (FieldRule("value", Comparison(op, 500)) for op in ("<", ">="))
    unknown = {who for who, one in WORLD.customers.items() if one["value"] is None}
    assert unknown
    for who in unknown:
        assert not holds(AnyOf((below, above)), WORLD.customers[who], WORLD.as_of, {})


def test_events_count_until_the_time_that_is_named(view):
    rule = EventRule("Product Viewed", within_days=1)
    assert count(view, rule, at=WORLD.as_of) == sum(
        holds(rule, customer, WORLD.as_of, {}) for customer in WORLD.customers.values()
    )
    assert count(view, EventRule("Product Viewed"), at=FIRST_CUTOFF.replace(year=2020)) == 0


def test_tags_are_those_of_now(tmp_path):
    shop = Shop.create(tmp_path / "w")
    finish_run(shop, write_world(shop, WORLD))
    snapshot, rule = last_run(shop), AllOf((TagRule(("VIP",)), Not(TagRule(("press",)))))
    before = count(snapshot, rule)
    assert before == sum(
        customer["tags"] == {"VIP"} or customer["tags"] == {"VIP", TAGS[2]} for customer in WORLD.customers.values()
    )
    untagged = next(who for who, one in WORLD.customers.items() if not one["tags"])
    row = {"customer_id": untagged, "tag": "VIP", "added_at": WORLD.as_of, "added_by": "t"}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(CUSTOMER_TAGS).values(row))
    assert count(snapshot, rule) == before + 1
    assert untagged in member_ids_of(snapshot, rule)
    shop.close()


def member_ids_of(snapshot, rule) -> set[str]:
    [ids] = members(snapshot, [rule], {})
    return ids


def test_segments_that_contain_each_other_are_refused_with_the_path(view):
    rules = {"x": SegmentRule("y"), "y": Not(SegmentRule("z")), "z": SegmentRule("y")}
    with pytest.raises(BadSegment, match="y -> z -> y"):
        segment_query(SegmentRule("x"), scope_of(view, rules))
    doubling = {f"s{n}": AllOf((SegmentRule(f"s{n + 1}"), SegmentRule(f"s{n + 1}"))) for n in range(40)}
    with pytest.raises(BadSegment, match="more than 2,000 conditions"):
        segment_query(SegmentRule("s0"), scope_of(view, doubling | {"s40": AllOf(())}))


def test_a_field_that_the_run_lacks_is_refused_by_name(view):
    with pytest.raises(BadSegment, match=r"no field 'days_since_last_oder'.*Did you mean days_since_last_order\?"):
        count(view, FieldRule("days_since_last_oder", Comparison(">", 3)))


def test_saved_members_are_sorted_and_an_unknown_segment_is_refused(view):
    with view.store.begin() as connection:
        save_definition(connection, "all", AllOf(()), saved_by="t", at=FIRST_CUTOFF)
    assert member_ids(view, "all")["customer_id"].to_pylist() == sorted(WORLD.customers)
    with pytest.raises(NotFound, match=r"no segment 'al'"):
        member_ids(view, "al")
