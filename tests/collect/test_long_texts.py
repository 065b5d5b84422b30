"""What a visitor may send takes time in proportion to its length, whatever it is made of."""

import json
import time
from datetime import UTC, datetime

import pytest

from patron.collect.contact_tokens import contacts_of
from patron.collect.request import SourceRules, validate_message
from patron.govern.customers.contact_values import contacts_in

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WIDE = SourceRules(longest_event_bytes=1_000_000, needs_secret=frozenset(), is_secret=False)
SHORT, LONG = 8_000, 32_000
MAX_COUNT = 9.0
"""Four times the length takes four times as long, sixteen times where the work grows by its square."""
UNITS = ["a", "9", "a.", "a@", "@", "a@b", "+", "+1(", "+1", " 1", "\\", "-", "A", "é", "a@a..", "{"]


def validate(text):
    base = {"type": "track", "event": "Product Viewed", "messageId": "m", "userId": "u"}
    fields = {"properties": {"product_id": "p1", "other": text, text: "x", "deep": {"in": [text]}}}
    validate_message(json.dumps(base | fields | {"traits": {"nick": text}}).encode(), NOW, WIDE, {})
    validate_message(
        json.dumps(base | {"type": "identify", "timestamp": text, "traits": {"nick": text}}).encode(), NOW, WIDE, {}
    )
    validate_message(json.dumps(base | {"properties": {"product_id": "p1", "price": text}}).encode(), NOW, WIDE, {})


def contacts(text):
    for one in (text, f"a@{text} x", f"a@{text}@"):
        personal = json.dumps({"email": one, "phone": one})
        contacts_of(personal)
        list(contacts_in(personal))


def seconds(work, text):
    """Least time of five tries, seconds of this process."""
    tries = []
    for _ in range(5):
        since = time.process_time()
        work(text)
        tries.append(time.process_time() - since)
    return min(tries)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("work", [validate, contacts])
def test_a_text_four_times_as_long_takes_about_four_times_as_long(work, unit):
    short, long = ((unit * size)[:size] for size in (SHORT, LONG))
    assert seconds(work, long) < MAX_COUNT * max(seconds(work, short), 0.001)


def test_a_long_key_is_not_repeated_for_each_value_below_it():
    base = {"type": "track", "event": "Product Viewed", "messageId": "m", "userId": "u"}
    size = 16_000
    properties = {"product_id": "p1", "k" * size: ["two words"] * (size // 12)}
    row = validate_message(json.dumps(base | {"properties": properties}).encode(), NOW, WIDE, {}).row
    assert len(row["texts"]) < 3 * size
    assert "two words" in row["texts"]
