"""Requests that are acknowledged reach the lake once, whichever inbox took them and whatever files came meanwhile."""

import json
import os
import shutil
import sqlite3
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from patron.collect.inbox.inbox import Inbox
from patron.collect.inbox.workspace_inbox import collector_state, open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.commands.access.manage_keys import create_key
from patron.commands.data.accept_loss import accept_loss
from patron.commands.data.backup import backup, restore
from patron.commands.data.import_files import import_files, replay
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import InboxDamaged
from patron.schema.progress import silent
from patron.schema.tables import EVENTS
from patron.service.collector import Collector
from patron.service.compaction_worker import CompactionProcess, CompactionWorker
from patron.service.customer_lookup import lookup_customer
from patron.storage.shop import Shop
from patron.understand.profiles.profile_writer import are_profiles_current

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)


@pytest.fixture(autouse=True)
def _segment_has_a_key(shop):
    create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "segment")


def message(event_id):
    base = {"type": "track", "event": "Product Viewed", "userId": "u1", "timestamp": "2026-02-01T00:00:00Z"}
    return base | {"messageId": event_id, "properties": {"product_id": "p1"}}


def messages(*ids, rules=OPEN):
    return validate_batch(
        json.dumps({"batch": [message(identifier) for identifier in ids]}).encode(), "segment", NOW, rules
    )


def put(shop, *arrivals):
    inbox = open_inbox(shop)
    verdicts = inbox.append(arrivals)
    inbox.close()
    return [(verdict.stored, verdict.duplicate, verdict.rejected) for verdict in verdicts]


def stored(shop):
    return sorted(shop.lake.read(EVENTS)["event_id"].to_pylist())


def events_in_profile(shop):
    live = lookup_customer(shop, "u1", now=NOW).live
    return live.event_count if live else 0


def move(shop):
    worker = CompactionWorker(shop)
    worker.run_once()
    assert worker.trouble is None


def remove_inbox(shop):
    for file in shop.folder.glob("inbox.db*"):
        file.unlink()


def file_of(tmp_path, *ids):
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(json.dumps(message(identifier)) for identifier in ids), encoding="utf-8")
    return str(file)


def killed(*_args, **_named):
    raise KeyboardInterrupt


def test_a_missing_inbox_is_refused_until_the_loss_is_accepted_and_a_new_one_knows_the_ids_of_the_lake(shop):
    for n in range(5):
        put(shop, messages(f"a{n}"))
    move(shop)
    remove_inbox(shop)
    with pytest.raises(InboxDamaged, match="is missing"):
        put(shop, messages("a0"))
    assert not (shop.folder / "inbox.db").exists()
    [loss] = accept_loss(shop.folder, now=NOW)
    assert "inbox.db: is missing" in loss
    assert put(shop, messages("a0", "b1")) == [(1, 1, 0)]
    move(shop)
    assert stored(shop) == ["a0", "a1", "a2", "a3", "a4", "b1"]
    assert events_in_profile(shop) == 6


def test_an_inbox_whose_making_was_killed_still_stores_nothing_twice(shop, monkeypatch):
    put(shop, messages("a"))
    move(shop)
    remove_inbox(shop)
    with monkeypatch.context() as patch:
        patch.setattr(Inbox, "remember", killed)
        with pytest.raises(KeyboardInterrupt):
            accept_loss(shop.folder, now=NOW)
    assert put(shop, messages("a", "b")) == [(1, 1, 0)]
    move(shop)
    assert stored(shop) == ["a", "b"]
    assert events_in_profile(shop) == 2
    assert put(shop, messages("a")) == [(0, 1, 0)]


def test_an_older_inbox_is_refused_and_nothing_is_lost_or_doubled_once_that_is_accepted(shop, tmp_path):
    put(shop, messages("a0"))
    move(shop)
    for name in ("inbox.db", "inbox.commits"):
        shutil.copy(shop.folder / name, tmp_path / name)
    put(shop, messages("a1"), messages("a2"), messages("a3"))
    move(shop)
    remove_inbox(shop)
    shutil.copy(tmp_path / "inbox.db", shop.folder)
    with pytest.raises(InboxDamaged, match="what was written last is lost"):
        put(shop, messages("b0"))
    shutil.copy(tmp_path / "inbox.commits", shop.folder)
    collector = Collector(shop)
    collector.start()
    with pytest.raises(InboxDamaged, match="older than the lake"):
        collector.accept(messages("b0"))
    collector.stop()
    assert accept_loss(shop.folder, now=NOW)
    collector = Collector(shop)
    collector.start()
    assert collector.accept(messages("a3", "b1")).result(10).stored == 1
    collector.stop()
    move(shop)
    assert stored(shop) == ["a0", "a1", "a2", "a3", "b1"]
    assert events_in_profile(shop) == 5


def test_a_restored_workspace_goes_on_where_the_backup_was_made(shop, tmp_path):
    for n in range(3):
        put(shop, messages(f"a{n}"))
    move(shop)
    put(shop, messages("waits"))
    backup(shop, tmp_path / "b.tar.gz")
    restore(tmp_path / "b.tar.gz", tmp_path / "again", now=NOW)
    assert (tmp_path / "again" / "inbox.db").stat().st_mode & 0o077 == 0
    again = Shop.open(tmp_path / "again")
    assert stored(again) == ["a0", "a1", "a2", "waits"]
    assert put(again, messages("a0", "b0"), messages("waits")) == [(1, 1, 0), (0, 1, 0)]
    move(again)
    assert stored(again) == ["a0", "a1", "a2", "b0", "waits"]
    assert events_in_profile(again) == 5
    again.close()


def test_what_a_client_sends_while_a_file_with_it_is_imported_is_stored_once(shop, tmp_path):
    put(shop, messages("x"))
    verdicts = []

    def client(*_):
        if not verdicts:
            verdicts.extend(put(shop, messages("f1", "f3")))

    import_files(shop, [file_of(tmp_path, "f0", "f1", "f2")], "segment", progress=client, now=datetime.now(UTC))
    move(shop)
    assert verdicts == [(2, 0, 0)]
    assert stored(shop) == ["f0", "f1", "f2", "f3", "x"]
    assert events_in_profile(shop) == 5
    (counted,) = collector_state(shop).counters
    assert (counted.accepted, counted.stored, counted.duplicate) == (3, 2, 1)


def test_an_import_that_was_killed_before_the_collector_knew_of_it_is_stored_once(shop, tmp_path, monkeypatch):
    put(shop, messages("x"))
    move(shop)
    with monkeypatch.context() as patch:
        patch.setattr("patron.collect.files.file_import._record", killed)
        with pytest.raises(KeyboardInterrupt):
            import_files(shop, [file_of(tmp_path, "f0", "f1")], "segment", progress=silent, now=datetime.now(UTC))
    assert put(shop, messages("f1", "f2")) == [(2, 0, 0)]
    move(shop)
    assert stored(shop) == ["f0", "f1", "f2", "x"]
    assert events_in_profile(shop) == 4
    assert put(shop, messages("f0")) == [(0, 1, 0)]


def test_a_replay_that_was_killed_before_the_collector_knew_of_it_is_stored_once(shop, monkeypatch):
    put(shop, messages("r1", rules=replace(OPEN, needs_secret=frozenset({"Product Viewed"}))))
    move(shop)
    with monkeypatch.context() as patch:
        patch.setattr("patron.commands.data.import_files.count_replayed", killed)
        with pytest.raises(KeyboardInterrupt):
            replay(shop, "live", mapping=None, progress=silent, now=datetime.now(UTC))
    assert stored(shop) == ["r1"]
    assert put(shop, messages("r1")) == [(1, 0, 0)]
    move(shop)
    assert stored(shop) == ["r1"]
    assert events_in_profile(shop) == 1


def test_killed_between_the_lake_and_the_inbox_a_marked_source_is_counted_right(shop, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("patron.collect.files.file_import._record", killed)
        with pytest.raises(KeyboardInterrupt):
            import_files(shop, [file_of(tmp_path, "f0")], "segment", progress=silent, now=datetime.now(UTC))
    put(shop, messages("f0", "f1"))
    with monkeypatch.context() as patch:
        patch.setattr(Inbox, "mark_moved", killed)
        with pytest.raises(KeyboardInterrupt):
            move(shop)
    move(shop)
    assert stored(shop) == ["f0", "f1"]
    (counted,) = collector_state(shop).counters
    assert counted.stored + counted.duplicate == counted.accepted == 2


def test_a_request_whose_number_was_changed_is_found(shop):
    put(shop, messages("a"))
    move(shop)
    put(shop, messages("b"))
    con = sqlite3.connect(shop.folder / "inbox.db")
    con.execute("update inbox_requests set seq = 1")
    con.commit()
    con.close()
    collector = Collector(shop)
    collector.start()
    assert "was changed" in collector.state().trouble
    collector.stop()


def test_small_files_of_events_are_joined_as_they_pile_up_and_profiles_need_no_building(shop):
    for n in range(12):
        put(shop, messages(f"a{n}"))
        move(shop)
    move(shop)
    assert len(stored(shop)) == 12
    assert len(shop.lake.files(EVENTS)) < 9
    assert are_profiles_current(shop)
    assert events_in_profile(shop) == 12


def in_lake_in_time(shop, count, *, seconds=20, wake=None):
    until = time.monotonic() + seconds
    while shop.lake.read(EVENTS).num_rows < count and time.monotonic() < until:
        if wake:
            wake()
        time.sleep(0.05)
    return shop.lake.read(EVENTS).num_rows


@pytest.fixture
def served(shop, monkeypatch):
    monkeypatch.setattr("patron.service.collector.COMPACT_AFTER_MESSAGES", 3)
    monkeypatch.setattr("patron.service.compaction_worker.RESTART_SECONDS", 0.1)
    collector = Collector(shop, CompactionProcess(shop.folder))
    collector.start()
    yield collector
    collector.stop()


def test_a_full_inbox_is_moved_at_once_by_a_process_of_its_own(shop, served):
    served.accept(messages("a", "b")).result(10)
    served.accept(messages("c")).result(10)
    assert in_lake_in_time(shop, 3) == 3


def trouble_in_time(collector, expected):
    """Whether the collector comes to report this trouble, or none when it is empty."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        collector.compaction.wake()
        message = collector.state().trouble
        if message == expected == "" or (expected and expected in message):
            return True
        time.sleep(0.02)
    return False


def test_a_worker_that_is_killed_is_started_again(shop, served):
    served.accept(messages("a", "b", "c")).result(10)
    assert in_lake_in_time(shop, 3) == 3
    reports, report = [], served.compaction.on_report
    # why not asked for: the next one starts a tenth of a second later, and its report is a good one
    served.compaction.on_report = lambda trouble: (reports.append(str(trouble)), report(trouble))
    served.compaction.process.kill()
    served.accept(messages("d")).result(10)
    assert in_lake_in_time(shop, 4, wake=served.compaction.wake) == 4
    assert trouble_in_time(served, "")
    assert any("ended (exit status -9)" in one for one in reports)


def test_a_worker_that_dies_with_unread_input_is_reported_as_ended(shop, monkeypatch):
    monkeypatch.setattr("patron.service.compaction_worker.RESTART_SECONDS", 0.1)
    reports = []

    def kill_and_wake(trouble):
        reports.append(str(trouble))
        if len(reports) == 1:
            compaction.process.kill()
            os.waitid(os.P_PID, compaction.process.pid, os.WEXITED | os.WNOWAIT)
            compaction.wake()

    compaction = CompactionProcess(shop.folder, kill_and_wake)
    compaction.start()
    until = time.monotonic() + 30
    while len(reports) < 2 and time.monotonic() < until:
        if not reports:
            compaction.wake()
        time.sleep(0.05)
    compaction.stop()
    assert "ended (exit status -9)" in reports[1]


def test_what_waits_is_moved_when_the_collector_ends(shop):
    collector = Collector(shop, CompactionProcess(shop.folder))
    collector.start()
    collector.accept(messages("a")).result(10)
    collector.stop()
    assert stored(shop) == ["a"]


def test_whatever_stops_a_move_is_reported_and_tried_again(shop, served):
    (shop.folder / "lake" / "events").write_text("in the way", encoding="utf-8")
    served.accept(messages("a", "b", "c")).result(10)
    assert trouble_in_time(served, "cannot be moved into the lake")
    (shop.folder / "lake" / "events").unlink()
    served.compaction.wake()
    assert in_lake_in_time(shop, 3) == 3
    assert trouble_in_time(served, "")


def test_damage_that_compaction_finds_closes_the_door(shop, served):
    served.accept(messages("a")).result(10)
    with sqlite3.connect(shop.folder / "inbox.db") as con:
        con.execute("update inbox_requests set sealed_messages = x'00'")
    con.close()
    served.compaction.wake()
    assert trouble_in_time(served, "was changed after it was written")
    with pytest.raises(InboxDamaged):
        served.accept(messages("b"))


def test_a_worker_that_prints_something_odd_or_cannot_be_started_is_started_again(shop, monkeypatch):
    monkeypatch.setattr("patron.service.compaction_worker.RESTART_SECONDS", 0.05)
    odd, reports = shop.folder / "odd", []
    odd.write_text(f"#!{sys.executable}\nimport sys\nprint('hello', flush=True)\nsys.stdin.read()\n", encoding="utf-8")
    monkeypatch.setattr("patron.service.compaction_worker.sys.executable", str(odd))
    worker = CompactionProcess(shop.folder, reports.append)
    worker.start()
    until = time.monotonic() + 10
    while not any("cannot be started" in str(report) for report in reports) and time.monotonic() < until:
        time.sleep(0.01)
    odd.chmod(0o700)
    while not any("reported b'hello" in str(report) for report in reports) and time.monotonic() < until:
        time.sleep(0.01)
    worker.process.kill()
    while not any("ended (exit status -9)" in str(report) for report in reports) and time.monotonic() < until:
        time.sleep(0.01)
    worker.stop()
    texts, said = ("cannot be started", "reported b'hello", "ended (exit status -9)"), " ".join(map(str, reports))
    report_counts = [said.count(text) for text in texts]
    assert min(report_counts) >= 1
