"""Live profiles of a real workspace: folded once, whatever happens in between, and equal to a rebuild."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron.collect.inbox.compaction import compact_inbox, drain_inbox
from patron.collect.inbox.inbox import Inbox
from patron.collect.inbox.workspace_inbox import inbox_position, open_inbox
from patron.collect.loader import load_events
from patron.collect.request import SourceRules, validate_batch
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import initial_customer_id
from patron.schema.errors import NotFound, ProfilesBehind
from patron.schema.tables import EVENTS, FEATURES, IDENTITIES
from patron.service import profile_reader
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionWorker
from patron.service.customer_lookup import lookup_customer
from patron.service.live_profiles import live_profile
from patron.storage.lake.lake import Lake
from patron.storage.profile_state import profile_state
from patron.storage.runs.runs import Run
from patron.storage.store.store import PROFILES, RUNS
from patron.understand.profiles import profile_store, profile_writer
from patron.understand.profiles.profile_writer import are_profiles_current, rebuild_profiles
from patron.understand.profiles.token_profile import profile_from_rows

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


def message(event_id, event="Product Viewed", *, minutes_ago=1, user="u1", visitor=None, **properties):
    base = {"type": "track", "event": event, "messageId": event_id, "userId": user, "anonymousId": visitor}
    at = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    return base | {"timestamp": at, "properties": {"product_id": "p1"} | properties}


def put(shop, *messages, source="web", received_at=NOW):
    inbox = open_inbox(shop)
    inbox.append([validate_batch(json.dumps({"batch": messages}).encode(), source, received_at, OPEN)])
    inbox.close()


def move(shop):
    """One round of the worker."""
    worker = CompactionWorker(shop)
    worker.run_once()
    if worker.trouble:
        raise worker.trouble


def kept(shop):
    """Every profile in use, as bytes."""
    column = PROFILES.c
    chosen = sa.select(column.token, column.owner, column.content)
    chosen = chosen.where(column.generation == profile_state(shop.store).generation)
    with shop.store.begin() as connection:
        return sorted(tuple(row) for row in connection.execute(chosen))


def live(shop, shop_id="u1", now=NOW):
    return lookup_customer(shop, shop_id, now=now).live


def rebuilt(shop):
    with shop.lock():
        rebuild_profiles(shop, inbox_position(shop))
    return kept(shop)


def test_a_profile_says_what_the_customer_did_up_to_now(shop):
    put(
        shop,
        message("a", minutes_ago=300, product_id="p9"),
        message("b", "Order Completed", minutes_ago=200, order_id="o1", revenue=20, product_id=None),
        message("c", minutes_ago=20),
        message("d", "Product Added", minutes_ago=10, product_id="p2", quantity=2),
        message("e", "Product Added", minutes_ago=9, product_id="p3"),
        message("f", "Product Removed", minutes_ago=8, product_id="p3"),
        message("g", "Order Refunded", minutes_ago=5, order_id="o1", total=5, product_id=None),
    )
    profile = live(shop)
    assert profile.is_identified
    assert (profile.event_count, profile.order_count) == (7, 1)
    assert (profile.paid_cents, profile.refunded_cents) == (1_500, 500)
    assert profile.seconds_since_last_active == 300
    assert (profile.days_since_last_order, profile.lifecycle_stage) == (0, "new")
    assert [product.product_id for product in profile.products] == ["p1", "p9"]
    assert [(item.product_id, item.quantity) for item in profile.cart] == [("p2", 2)]
    assert (profile.visit.event_count, profile.visit.is_open) == (4, True)
    assert profile.recent[0].name == "Order Refunded"


def test_the_same_profile_is_read_otherwise_later(shop):
    put(shop, message("a", "Order Completed", order_id="o1", revenue=20))
    later = live(shop, now=NOW + timedelta(days=200))
    assert (later.days_since_last_order, later.lifecycle_stage, later.visit.is_open) == (200, "lapsed", False)
    move(shop)
    assert live(shop, now=NOW + timedelta(days=200)) == later
    assert kept(shop) == rebuilt(shop)


def test_an_order_empties_the_cart(shop):
    put(shop, message("a", "Product Added", minutes_ago=9), message("b", "Order Completed", order_id="o", total=1))
    assert live(shop).cart == ()


def test_a_duplicate_changes_nothing(shop):
    put(shop, message("a"))
    before = live(shop)
    put(shop, message("a"), message("a"))
    assert live(shop) == before
    move(shop)
    put(shop, message("a"))
    move(shop)
    assert live(shop) == before


def test_an_event_rejected_on_the_way_to_the_lake_is_in_no_profile(shop):
    put(shop, message("a"), message("b", "Order Completed", order_id="o", revenue=5, currency="CHF"))
    assert live(shop).event_count == 1
    move(shop)
    assert kept(shop) == rebuilt(shop)


def on_disk(shop):
    inbox = open_inbox(shop)
    found = inbox.pending_requests(after=0)
    inbox.close()
    return len(found)


def test_a_request_stays_in_the_inbox_until_it_is_in_the_lake_and_in_the_profiles(shop):
    put(shop, message("before", user="u2"))
    move(shop)
    put(shop, message("a"))
    assert live(shop).event_count == 1
    compact_inbox(shop)
    assert (on_disk(shop), open_inbox(shop).pending_count(), live(shop).event_count) == (1, 0, 1)
    move(shop)
    assert (on_disk(shop), live(shop).event_count) == (0, 1)
    put(shop, message("b"))
    assert (on_disk(shop), live(shop).event_count) == (1, 2)


def test_when_very_much_came_profiles_are_built_anew(shop, monkeypatch):
    monkeypatch.setattr("patron.understand.profiles.profile_writer.MAX_ROWS_MERGED", 1)
    put(shop, message("a"))
    move(shop)
    before = profile_state(shop.store)
    put(shop, message("b"), message("c"))
    with shop.lock():
        drain_inbox(shop)
    assert (profile_state(shop.store), live(shop).event_count) == (before, 3)
    move(shop)
    assert profile_state(shop.store).generation > before.generation
    assert (on_disk(shop), live(shop).event_count) == (0, 3)


def test_ids_linked_after_the_last_move_join_their_earlier_behaviour(shop):
    put(shop, message("a", user=None, visitor="v1"), message("b"), message("c", user="u2"))
    move(shop)
    put(shop, message("d", visitor="v1"))
    assert [live(shop, one).event_count for one in ("u1", "v1", "u2")] == [3, 3, 1]
    put(shop, message("e", user="u2", visitor="v1"))
    assert [live(shop, one).event_count for one in ("u1", "v1", "u2")] == [2, 1, 2]
    move(shop)
    assert [live(shop, one).event_count for one in ("u1", "v1", "u2")] == [2, 1, 2]


def test_an_order_sent_twice_is_paid_once(shop):
    put(shop, message("a", "Order Completed", order_id="o1", revenue=20))
    put(shop, message("b", "Order Completed", order_id="o1", revenue=20))
    profile = live(shop)
    assert (profile.event_count, profile.order_count, profile.paid_cents) == (2, 1, 2_000)
    move(shop)
    put(shop, message("c", "Order Completed", order_id="o1", revenue=20))
    assert (live(shop).order_count, live(shop).paid_cents) == (1, 2_000)


def test_in_a_shop_without_live_profiles_nothing_stays_in_the_inbox(shop):
    put(shop, message("a"))
    drain_inbox(shop)
    assert (on_disk(shop), shop.lake.read(EVENTS).num_rows) == (0, 1)
    move(shop)
    assert live(shop).event_count == 1


def test_requests_that_profiles_lack_stay_in_the_inbox_until_the_service_folds_them(shop):
    put(shop, message("before", user="u2"))
    move(shop)
    before = profile_state(shop.store)
    put(shop, message("a"))
    drain_inbox(shop)
    assert (on_disk(shop), live(shop).event_count, profile_state(shop.store)) == (1, 1, before)
    move(shop)
    assert (on_disk(shop), live(shop).event_count) == (0, 1)


def test_the_inbox_of_a_shop_whose_service_stopped_does_not_grow_for_ever(shop):
    put(shop, message("before"))
    move(shop)
    put(shop, message("old"), received_at=NOW)
    put(shop, message("new"), received_at=NOW + timedelta(days=8))
    drain_inbox(shop)
    assert on_disk(shop) == 1
    move(shop)
    assert (on_disk(shop), live(shop).event_count) == (0, 3)
    assert kept(shop) == rebuilt(shop)


def test_what_is_folded_and_moved_leaves_the_inbox_and_nothing_is_folded_twice(shop):
    put(shop, message("a"), message("b"))
    move(shop)
    put(shop, message("c"))
    move(shop)
    assert live(shop).event_count == 3
    assert open_inbox(shop).pending_count() == 0
    assert are_profiles_current(shop)
    assert kept(shop) == rebuilt(shop)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Lake, "append"),
        (Inbox, "mark_moved"),
        (Inbox, "release"),
        (Inbox, "_transaction"),
        (profile_store, "upsert_profiles"),
        (profile_store, "advance_state"),
    ],
    ids=str,
)
def test_killed_between_fold_and_compaction_nothing_is_folded_twice_and_nothing_is_missing(
    shop, monkeypatch, owner, name
):
    put(shop, message("a", visitor="v1"), message("b", user=None, visitor="v1"))
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            move(shop)
    put(shop, message("c"))
    move(shop)
    assert live(shop).event_count == 3
    assert sorted(shop.lake.read(EVENTS)["event_id"].to_pylist()) == ["a", "b", "c"]
    assert kept(shop) == rebuilt(shop)


def test_of_two_writers_who_fold_the_same_rows_one_wins(shop):
    put(shop, message("a"))
    move(shop)
    before = profile_state(shop.store)
    after, one = replace(before, version=before.version + 1), profile_from_rows([("Page", 1, 5, 5)], *[[]] * 6)
    assert profile_store.merge_profiles(shop.store, [("u_x", one)], before, after)
    assert not profile_store.merge_profiles(shop.store, [("u_x", one)], before, after)
    assert profile_store.find_profiles(shop.store, tokens=["u_x"])["u_x"].tallies["Page"].event_count == 1


def test_an_import_is_in_the_profiles_after_the_next_round_and_what_waits_stays_in_them(shop):
    put(shop, message("a"))
    move(shop)
    row = {"event_id": "i1", "name": "Order Completed", "occurred_at": NOW - timedelta(days=9), "user_id": "u1"}
    history = pa.Table.from_pylist([row | {"revenue_cents": 1_000, "order_id": "old"}])
    load_events(shop, history, source="file", known="occurred", received_at=NOW)
    put(shop, message("b"))
    assert (live(shop).event_count, live(shop).order_count) == (2, 0)
    generation = profile_state(shop.store).generation
    move(shop)
    assert (live(shop).event_count, live(shop).order_count) == (3, 1)
    assert profile_state(shop.store).generation == generation
    assert kept(shop) == rebuilt(shop)


def test_a_rebuild_leaves_what_still_waits_to_be_read(shop):
    put(shop, message("a"))
    move(shop)
    put(shop, message("b"))
    put(shop, message("c", user="u2"))
    assert len(rebuilt(shop)) == 1
    assert [live(shop, one).event_count for one in ("u1", "u2")] == [2, 1]
    move(shop)
    assert live(shop).event_count == 2


def test_profiles_that_cannot_be_written_keep_no_event_from_the_lake_and_none_from_who_reads(shop, monkeypatch):
    put(shop, message("before", user="u2"))
    move(shop)
    put(shop, message("a"))
    with monkeypatch.context() as patch:
        refusal = sa.exc.OperationalError("", {}, Exception("locked"))
        patch.setattr(profile_store, "upsert_profiles", lambda *_: (_ for _ in ()).throw(refusal))
        with pytest.raises(ProfilesBehind, match="cannot be written"):
            move(shop)
        drain_inbox(shop)
    assert (shop.lake.read(EVENTS).num_rows, on_disk(shop), live(shop).event_count) == (2, 1, 1)
    move(shop)
    assert (on_disk(shop), live(shop).event_count) == (0, 1)
    assert kept(shop) == rebuilt(shop)


@pytest.mark.parametrize("moves_at", range(8))
def test_what_moves_while_somebody_reads_is_read_once(shop, monkeypatch, moves_at):
    put(shop, message("a"))
    put(shop, message("b"))
    calls, moved = [], []

    def between(function):
        def called(*args, **named):
            calls.append(1)
            if len(calls) == moves_at + 1 and not moved:
                moved.append(1)
                move(shop)
            return function(*args, **named)

        return called

    patched = (
        (profile_reader, "find_profiles"),
        (profile_reader, "profile_state"),
        (profile_writer, "profile_state"),
        (Inbox, "requests_about"),
    )
    for owner, name in patched:
        monkeypatch.setattr(owner, name, between(getattr(owner, name)))
    assert live(shop).event_count == 2
    assert moved


def test_a_visitor_becomes_the_customer_they_log_in_as(shop):
    put(shop, message("a", user=None, visitor="v1", minutes_ago=5))
    visitor = live(shop, "v1")
    assert not visitor.is_identified
    put(shop, message("b", visitor="v1"))
    known = live(shop)
    assert (known.event_count, known.is_identified) == (2, True)
    assert live_profile(shop, visitor.customer_id, now=NOW) == known
    assert lookup_customer(shop, "v1", now=NOW).customer_id == known.customer_id


def test_a_device_of_two_users_is_nobodys(shop):
    put(shop, message("a", visitor="v1"), message("b", user="u2", visitor="v1"), message("c", user=None, visitor="v1"))
    assert [live(shop, one).event_count for one in ("u1", "u2", "v1")] == [1, 1, 1]


def test_tokens_that_the_last_run_merged_are_one_profile(shop):
    put(shop, message("a"), message("b", user="u2"), message("c", user="u3"))
    move(shop)
    tokens = [token for token, *_ in kept(shop)]
    first, second = (live(shop, one).customer_id for one in ("u1", "u2"))
    linked = {token: first for token in tokens if initial_customer_id(token) in {first, second}}
    rows = [{"token": t, "customer_id": c, "is_user": True, "known_at": NOW} for t, c in linked.items()]
    shop.lake.replace(IDENTITIES, pa.Table.from_pylist(rows, IDENTITIES.schema()))
    finish_run(shop)
    profile = live(shop, "u2")
    assert (profile.customer_id, profile.event_count) == (first, 2)
    assert live(shop, "u3").event_count == 1


def finish_run(shop):
    run = Run.at(NOW)
    row = {"run_id": run.run_id, "as_of": NOW, "finished_at": NOW, "seconds": 1.0, "seed": 1, "policy_version": "1"}
    features = {"run_id": run.run_id, "customer_id": "c", "as_of": NOW, "feature_version": "1"}
    features |= {"order_day_count_lifetime": 3, "days_from_first_to_last_order": 60}
    shop.lake.replace(FEATURES, pa.Table.from_pylist([features]))
    versions = {table.name: shop.lake.version(table) for table in (IDENTITIES, FEATURES)}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row | {"table_versions": versions, "summary": {}}))


def test_nobody_is_found_who_never_came(shop):
    with pytest.raises(NotFound):
        lookup_customer(shop, "never", now=NOW)
    assert live_profile(shop, "0" * 32, now=NOW) is None


def test_an_event_is_read_as_soon_as_its_request_is_answered(shop):
    collector = Collector(shop)
    collector.start()
    for n in range(5):
        request = validate_batch(json.dumps({"batch": [message(f"a{n}")]}).encode(), "web", NOW, OPEN)
        collector.accept(request).result(10)
        assert live(shop).event_count == n + 1
    collector.stop()


def test_whoever_is_forgotten_has_no_profile_and_gets_none_again(shop):
    put(shop, message("a", visitor="v1"), message("b", user=None, visitor="v1"), message("c", user="u2"))
    forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="u1")
    assert len(kept(shop)) == 1
    assert are_profiles_current(shop)
    put(shop, message("d"))
    with pytest.raises(NotFound):
        lookup_customer(shop, "u1", now=NOW)
    move(shop)
    assert len(kept(shop)) == 1
    assert kept(shop) == rebuilt(shop)


def test_forgetting_one_user_of_a_device_leaves_the_profiles_that_a_rebuild_would_make(shop):
    views = [message(f"a{n}", user=f"u{n}", visitor="pos", minutes_ago=9 - n) for n in range(4)]
    put(shop, *views, message("b", user=None, visitor="pos"), message("c", user="u1", visitor="v1"))
    move(shop)
    generation = profile_state(shop.store).generation
    for user in ("u0", "u1", "u2"):
        forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=user)
        before = kept(shop)
        assert are_profiles_current(shop)
        assert profile_state(shop.store).generation == generation
        assert before == rebuilt(shop)
        generation = profile_state(shop.store).generation
    assert live(shop, "u3").event_count == 2


def test_an_erasure_while_profiles_are_behind_has_them_built_anew(shop, monkeypatch):
    put(shop, message("a"), message("b", user="u2"))
    move(shop)
    row = {"event_id": "i1", "name": "Product Viewed", "occurred_at": NOW, "user_id": "u2"}
    load_events(shop, pa.Table.from_pylist([row]), source="file", known="occurred", received_at=NOW)
    with monkeypatch.context() as patch:
        patch.setattr("patron.understand.profiles.profile_writer.MAX_ROWS_MERGED", 0)
        forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="u1")
    assert not are_profiles_current(shop)
    move(shop)
    assert live(shop, "u2").event_count == 2
    assert kept(shop) == rebuilt(shop)


def test_orders_and_visits_that_are_cut_off_say_that_there_may_be_more(shop):
    lines = [
        message(f"o{n}", "Order Line Completed", minutes_ago=n, order_id=f"o{n}", price=1, quantity=1)
        for n in range(210)
    ]
    put(shop, *lines[:199])
    assert (live(shop).order_count, live(shop).has_more_orders) == (199, False)
    assert live(shop).orders_per_30_days == 199
    put(shop, *lines[199:])
    found = live(shop)
    assert (found.order_count, found.has_more_orders, found.orders_per_30_days) == (200, True, None)
    assert (found.visit.event_count, found.visit.has_more_events) == (50, True)


def test_whole_orders_are_counted_beyond_those_that_are_told_apart(shop):
    put(
        shop,
        *(message(f"o{n}", "Order Completed", minutes_ago=40 * n, order_id=f"o{n}", revenue=1) for n in range(210)),
    )
    found = live(shop)
    assert (found.order_count, found.has_more_orders) == (210, False)
    assert (found.visit.event_count, found.visit.has_more_events) == (1, False)
