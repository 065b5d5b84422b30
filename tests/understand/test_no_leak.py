"""The promise of point-in-time: what was not known at the cutoff changes no feature."""

# ruff: noqa: S106 - tokens of made-up people are no passwords

import math
from hashlib import md5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron.understand.features import EVERY_FAMILY
from patron.understand.features.feature_family import CUTOFFS

CUTOFF = 20
KNOWN_BEFORE = "f.known_at < m.as_of"
READ_BY_FEATURES = ("identities", "traits", "products", "order_lines", "orders", "interactions")
PRODUCTS = ("p1", "p2", "p3")

days = st.integers(0, 39).map(lambda hours: hours / 2 + 0.25)
tokens = st.sampled_from(
    [
        {"user_token": "u1"},
        {"user_token": "u2"},
        {"anonymous_token": "a"},
        {"anonymous_token": "b"},
        {"user_token": "u1", "anonymous_token": "a"},
        {"user_token": "u2", "anonymous_token": "a"},
        {"user_token": "u2", "anonymous_token": "b"},
        {"user_token": "u3"},
    ]
)
contacts = st.fixed_dictionaries(
    {}, optional={"email_token": st.sampled_from(["m", "n"]), "phone_token": st.sampled_from(["f", "g"])}
)
previous = st.sampled_from(["u1", "u2", "u3"])
cents = st.integers(0, 900)
items = st.lists(
    st.fixed_dictionaries(
        {"product_id": st.sampled_from(PRODUCTS)},
        optional={"price_cents": cents, "quantity": st.integers(0, 3), "category": st.sampled_from(["x", "y"])},
    ),
    max_size=3,
)
order_ids = st.sampled_from(["o1", "o2", "o3"])
KINDS = ("Product Viewed", "Product Added", "Products Searched", "Message Sent", "Message Opened", "Product Reviewed")
bodies = st.one_of(
    st.fixed_dictionaries(
        {"name": st.just("Order Completed"), "order_id": order_ids, "products": items},
        optional={"discount_cents": cents, "revenue_cents": cents, "channel": st.sampled_from(["web", "app"])},
    ),
    st.fixed_dictionaries(
        {"name": st.just("Order Line Completed"), "order_id": order_ids, "product_id": st.sampled_from(PRODUCTS)},
        optional={"price_cents": cents, "quantity": st.integers(0, 3), "coupon": st.just("c"), "device": st.just("d")},
    ),
    st.fixed_dictionaries(
        {"name": st.sampled_from(["Order Refunded", "Order Cancelled"]), "order_id": order_ids},
        optional={"products": items, "total_cents": cents},
    ),
    st.fixed_dictionaries(
        {"name": st.just("Order Line Refunded"), "order_id": order_ids, "product_id": st.sampled_from(PRODUCTS)},
        optional={"price_cents": cents, "quantity": st.integers(0, 3)},
    ),
    st.fixed_dictionaries(
        {"name": st.just("Product Updated"), "product_id": st.sampled_from(PRODUCTS)},
        optional={"category": st.sampled_from(["x", "y", "z"]), "brand": st.sampled_from(["b1", "b2"])},
    ),
    st.fixed_dictionaries(
        {"name": st.just("Identify"), "traits": st.sampled_from(['{"income":"low"}', '{"income":"high"}'])}
    ),
    st.fixed_dictionaries(
        {"name": st.sampled_from(KINDS)}, optional={"product_id": st.sampled_from(PRODUCTS), "rating": st.just(4.0)}
    ),
)
links = st.one_of(
    contacts.map(lambda contact: {"name": "Identify", **contact}),
    st.fixed_dictionaries({"name": st.just("Alias"), "previous_token": previous}),
    st.just({"name": "Identity Unlinked"}),
)
delays = st.sampled_from([0, 0, 0, 0, 2, 9, 30])
story_bodies = st.lists(st.tuples(bodies, tokens, days, delays), min_size=3, max_size=22)
story_links = st.lists(st.tuples(links, tokens, days, delays), max_size=8)
stories = st.tuples(story_bodies, story_links).map(lambda both: both[0] + both[1])
IDS = ("user_token", "anonymous_token", "email_token", "phone_token", "previous_token", "order_id", "product_id")
STORIES_AT_ONCE = 6
"""How many stories of other people, orders and products share the tables: a query costs the same for all of them."""


def story_events(pipeline, place, story):
    """Each event with its own id; some become known long after they occurred."""
    return [
        pipeline.event(f"{place}/e{number}", at=at, known=at + delay, **in_story(place, body), **in_story(place, who))
        for number, (body, who, at, delay) in enumerate(story)
    ]


def in_story(place, fields):
    """Fields of an event with ids that no other story has."""
    named = {name: f"{place}/{value}" if name in IDS else value for name, value in fields.items()}
    if "products" in named:
        named["products"] = [in_story(place, item) for item in named["products"]]
    return named


def same(one, other):
    return one == other or (isinstance(one, float) and isinstance(other, float) and math.isclose(one, other))


def features_at_cutoff(pipeline, tables):
    return {row["customer_id"]: row for row in pipeline.features(tables, [CUTOFF])}


def is_undone_later(pipeline, event):
    """Whether the event undoes a link after the cutoff: a correction, which is meant to change what was believed."""
    return event["name"] == "Identity Unlinked" and event["known_at"] >= pipeline.day(CUTOFF)


def merged_after_cutoff(pipeline, identities):
    """Customers of the cutoff who later proved to be a person known for longer."""
    rows = [row for row in identities.to_pylist() if row["is_user"] and row["rule"] == "alias"]
    return {
        md5(row["token"].encode(), usedforsecurity=False).hexdigest()
        for row in rows
        if row["known_at"] >= pipeline.day(CUTOFF)
    }


def changed_features(pipeline, events):
    """Features of each customer at the cutoff that differ by what became known later, and all of them."""
    events = [event for event in events if not is_undone_later(pipeline, event)]
    known = [event for event in events if event["known_at"] < pipeline.day(CUTOFF)]
    before = features_at_cutoff(pipeline, pipeline.facts(known, as_of=CUTOFF, names=READ_BY_FEATURES))
    tables = pipeline.facts(events, as_of=100, names=READ_BY_FEATURES)
    after = features_at_cutoff(pipeline, tables)
    assert before.keys() - after.keys() == before.keys() & merged_after_cutoff(pipeline, tables["identities"])
    assert after.keys() <= before.keys()
    before = {customer: row for customer, row in before.items() if customer in after}
    differ = {
        (customer, name): (value, after[customer][name])
        for customer, row in before.items()
        for name, value in row.items()
        if not same(value, after[customer][name])
    }
    return differ, before.keys()


def customers_of(place, story):
    """Customers that the people of a story may be."""
    tokens = {f"{place}/{who[name]}" for _, who, *_ in story for name in who}
    return {md5(token.encode(), usedforsecurity=False).hexdigest() for token in tokens}


def test_what_was_not_known_at_the_cutoff_changes_no_feature(pipeline):
    has_customers = []

    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(st.lists(stories, min_size=STORIES_AT_ONCE, max_size=STORIES_AT_ONCE))
    def check(batch):
        events = [event for place, story in enumerate(batch) for event in story_events(pipeline, place, story)]
        differ, customers = changed_features(pipeline, events)
        has_customers.extend(bool(customers & customers_of(*one)) for one in enumerate(batch))
        assert not differ

    check()
    assert sum(has_customers) > 0.6 * len(has_customers)
    assert len(has_customers) >= 30


def all_kinds(pipeline, number, at, known):
    """One event of every kind that features look at, of user u."""
    e, who = pipeline.event, {"user_token": "u", "channel": f"c{number}", "device": f"d{number}"}
    product = {"product_id": f"p{number}", "category": f"k{number}", "brand": f"b{number}"}
    bodies = [
        ("Order Line Completed", {"order_id": f"o{number}", "price_cents": 700, **product}),
        ("Product Viewed", product),
        ("Message Sent", {}),
        ("Identify", {"traits": f'{{"income":"i{number}"}}'}),
    ]
    return [
        e(f"{number}/{name}", name, at + place / 100, known=known + place / 100, **who, **more)
        for place, (name, more) in enumerate(bodies)
    ]


@pytest.fixture(scope="module")
def late(pipeline):
    """Tables in which some facts of every kind became known after the cutoff, and the cutoff itself."""
    events = all_kinds(pipeline, 1, 1.1, 1.1) + all_kinds(pipeline, 2, 8.6, 25) + all_kinds(pipeline, 3, 12.9, 26)
    differ, customers = changed_features(pipeline, events)
    assert (differ, len(customers)) == ({}, 1)
    tables = pipeline.facts(events, as_of=100, names=READ_BY_FEATURES)
    return {**tables, CUTOFFS: pipeline.windowed(tables, [CUTOFF])}


@pytest.mark.parametrize("family", EVERY_FAMILY, ids=lambda family: family.name)
def test_a_family_that_looks_ahead_would_be_caught(pipeline, family, late):
    sql = family.sql("'UTC'")
    assert KNOWN_BEFORE in sql
    leaking = pipeline.duck.query(sql.replace(KNOWN_BEFORE, "true"), late)
    assert leaking.to_pylist() != pipeline.duck.query(sql, late).to_pylist()


def test_a_link_a_catalogue_row_and_a_refund_count_only_once_known(pipeline):
    events = [
        pipeline.event("view", "Product Viewed", 1, anonymous_token="a", product_id="p1"),
        pipeline.event("buy", "Order Line Completed", 2, order_id="o", product_id="p1", price_cents=100),
        pipeline.event("link", "Identify", 5, user_token="u", anonymous_token="a"),
        pipeline.event("catalogue", "Product Updated", 1, known=7, product_id="p1", category="toys"),
        pipeline.event("refund", "Order Refunded", 3, known=9, order_id="o"),
    ]
    rows = pipeline.features(pipeline.facts(events), [5, 6, 8, 10])
    views, favourites, paid = ("view_count_30_days", "favourite_category", "paid_cents_lifetime")
    assert [row[views] for row in rows] == [0, 1, 1, 1]
    assert [row[favourites] for row in rows] == [None, None, "toys", "toys"]
    assert [row[paid] for row in rows] == [100, 100, 100, 0]


def test_a_fact_known_exactly_at_the_cutoff_is_not_known_before_it(pipeline):
    events = [
        pipeline.event("one", "Order Line Completed", 1, order_id="o1", price_cents=100),
        pipeline.event("two", "Order Line Completed", 2, order_id="o2", price_cents=100),
    ]
    rows = pipeline.features(pipeline.facts(events), [2, 2 + 1e-6])
    assert [row["order_count_lifetime"] for row in rows] == [1, 2]
