"""Events are counted by source and event with their warnings; dead letters can be replayed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from patron.answers.data.ingestion_status import ingestion_status
from patron.collect.inbox.workspace_inbox import collector_state, open_inbox
from patron.collect.request import source_rules, validate_batch
from patron.collect.tracking_plan import NO_PLAN
from patron.commands.data.import_files import replay
from patron.run import run_loop
from patron.schema.progress import silent
from patron.schema.tables import CLEANING, EVENTS, ORDERS
from patron.service.compaction_worker import CompactionWorker
from patron.service.customer_lookup import lookup_customer
from patron.storage.shop import Shop

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def message(event_id, event="Product Viewed", *, context=None, **properties):
    at = (NOW - timedelta(minutes=5)).isoformat()
    base = {"type": "track", "event": event, "messageId": event_id, "userId": "u1", "timestamp": at}
    return base | {"properties": properties, "context": context or {}}


def put(shop, *messages, source="web", at=NOW):
    rules = source_rules(shop, source, NO_PLAN, is_secret=True, is_history=False)
    with open_inbox(shop) as inbox:
        inbox.append([validate_batch(json.dumps({"batch": messages}).encode(), source, at, rules)])


def run_once(shop):
    worker = CompactionWorker(shop)
    worker.run_once()
    assert worker.trouble is None


def test_nothing_arrives_in_a_new_workspace(shop):
    found = ingestion_status(shop, collector_state(shop), now=NOW)
    assert (found.events, found.dead_letters, found.collector.counters) == ((), (), ())


def test_warnings_are_counted_by_source_and_event_and_old_events_are_left_out(shop):
    put(shop, message("old", "Page"), at=NOW - timedelta(days=40))
    put(shop, message("a"), message("b") | {"timestamp": None}, message("c", context={"userAgent": "Googlebot/2.1"}))
    put(shop, message("d"), message("e", "Own Event"), source="app")
    run_once(shop)
    found = {
        (one.source, one.name): (one.event_count, one.warning_counts)
        for one in ingestion_status(shop, collector_state(shop), now=NOW).events
    }
    assert found == {
        ("web", "Product Viewed"): (3, {"no_time": 1, "bot": 1}),
        ("app", "Product Viewed"): (1, {}),
        ("app", "Own Event"): (1, {}),
    }
    assert ingestion_status(shop, collector_state(shop), now=NOW).events[0].source == "web"


def test_dead_letters_are_counted_by_reason_and_leave_when_they_were_fixed(shop):
    put(
        shop, message("a", "Order Completed", order_id="o1", revenue=5, currency="CHF"), message("b") | {"userId": None}
    )
    run_once(shop)
    by_reason = {one.reason: one for one in ingestion_status(shop, collector_state(shop), now=NOW).dead_letters}
    assert {reason: (one.source, one.count) for reason, one in by_reason.items()} == {
        "unknown_currency": ("web", 1),
        "bad_event": ("web", 1),
    }
    assert "no rate for CHF" in by_reason["unknown_currency"].example
    settings = shop.folder / "patron.toml"
    text = settings.read_text(encoding="utf-8").replace("\n[rates]", "\n[rates]\nCHF = 1.1")
    settings.write_text(text, encoding="utf-8")
    fixed = Shop.open(shop.folder)
    assert replay(fixed, "live", mapping=None, progress=silent, now=datetime.now(UTC)).stored == 1
    assert [one.reason for one in ingestion_status(fixed, collector_state(fixed), now=NOW).dead_letters] == [
        "bad_event"
    ]
    fixed.close()


@pytest.fixture
def tested(shop):
    path = shop.folder / "patron.toml"
    text = path.read_text(encoding="utf-8").replace("[collect]", '[collect]\ntest_sources = ["staging"]')
    path.write_text(text, encoding="utf-8")
    return Shop.open(shop.folder)


def test_test_traffic_is_kept_and_used_for_nothing(tested):
    order = {"order_id": "o1", "revenue": 20}
    local = {"page": {"url": "http://localhost:3000/checkout?x=1"}}
    put(tested, message("s", "Order Completed", **order), source="staging")
    put(tested, message("l", context=local), message("real", "Order Completed", **order))
    assert lookup_customer(tested, "u1", now=NOW).live.event_count == 1
    run_once(tested)
    assert lookup_customer(tested, "u1", now=NOW).live.paid_cents == 2_000
    run_loop(tested, NOW + timedelta(minutes=1))
    assert tested.lake.read(ORDERS).num_rows == 1
    checks = {row["check_code"]: row for row in tested.lake.read(CLEANING).to_pylist()}
    assert (checks["test_traffic"]["row_count"], checks["test_traffic"]["treatment"]) == (2, "excluded")
    assert checks["second_event_of_an_order"]["row_count"] == 0
    tested.close()


def test_changed_settings_hold_for_later_messages_and_bad_ones_are_reported(shop):
    worker, path = CompactionWorker(shop), shop.folder / "patron.toml"
    order = ("Order Completed", {"order_id": "o", "revenue": 5, "currency": "CHF"})
    put(shop, message("a", order[0], **order[1]))
    worker.run_once()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("\n[rates]", "\n[rates]\nCHF = "), encoding="utf-8")
    put(shop, message("b", order[0], **order[1] | {"order_id": "p"}))
    worker.run_once()
    assert "is not valid TOML" in str(worker.trouble)
    path.write_text(text.replace("\n[rates]", "\n[rates]\nCHF = 1.1"), encoding="utf-8")
    worker.run_once()
    assert worker.trouble is None
    assert shop.lake.read(EVENTS)["event_id"].to_pylist() == ["b"]
    assert [one.count for one in ingestion_status(shop, collector_state(shop), now=NOW).dead_letters] == [1]


def test_orders_without_a_number_or_money_and_near_names_are_warned_of(shop):
    put(
        shop,
        message("a", "Order Completed"),
        message("b", "Order Completed", order_id="o1", revenue=3),
        message("c", "product viewed", product_id="p"),
    )
    run_once(shop)
    found = {one.name: one.warning_counts for one in ingestion_status(shop, collector_state(shop), now=NOW).events}
    assert found == {"Order Completed": {"bare_order": 1}, "product viewed": {"near_name": 1}}
