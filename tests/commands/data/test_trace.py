import json
from datetime import UTC, datetime

import pytest

from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.commands.data.trace import trace
from patron.run import run_loop
from patron.schema.errors import NotFound

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


def send(shop, *messages):
    inbox = open_inbox(shop)
    inbox.append([validate_batch(json.dumps({"batch": list(messages)}).encode(), "web", NOW, OPEN)])
    inbox.close()


def event(event_id, name, **properties):
    return {"type": "track", "messageId": event_id, "event": name, "userId": "u1", "properties": properties}


def places(shop, event_id):
    return [step.place for step in trace(shop, event_id).steps]


def test_an_event_is_followed_from_the_inbox_to_what_was_made_of_it(shop):
    order = event("order-1", "Order Completed", order_id="o1", revenue=20, products=[{"product_id": "p", "price": 20}])
    send(shop, order, event("view-1", "Product Viewed", product_id="p"))
    assert places(shop, "order-1") == ["seen", "inbox"]
    drain_inbox(shop)
    assert places(shop, "order-1") == ["seen", "events"]
    run_loop(shop, datetime(2026, 3, 2, tzinfo=UTC))
    assert places(shop, "order-1") == ["seen", "events", "order_lines"]
    assert places(shop, "view-1") == ["seen", "events", "interactions"]
    line = next(step.what for step in trace(shop, "order-1").steps if step.place == "order_lines").split()[4]
    assert line.endswith("/order-1/1")
    assert trace(shop, line) == trace(shop, "order-1")
    assert trace(shop, "web/view-1") == trace(shop, "view-1"), "as the page of quality writes examples"
    for nobodys in ("web/order-1/9999", "order-1/1", "view-1/2"):
        with pytest.raises(NotFound):
            trace(shop, nobodys)


def test_a_dead_letter_says_why(shop):
    send(shop, event("bad-1", "Order Completed", order_id="o1", revenue="a lot"))
    drain_inbox(shop)
    (step,) = trace(shop, "bad-1").steps
    assert step.place == "dead_letters"
    assert "properties.revenue" in step.what


def test_an_event_that_never_arrived_is_not_found(shop):
    with pytest.raises(NotFound, match="no event has the id never-1"):
        trace(shop, "never-1")
