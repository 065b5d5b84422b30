"""The collector of a real workspace: what was acknowledged is in the lake once, whatever happens in between."""

import json
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.inbox import Inbox
from patron.collect.inbox.workspace_inbox import collector_state, inbox_position, open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.commands.access.manage_keys import create_key
from patron.commands.data.import_files import import_files, replay
from patron.govern.access.api_keys import keys_by_hash
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import InboxDamaged, NoSpace, TooMany
from patron.schema.events import BY_NAME as CATALOGUE
from patron.schema.progress import silent
from patron.schema.tables import EVENTS
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionWorker
from patron.storage.lake.lake import Lake
from patron.storage.profile_state import profile_state
from patron.storage.shop import Shop
from patron.storage.store.store import PROFILES
from patron.understand.profiles.profile_writer import rebuild_profiles
from patron.understand.profiles.token_profile import decode

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


def messages(*ids, **changes):
    base = {"type": "track", "event": "Product Viewed", "userId": "u1", "timestamp": "2026-03-01T11:59:00Z"}
    message_rows = [
        base | {"messageId": identifier, "properties": {"product_id": "p1"}} | changes for identifier in ids
    ]
    return validate_batch(json.dumps({"batch": message_rows}).encode(), "web", NOW, OPEN)


def put(shop, *arrivals):
    inbox = open_inbox(shop)
    inbox.append(arrivals)
    inbox.close()


def stored(shop):
    return sorted(shop.lake.read(EVENTS)["event_id"].to_pylist())


def test_what_the_inbox_holds_moves_into_the_lake_once(shop):
    put(shop, messages("a", "b"), messages("b", "c"))
    assert drain_inbox(shop).stored == 3
    assert stored(shop) == ["a", "b", "c"]
    put(shop, messages("a", "d"))
    assert drain_inbox(shop).stored == 1
    assert stored(shop) == ["a", "b", "c", "d"]
    row = shop.lake.read(EVENTS).to_pylist()[0]
    assert row["known_at"] == row["received_at"] == NOW
    assert row["source"] == "web"


def test_a_move_ends_although_more_arrives_all_the_while(shop, monkeypatch):
    put(shop, messages("first"))
    real, later = Lake.append, iter(range(5))

    def and_one_arrives(*args, **kwargs):
        for n in later:
            put(shop, messages(f"later {n}"))
            break
        return real(*args, **kwargs)

    monkeypatch.setattr(Lake, "append", and_one_arrives)
    assert drain_inbox(shop).stored == 1
    inbox = open_inbox(shop)
    assert inbox.pending_count() == 1
    inbox.close()


def test_killed_between_the_lake_and_the_inbox_nothing_is_there_twice(shop, monkeypatch):
    put(shop, messages("a", "b"))
    with monkeypatch.context() as patch:
        patch.setattr(Inbox, "mark_moved", lambda *_args, **_named: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            drain_inbox(shop)
    assert stored(shop) == ["a", "b"]
    put(shop, messages("c"))
    drain_inbox(shop)
    assert stored(shop) == ["a", "b", "c"]
    assert open_inbox(shop).pending_count() == 0
    counted = open_inbox(shop).counts()["web"]
    assert (counted.stored, counted.duplicate, counted.rejected) == (3, 0, 0)


def test_killed_before_the_lake_nothing_is_lost(shop, monkeypatch):
    put(shop, messages("a"), messages("b"))
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            drain_inbox(shop)
    drain_inbox(shop)
    assert stored(shop) == ["a", "b"]


def test_an_event_without_a_rate_is_rejected_on_the_way_and_the_counters_say_so(shop):
    good = messages("a")
    bad = messages("b", event="Order Completed", properties={"order_id": "o", "revenue": 5, "currency": "CHF"})
    put(shop, good, bad)
    moved = drain_inbox(shop)
    assert (moved.stored, moved.rejected) == (1, 1)
    counted = open_inbox(shop).counts()["web"]
    assert (counted.stored, counted.duplicate, counted.rejected) == (1, 0, 1)


def test_a_full_disk_is_trouble_that_passes(shop, monkeypatch):
    collector = Collector(shop)
    collector.start()
    real = Inbox.append
    with monkeypatch.context() as patch:
        refusal = NoSpace("the disk is full", where="inbox.db", todo="Free some space.")
        patch.setattr(Inbox, "append", lambda *_: (_ for _ in ()).throw(refusal))
        with pytest.raises(NoSpace):
            collector.accept(messages("a")).result(10)
        with pytest.raises(NoSpace):
            collector.accept(messages("b"))
    assert Inbox.append is real
    accepted = _accepted_in_time(collector, messages("a"))
    collector.stop()
    drain_inbox(shop)
    assert accepted.stored == 1
    assert stored(shop) == ["a"]


def _accepted_in_time(collector, arrival):
    for _ in range(100):
        try:
            return collector.accept(arrival).result(10)
        except NoSpace:
            time.sleep(0.1)
    return None


def test_a_damaged_inbox_accepts_nothing_and_says_so(shop):
    put(shop, *(messages(f"m{n}") for n in range(300)))
    path = shop.folder / "inbox.db"
    inbox = open_inbox(shop)
    inbox.scrub()
    inbox.close()
    os.truncate(path, path.stat().st_size // 2)
    collector = Collector(shop)
    collector.start()
    with pytest.raises(InboxDamaged):
        collector.accept(messages("new"))
    assert "inbox.db" in collector.state().trouble
    collector.stop()


def test_damage_found_when_the_counters_are_read_is_reported_as_trouble(shop):
    put(shop, messages("a"))
    with sqlite3.connect(shop.folder / "inbox.db") as damaged:
        damaged.execute("pragma writable_schema = on")
        damaged.execute("update sqlite_master set rootpage = 99999 where name = 'inbox_counts'")
    damaged.close()
    assert "inbox.db" in collector_state(shop).trouble


def _accept_until_killed(folder, run, environment, pipe):
    os.environ.update(environment)  # why: a fork server keeps the environment of the test that started it
    shop = Shop.open(folder)
    collector = Collector(shop)
    collector.start()
    threading.Thread(target=_move_until_killed, args=(CompactionWorker(shop),), daemon=True).start()
    n = 0
    while True:
        ids = [f"{run}-{n}-{m}" for m in range(5)]
        collector.accept(messages(*ids)).result()
        pipe.send(ids)
        n += 1


def _move_until_killed(worker):
    while True:
        worker.run_once()
        time.sleep(0.05)


def test_killed_at_any_time_what_was_acknowledged_is_in_the_lake_once(shop):
    acknowledged = []
    context = multiprocessing.get_context("forkserver")  # why: delta-rs has threads, which no fork takes along
    context.set_forkserver_preload([__name__])
    for run in range(10):
        here, there = context.Pipe(duplex=False)
        child = context.Process(target=_accept_until_killed, args=(shop.folder, run, dict(os.environ), there))
        child.start()
        there.close()
        acknowledged += here.recv()
        until = time.monotonic() + 0.1 * run
        while time.monotonic() < until:
            if here.poll(0.01):
                acknowledged += here.recv()
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        while here.poll():
            try:
                acknowledged += here.recv()
            except EOFError:
                break
    worker = CompactionWorker(shop)
    worker.run_once()
    assert worker.trouble is None
    lake_ids = stored(shop)
    assert len(acknowledged) > 100
    assert len(lake_ids) == len(set(lake_ids))
    assert set(acknowledged) <= set(lake_ids)
    assert events_in_profiles(shop) == len(lake_ids)
    before = kept(shop)
    with shop.lock():
        rebuild_profiles(shop, inbox_position(shop))
    assert kept(shop) == before


def events_in_profiles(shop):
    return sum(tallies.event_count for _, one in kept(shop) for tallies in decode(one).tallies.values())


def kept(shop):
    now = profile_state(shop.store).generation
    chosen = sa.select(PROFILES.c.token, PROFILES.c.content).where(PROFILES.c.generation == now)
    with shop.store.begin() as connection:
        return sorted(map(tuple, connection.execute(chosen)))


def test_dead_letters_of_the_collector_are_stored_after_the_fix(shop):
    properties = {"order_id": "o", "revenue": 5, "currency": "CHF"}
    put(shop, messages("a"), messages("b", event="Order Completed", properties=properties))
    drain_inbox(shop)
    rates = shop.folder / "patron.toml"
    rates.write_text(rates.read_text(encoding="utf-8").replace("\n[rates]", "\n[rates]\nCHF = 1.1"), encoding="utf-8")
    fixed = Shop.open(shop.folder)
    done = replay(fixed, "live", mapping=None, progress=silent, now=datetime.now(UTC))
    assert (done.read, done.stored, done.rejected) == (1, 1, 0)
    assert stored(fixed) == ["a", "b"]
    counted = open_inbox(fixed).counts()["web"]
    assert (counted.stored, counted.rejected) == (2, 0)
    assert replay(fixed, "live", mapping=None, progress=silent, now=datetime.now(UTC)).read == 0
    fixed.close()


def test_an_event_that_came_by_a_file_is_a_duplicate_when_a_client_sends_it(shop, tmp_path):
    create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "segment")
    line = {"type": "track", "event": "Product Viewed", "messageId": "a", "userId": "u1", "properties": {}}
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(line | {"timestamp": "2026-02-01T00:00:00Z"}), encoding="utf-8")
    import_files(shop, [str(file)], "segment", progress=silent, now=datetime.now(UTC))
    inbox = open_inbox(shop)
    (verdict,) = inbox.append([replace(messages("a", "b"), source="segment")])
    inbox.close()
    assert (verdict.stored, verdict.duplicate) == (1, 1)
    drain_inbox(shop)
    assert import_files(shop, [str(file)], "segment", progress=silent, now=datetime.now(UTC)).duplicate == 1
    assert stored(shop) == ["a", "b"]


NUMBERS = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = (
    NUMBERS | st.text(max_size=30) | st.none() | st.booleans() | st.lists(NUMBERS | st.text(max_size=5), max_size=3)
)
ITEMS = st.lists(
    st.dictionaries(st.sampled_from(["product_id", "price", "quantity", "name", "sku"]), VALUES), max_size=3
)
PROPERTIES = st.dictionaries(
    st.sampled_from(
        ["price", "quantity", "revenue", "rating", "discount", "order_id", "product_id", "query", "currency"]
    ),
    VALUES,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    messages_of_any_kind=st.lists(
        st.tuples(st.sampled_from(sorted(CATALOGUE)), PROPERTIES, st.none() | ITEMS, VALUES, VALUES),
        min_size=5,
        max_size=40,
    )
)
def test_any_event_is_stored_or_rejected_and_stops_nothing(shop, messages_of_any_kind):
    before, run = open_inbox(shop).counts().get("web"), uuid4().hex[:8]
    rows = [
        {
            "type": "track",
            "messageId": f"{run}-{n}",
            "event": name,
            "userId": "u1",
            "timestamp": time_,
            "context": context,
        }
        | {"properties": properties | ({"products": items} if items is not None else {})}
        for n, (name, properties, items, time_, context) in enumerate(messages_of_any_kind)
    ]
    put(shop, validate_batch(json.dumps({"batch": rows}).encode(), "web", NOW, OPEN))
    drain_inbox(shop)
    counted = open_inbox(shop).counts()["web"]
    assert open_inbox(shop).pending_count() == 0
    assert counted.stored + counted.rejected - (before.stored + before.rejected if before else 0) == len(
        messages_of_any_kind
    )
    assert len(stored(shop)) == counted.stored


def test_a_key_that_sends_too_often_must_wait(shop):
    path = shop.folder / "patron.toml"
    text = path.read_text(encoding="utf-8").replace("[collect]", "[collect]\nrequests_per_second = 0.5")
    path.write_text(text, encoding="utf-8")
    slow = Shop.open(shop.folder)
    key, other = (
        create_key(RequestContext.from_name(slow, now=datetime.now(UTC)), "web").key,
        create_key(RequestContext.from_name(slow, now=datetime.now(UTC)), "app").key,
    )
    collector = Collector(slow)
    collector.start()
    body = json.dumps({"batch": []}).encode()
    for _ in range(5):
        collector.receive(body, "batch", sender=collector.admit(key, "batch", now=NOW), received_at=NOW)
    with pytest.raises(TooMany):
        collector.receive(body, "batch", sender=collector.admit(key, "batch", now=NOW), received_at=NOW)
    collector.receive(body, "batch", sender=collector.admit(other, "batch", now=NOW), received_at=NOW)
    collector.stop()
    slow.close()


def test_changed_settings_are_taken_over_while_it_runs_and_unreadable_ones_are_reported(shop, monkeypatch):
    """However it cannot be read: events are taken by what was known before."""
    monkeypatch.setattr("patron.service.collector.CACHE_SECONDS", 0.0)
    key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "web", kind="write").key
    collector = Collector(shop)
    collector.start()
    path = shop.folder / "patron.toml"
    before = path.read_text(encoding="utf-8")
    order = {"type": "track", "event": "Order Completed", "userId": "u1", "properties": {"order_id": "o", "revenue": 5}}

    def accepted(event_id):
        body = json.dumps({"batch": [order | {"messageId": event_id, "timestamp": NOW.isoformat()}]}).encode()
        return collector.receive(
            body, "batch", sender=collector.admit(key, "batch", now=NOW), received_at=NOW
        ).counts.result(10)

    assert accepted("a").stored == 1
    path.write_text(before.replace("[collect]", '[collect]\nneeds_secret_key = ["Order Completed"]'), encoding="utf-8")
    assert (accepted("b").rejected, collector.state().trouble) == (1, "")
    path.write_text("[collect", encoding="utf-8")
    assert accepted("c").rejected == 1
    assert "patron.toml" in collector.state().trouble
    path.write_text(before, encoding="utf-8")
    assert (accepted("d").stored, collector.state().trouble) == (1, "")
    (shop.folder / "tracking").mkdir()
    deep = '{"not":' * 3000 + "{}" + "}" * 3000
    (shop.folder / "tracking" / "Order Completed.json").write_text(deep, encoding="utf-8")
    assert accepted("e").stored == 1
    assert collector.state().trouble
    collector.stop()


def test_a_public_key_plans_no_promotion_unless_the_shop_says_so(shop):
    plan = {"product_id": "p1", "starts_at": "2026-03-02", "ends_at": "2026-03-09"}
    message = {"type": "track", "event": "Promotion Scheduled", "timestamp": NOW.isoformat(), "properties": plan}

    def stored(in_shop, *kinds):
        """How many of these keys may send it."""
        collector, count = Collector(in_shop), 0
        collector.start()
        for kind in kinds:
            key = create_key(RequestContext.from_name(in_shop, now=NOW), "web", kind=kind).key
            sender = collector.admit(key, "batch", now=NOW)
            body = json.dumps({"batch": [message | {"messageId": kind}]}).encode()
            count += collector.receive(body, "batch", sender=sender, received_at=NOW).counts.result(10).stored
        collector.stop()
        return count

    assert stored(shop, "write") == 0
    assert stored(shop, "secret") == 1
    with_any_key = with_settings(shop, "needs_secret_key = []")
    assert stored(with_any_key, "write") == 1
    with_any_key.close()


def test_a_key_longer_than_any_is_not_looked_up(shop, monkeypatch):
    monkeypatch.setattr("patron.service.collector.keys_by_hash", lambda *_: pytest.fail("was looked up"))
    assert Collector(shop).find_key("x" * 101, now=NOW) is None


def test_a_flood_of_unknown_keys_reads_the_store_now_and_then_and_a_new_key_works_at_once(shop, monkeypatch):
    reads, collector = [], Collector(shop)
    monkeypatch.setattr("patron.service.collector.keys_by_hash", lambda of: reads.append(1) or keys_by_hash(of))
    assert [index for index in range(500) if collector.find_key(f"pk_write_{index}", now=NOW)] == []
    assert len(reads) < 50
    time.sleep(0.02)
    key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "web").key
    assert collector.find_key(key, now=NOW).source == "web"


def test_imported_history_is_known_from_when_it_happened_and_the_rest_from_its_arrival(shop):
    key = create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "web").key
    collector = Collector(shop)
    collector.start()
    base = {"type": "track", "event": "Product Viewed", "userId": "u1", "timestamp": "2024-05-01T08:00:00Z"}
    for how in ("import", "batch"):
        message = base | {"messageId": how, "properties": {"product_id": "p1"}}
        body = json.dumps({"batch": [message]}).encode()
        collector.receive(body, how, sender=collector.admit(key, how, now=NOW), received_at=NOW).counts.result(10)
    collector.stop()
    drain_inbox(shop)
    rows = {row["event_id"]: row for row in shop.lake.read(EVENTS).to_pylist()}
    assert rows["import"]["known_at"] == rows["import"]["occurred_at"] == datetime(2024, 5, 1, 8, tzinfo=UTC)
    assert rows["batch"]["known_at"] == rows["import"]["received_at"] == NOW


def with_settings(shop, added):
    path = shop.folder / "patron.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("[collect]", f"[collect]\n{added}"), encoding="utf-8")
    return Shop.open(shop.folder)


def replayed_live(shop, rules, *messages):
    """Messages validated with `rules`, moved, and replayed with the workspace's settings now."""
    base = {"type": "track", "event": "Order Refunded", "userId": "u1", "properties": {"order_id": "o", "total": 5}}
    body = json.dumps({"batch": [base | {"messageId": f"m{n}"} | one for n, one in enumerate(messages)]}).encode()
    put(shop, validate_batch(body, "web", NOW, rules))
    drain_inbox(shop)
    done = replay(shop, "live", mapping=None, progress=silent, now=datetime.now(UTC))
    return done, shop.lake.read(EVENTS).to_pylist()


def test_a_replay_still_rejects_what_needs_a_secret_key_or_is_too_long(shop):
    strict = with_settings(shop, 'needs_secret_key = ["Order Refunded"]\nlongest_event_bytes = 2000')
    rules = SourceRules(2_000, frozenset({"Order Refunded"}), is_secret=False)
    done, rows = replayed_live(
        strict, rules, {}, {"event": "Product Viewed", "properties": {"product_id": "p" * 3_000}}
    )
    assert (done.read, done.stored, done.rejected) == (2, 0, 2)
    assert rows == []
    strict.close()


def test_a_replay_knows_the_kind_of_key_the_clocks_and_the_flags(shop):
    strict = with_settings(shop, 'needs_secret_key = ["Order Refunded"]')
    clocks = {"timestamp": "2026-03-01T15:00:00Z", "sentAt": "2026-03-01T15:00:30Z"}
    bot = {"context": {"userAgent": "Googlebot/2.1"}, "timestamp": "1987-01-01T00:00:00Z"}
    tight = SourceRules(10, frozenset(), is_secret=True)
    done, (first, second) = replayed_live(strict, tight, clocks, bot)
    assert (done.read, done.stored) == (2, 2)
    assert first["occurred_at"] == NOW - timedelta(seconds=30)
    assert second["occurred_at"] == NOW
    assert second["flags"] == ["impossible_time", "bot"]
    strict.close()


def test_a_message_rejected_after_its_clock_was_corrected_is_not_corrected_twice(shop):
    rules = SourceRules(32_768, frozenset({"Order Refunded"}), is_secret=False)
    clocks = {"timestamp": "2026-03-01T15:00:00Z", "sentAt": "2026-03-01T15:00:30Z"}
    done, (row,) = replayed_live(shop, rules, clocks)
    assert done.stored == 1
    assert row["occurred_at"] == NOW - timedelta(seconds=30)


@pytest.mark.parametrize("currency", ["USD", "CHF"])
def test_replayed_history_is_known_from_when_it_happened(shop, currency):
    longest = 10 if currency == "USD" else 32_768
    history = SourceRules(longest, frozenset(), is_secret=False, is_history=True)
    historic = {"timestamp": "1997-01-01T00:00:00Z", "properties": {"order_id": "o", "total": 5, "currency": currency}}
    replayed_live(shop, history, historic)
    with_rate = shop.folder / "patron.toml"
    text = with_rate.read_text(encoding="utf-8").replace("\n[rates]", "\n[rates]\nCHF = 1.1")
    with_rate.write_text(text, encoding="utf-8")
    fixed = Shop.open(shop.folder)
    replay(fixed, "live", mapping=None, progress=silent, now=datetime.now(UTC))
    (row,) = fixed.lake.read(EVENTS).to_pylist()
    fixed.close()
    assert row["known_at"] == row["occurred_at"] == datetime(1997, 1, 1, tzinfo=UTC)
