"""What nobody classed and may name somebody does not reach the lake."""

import json

from patron.collect.segment_message import raw_event_of

MESSAGE = {
    "type": "track",
    "messageId": "m1",
    "userId": "u1",
    "timestamp": "2024-01-01T00:00:00Z",
    "event": "Order Completed",
    "properties": {
        "order_id": "o1",
        "revenue": 10,
        "store": "berlin",
        "customer": {"name": "Alice"},
        "shipping_to": {"address1": "1 Main St", "tel": "0171 1234567"},
        "gift_note": "Dear Bob",
    },
}


def test_names_addresses_and_notes_under_keys_nobody_classed_go_to_the_vault():
    row = raw_event_of(MESSAGE)
    kept = row["properties"] or ""
    for secret in ("Alice", "Main", "0171", "Bob"):
        assert secret not in kept
        assert secret in (row["personal"] or "") + (row["texts"] or "")
    assert json.loads(kept)["store"] == "berlin"
