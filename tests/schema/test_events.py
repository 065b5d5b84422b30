from datetime import UTC, datetime

import msgspec
import pytest

from patron.collect.segment_message import raw_event_of, read_message
from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.errors import BadEvent
from patron.schema.events import ALIASES, BY_NAME, EVENTS, properties_of
from patron.schema.privacy.personal_keys import kind_of_property, kind_of_trait

SAMPLE = {"text": "x", "amount": "19.90", "number": "4", "integer": "2", "any": ["x"]}
BASE = {"type": "track", "messageId": "m1", "userId": "u1", "timestamp": "2024-01-31T12:00:00Z"}


def sample(event) -> dict:
    properties = {p.name: SAMPLE[p.kind] for p in properties_of(event) if p.kind != "items"}
    if "products" in event.__struct_fields__:
        properties["products"] = [
            {"product_id": 7, "price": 1.005, "quantity": "3", "colour": "red", "url": "/p?u=ann"}
        ]
    return properties | ({"currency": "eur"} if "currency" in properties else {})


def track(name: str, /, **properties) -> dict:
    return raw_event_of({**BASE, "event": name, "properties": properties})


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_every_event_keeps_all_its_properties(event):
    row = track(event.event, **sample(event))
    assert row["name"] == event.event
    everything = msgspec.json.encode({k: v for k, v in row.items() if k != "occurred_at"}).decode()
    for property_ in properties_of(event):
        if property_.column and property_.kind == "amount":
            assert row[property_.column] == 1990
        elif property_.column == "quantity":
            assert row["quantity"] == 2
        elif property_.vault:
            assert property_.name in (row[property_.vault] or "")
        elif not property_.column:
            assert f"{property_.name}" in everything
    assert set(row) <= set(RAW_EVENTS.names)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_every_event_and_property_has_a_meaning(event):
    assert (event.__doc__ or "").strip().endswith(".")
    assert all(property_.meaning for property_ in properties_of(event))
    assert all(property_.column in RAW_EVENTS.names for property_ in properties_of(event) if property_.column)


def test_names_of_the_first_version_mean_the_same_events():
    assert all(new in BY_NAME for new in ALIASES.values())
    assert track("Viewed Product", product_id="p")["name"] == "Product Viewed"


def test_money_is_rounded_half_to_even_and_exactly():
    assert [track("Product Viewed", price=price)["price_cents"] for price in ("1.005", 1.015, "2.675", 19)] == [
        100,
        102,
        268,
        1900,
    ]


def test_a_rating_is_a_number_however_it_is_written():
    assert track("Product Reviewed", product_id="p", rating="5")["rating"] == 5.0


def test_refunds_are_stored_above_zero():
    assert track("Order Refunded", order_id="o", total="-5.00")["total_cents"] == 500


def test_personal_and_free_text_properties_never_stay_in_clear():
    row = track(
        "Checkout Started", order_id="o", customerEmail="ann@x.org", notes="call me", seen={"by": "bob@x.org", "n": 1}
    )
    assert "ann" in row["personal"]
    assert "call me" in row["texts"]
    assert row["properties"] == '{"seen":{"n":1}}'


def test_only_plain_traits_stay_in_clear():
    row = raw_event_of(
        {**BASE, "type": "identify", "traits": {"country": "DE", "age": 40, "email": "a@b.de", "shoe": 43}}
    )
    assert row["traits"] == '{"country":"DE"}'
    assert msgspec.json.decode(row["personal"]) == {"age": 40, "email": "a@b.de", "shoe": 43}


def test_rudder_traits_in_the_context_count():
    row = raw_event_of({**BASE, "type": "identify", "context": {"traits": {"country": "FR"}}})
    assert row["traits"] == '{"country":"FR"}'


def test_kinds_of_traits_and_properties():
    assert [kind_of_trait(t) for t in ("income", "maritalStatus", "First Name", "star_sign")] == [
        "plain",
        "sensitive",
        "identifying",
        "unknown",
    ]
    assert [kind_of_property(p) for p in ("colour", "billing_name", "review_body")] == [
        "plain",
        "identifying",
        "free_text",
    ]


def test_times_are_utc():
    row = raw_event_of({**BASE, "event": "Page", "timestamp": "2024-01-31T12:00:00+02:00"})
    assert row["occurred_at"] == datetime(2024, 1, 31, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"messageId": None}, "messageId: is missing"),
        ({"messageId": "x" * 101}, "longer than 100"),
        ({"timestamp": "yesterday"}, "timestamp: is not a valid time"),
        ({"userId": "null", "anonymousId": "000"}, "userId, anonymousId: stand for nobody"),
        ({"properties": {"price": "cheap"}}, "properties.price: is not a number"),
        ({"properties": {"price": "NaN"}}, "out of range"),
        ({"properties": {"quantity": -1}}, "properties.quantity: is below zero"),
        ({"properties": {"quantity": "1.5"}}, "whole number"),
        ({"type": "dance"}, "not a known type"),
        ({"properties": [1]}, "not a JSON object"),
    ],
)
def test_a_bad_message_is_rejected_with_what_where_and_what_to_do(change, message):
    with pytest.raises(BadEvent, match=message) as caught:
        raw_event_of({**BASE, "event": "Product Added", **change})
    assert caught.value.todo


def test_a_bad_product_of_a_list_is_named_by_its_place():
    with pytest.raises(BadEvent, match=r"products\[1\].price"):
        track("Order Completed", products=[{"price": 1}, {"price": "x"}])


def test_text_that_is_not_json_is_rejected():
    with pytest.raises(BadEvent, match="is not JSON"):
        read_message(b"{")
