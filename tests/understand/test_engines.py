"""Every query of facts and features gives the same on DuckDB and on Spark."""

import math

import pytest

from patron.schema.tables import IDENTITY_CHANGES
from patron.understand.facts import FACTS
from patron.understand.facts.aliases import aliases
from patron.understand.facts.identity_changes import identity_changes
from patron.understand.facts.later_refunds import later_refunds
from patron.understand.facts.usable_events import Scope
from patron.understand.features import EVERY_FAMILY, OF_PROSPECTS
from patron.understand.features.feature_family import CUTOFFS
from patron.understand.prospects import KNOWN_SINCE_SQL, with_age_sql

# ruff: noqa: S106 - tokens of made-up people are no passwords

ZONE = "America/New_York"
pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]  # it takes long to start
PLAN = [
    f'{{"promotion_id":"x","starts_at":"2024-01-20","ends_at":"2024-01-27T00:00:00Z",{more}}}'
    for more in ('"sale_price":"4.5"', '"percent_off":"10","kind":"leaflet"')
]
TERMS = [f'{{"contract_id":"c","ends_at":"{end}"}}' for end in ("2024-01-21T00:00:00+01:00", "2024-03-01")]
BIG = [{"product_id": f"big{n}", "price_cents": 10**12 // n, "quantity": 1} for n in (1, 2, 3)]


def small_shop(pipeline):
    """Two known customers and a visitor: every kind of event that facts read."""
    item = {"product_id": "p1", "price_cents": 333, "quantity": 3}
    e = pipeline.event
    return [
        e("v1", "Product Viewed", 1, anonymous_token="a", product_id="p1", channel="web", device="mobile"),
        e("v2", "Products Searched", 1.01, anonymous_token="a"),
        e("v3", "Product Added", 1.02, user_token="u", anonymous_token="a", product_id="p1"),
        e("v4", "Product Viewed", 2, anonymous_token="b", product_id="p2"),
        e("o1", "Order Completed", 1.03, order_id="o1", discount_cents=100, products=[item, {"product_id": "p2"}]),
        e("o2", "Order Completed", 1.04, order_id="o1", revenue_cents=5),
        e("o3", "Order Completed", 4, revenue_cents=1234, currency="EUR", coupon="x", channel="app"),
        e("l1", "Order Line Completed", 9, order_id="o4", product_id="p1", price_cents=500, quantity=2, category="c"),
        e("l2", "Order Line Completed", 16.9, order_id="o5", product_id="p2", price_cents=70, user_token="w"),
        e("o6", "Order Completed", 17, order_id="o6", total_cents=900, tax_cents=50, products=[{"product_id": "p3"}]),
        e("r1", "Order Refunded", 5, order_id="o1", products=[{"product_id": "p1", "quantity": 1}]),
        e("r2", "Order Cancelled", 10, order_id="o4"),
        e("r3", "Order Line Refunded", 11, order_id="zz", product_id="p1", price_cents=10, quantity=2),
        e("r4", "Order Line Refunded", 18, order_id="o5", product_id="p2", user_token="w"),
        e("r5", "Order Refunded", 19, order_id="o6", total_cents=100, properties='{"is_so_far":"true"}'),
        e("r6", "Order Refunded", 20, order_id="o6", total_cents=250, properties='{"is_so_far":"true"}'),
        e("big", "Order Completed", 21, order_id="big", discount_cents=10**12 - 7, products=BIG),
        e("c1", "Product Updated", 3, known=6, product_id="p1", category="toys", brand="b", price_cents=350),
        e("s1", "Promotion Scheduled", 3, product_id="p1", price_cents=500, properties=PLAN[0]),
        e("s2", "Promotion Scheduled", 9, product_id="p1", properties=PLAN[1]),
        e("t1", "Identify", 2, traits='{"income":"low","household_size":2}'),
        e("m1", "Message Sent", 12),
        e("m2", "Product Reviewed", 13, product_id="p1", rating=4.0, flags=["no_time", "bot"]),
        e("i1", "Alias", 14, user_token="w", previous_token="u"),
        e("i2", "Identify", 15, user_token="x", email_token="m", phone_token="n"),
        e("i3", "Identify", 16, anonymous_token="b", email_token="m"),
        e("k1", "Contract Started", 3, price_cents=999, currency="EUR", properties=TERMS[0]),
        e("k2", "Contract Started", 20, properties=TERMS[1]),
        e("k3", "Contract Started", 20, properties='{"contract_id":"c","ends_at":"soon"}'),
        e("k4", "Contract Cancelled", 21, known=25, properties='{"contract_id":"c"}'),
        e("i4", "Identity Unlinked", 22, anonymous_token="a"),
    ]


def rows_of(table):
    """Rows as comparable text, numbers rounded to nine digits."""

    def plain(value):
        return f"{value:.9g}" if isinstance(value, float) and math.isfinite(value) else str(value)

    return sorted(tuple(plain(row[name]) for name in sorted(row)) for row in table.to_pylist())


@pytest.fixture(scope="module")
def tables(pipeline):
    fact_tables = pipeline.facts(small_shop(pipeline), zone=ZONE)
    return {
        **fact_tables,
        CUTOFFS: pipeline.windowed(fact_tables, [8, 20], ZONE),
        "identity_changes": IDENTITY_CHANGES.empty(),
    }


@pytest.fixture(scope="module")
def on_spark(spark, tables):
    """Spark with the tables registered once."""
    spark.query("select 1 as one", tables)
    return spark


@pytest.mark.parametrize("name", FACTS)
def test_facts_are_the_same_on_both_engines(name, tables, pipeline, on_spark):
    sql = FACTS[name](Scope(pipeline.day(1000), ZONE))
    assert rows_of(on_spark.query(sql)) == rows_of(pipeline.duck.query(sql, tables))


def test_later_refunds_are_the_same_on_both_engines(tables, pipeline, on_spark):
    sql = later_refunds(Scope(pipeline.day(8), ZONE))
    expected = rows_of(pipeline.duck.query(sql, tables))
    assert expected
    assert rows_of(on_spark.query(sql)) == expected


def test_identities_are_the_same_on_both_engines(tables, pipeline, on_spark):
    for sql in (aliases(Scope(pipeline.day(1000), ZONE)), identity_changes("t")):
        expected = rows_of(pipeline.duck.query(sql, tables))
        assert expected
        assert rows_of(on_spark.query(sql)) == expected


@pytest.mark.parametrize("family", EVERY_FAMILY, ids=lambda family: family.name)
def test_features_are_the_same_on_both_engines(family, tables, pipeline, on_spark):
    sql = family.sql(f"'{ZONE}'")
    assert rows_of(on_spark.query(sql)) == rows_of(pipeline.duck.query(sql, tables))


def test_prospects_are_the_same_on_both_engines(tables, pipeline, on_spark, spark):
    people = pipeline.duck.query(KNOWN_SINCE_SQL, tables)
    assert people.num_rows > 1
    assert rows_of(on_spark.query(KNOWN_SINCE_SQL)) == rows_of(people)
    prospects = pipeline.duck.query(
        f"select m.customer_id, k.known_since, m.as_of from {CUTOFFS} m join k using (customer_id)",
        {CUTOFFS: tables[CUTOFFS], "k": people},
    )
    families = {f"family_{one.name}": pipeline.duck.query(one.sql(f"'{ZONE}'"), tables) for one in OF_PROSPECTS}
    inputs = {CUTOFFS: tables[CUTOFFS], "prospects": prospects, **families}
    expected = pipeline.duck.query(with_age_sql(), inputs)
    assert expected.num_rows == prospects.num_rows
    assert rows_of(spark.query(with_age_sql(), inputs)) == rows_of(expected)
