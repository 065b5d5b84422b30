"""Requests that were acknowledged and are gone with the inbox, its log or the lake: found, and refused by writers."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from damaged_files import FILE_DAMAGES, damage_file
from patron.collect.inbox.compaction import compact_inbox
from patron.collect.inbox.inbox_sqlite import BOUND_SUFFIX
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import Message, Request
from patron.commands.access.manage_keys import create_key
from patron.commands.data.accept_loss import accept_loss
from patron.commands.data.backup import backup
from patron.commands.data.doctor import doctor
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import InboxDamaged, LakeDamaged
from patron.schema.tables import EVENTS
from patron.service.collector import Collector
from patron.storage.shop import Shop

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def request(number):
    row = {"event_id": f"m{number}", "name": "Product Viewed", "occurred_at": NOW, "product_id": "p", "user_id": "u"}
    return Request("web", NOW, [Message(f"m{number}", row)])


def put(shop, *numbers):
    with open_inbox(shop) as inbox:
        inbox.append([request(number) for number in numbers])


def problems(folder):
    return {finding.check: finding.what for finding in doctor(folder) if finding.level == "problem"}


@pytest.fixture
def waiting(shop):
    """A workspace with two requests that wait in the inbox, and a source with a key."""
    create_key(RequestContext.from_name(shop, now=NOW), "web")
    put(shop, 1, 2)
    return shop


@pytest.mark.parametrize("name", ["inbox.db", "inbox.commits"])
def test_an_inbox_that_is_deleted_is_found_and_refused_by_whoever_writes(waiting, name):
    (waiting.folder / name).unlink()
    assert "is missing" in problems(waiting.folder)["inbox"]
    collector = Collector(waiting)
    collector.start()
    with pytest.raises(InboxDamaged, match="is missing"):
        collector.accept(request(3))
    collector.stop()
    for write in (compact_inbox, lambda shop: backup(shop, shop.folder.parent / "b.tar.gz")):
        with pytest.raises(InboxDamaged, match="is missing"):
            write(waiting)
    assert not (waiting.folder / name).exists()
    assert not (waiting.folder.parent / "b.tar.gz").exists()


def leave_log(shop):
    """What a collector that was killed leaves: the last request is in the write-ahead log only."""
    with open_inbox(shop) as inbox:
        inbox.append([request(3)])
        for name in ("inbox.db", "inbox.db-wal"):
            shutil.copy(shop.folder / name, shop.folder / f"{name}.copy")
    for name in ("inbox.db", "inbox.db-wal"):
        (shop.folder / f"{name}.copy").replace(shop.folder / name)
    return shop.folder / "inbox.db-wal"


@pytest.mark.parametrize("damage", ["kept", *FILE_DAMAGES])
def test_a_request_that_was_lost_with_the_write_ahead_log_is_found(waiting, damage):
    log = leave_log(waiting)
    if damage != "kept":
        damage_file(log, damage)
    else:
        with open_inbox(waiting) as inbox:
            assert inbox.pending_count() == 3
        return
    assert "inbox" in problems(waiting.folder)
    with pytest.raises(InboxDamaged):
        compact_inbox(waiting)


def test_after_the_loss_is_accepted_what_is_left_is_moved(waiting):
    leave_log(waiting).unlink()
    assert accept_loss(waiting.folder, now=NOW)
    assert not problems(waiting.folder)
    put(waiting, 4)
    compact_inbox(waiting)
    assert sorted(waiting.lake.read(EVENTS)["event_id"].to_pylist()) == ["m1", "m2", "m4"]


@pytest.mark.parametrize("has_same_key", [False, True])
def test_the_inbox_of_another_workspace_is_refused(waiting, tmp_path, monkeypatch, has_same_key):
    if has_same_key:
        monkeypatch.setenv("PATRON_MASTER_KEY", waiting.master_key_place.file.read_text())
    with closing(Shop.create(tmp_path / "other")) as other:
        create_key(RequestContext.from_name(other, now=NOW), "web")
        put(other, 7)
    for path in waiting.folder.glob("inbox.*"):
        path.unlink()
    for name in ("inbox.db", "inbox.commits"):
        shutil.copy(tmp_path / "other" / name, waiting.folder / name)
    assert "not the inbox of this workspace" in problems(waiting.folder)["inbox"]
    with pytest.raises(InboxDamaged):
        compact_inbox(waiting)


def test_an_inbox_where_there_was_none_is_refused_unless_it_is_empty(shop, tmp_path):
    with closing(Shop.create(tmp_path / "other")) as other:
        put(other, 7)
    shutil.copy(tmp_path / "other" / "inbox.db", shop.folder)
    with pytest.raises(InboxDamaged, match="not the inbox of this workspace"):
        compact_inbox(shop)


@pytest.mark.parametrize("lost", ["newest commit", "events folder"])
def test_a_lake_that_lost_events_which_the_inbox_had_moved_is_refused(waiting, lost):
    compact_inbox(waiting)
    put(waiting, 3)
    compact_inbox(waiting)
    folder = waiting.lake.path(EVENTS)
    if lost == "events folder":
        shutil.rmtree(folder)
    else:
        max((folder / "_delta_log").glob("*.json")).unlink()
    with pytest.raises(LakeDamaged, match="ends before version"):
        compact_inbox(waiting)
    assert "ends before version" in problems(waiting.folder)["lake/events"]


def test_the_bound_of_the_inbox_is_beside_it(waiting):
    assert (waiting.folder / "inbox.db").with_suffix(BOUND_SUFFIX).name == "inbox.commits"
    assert (waiting.folder / "inbox.commits").stat().st_mode & 0o077 == 0


CHANGES = (
    "update inbox_progress set moved_seq = moved_seq + 256",
    "update inbox_loaded set loaded_seq = 0",
    "update inbox_counts set stored_count = stored_count + 1",
    "update inbox_identity set lake_id = 'x' || lake_id",
    "update inbox_customer_marks set marks = iif(substr(marks, 1, 1) = x'00', x'01', x'00') || substr(marks, 2)",
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_count_position_or_mark_is_found(waiting, change):
    compact_inbox(waiting)
    put(waiting, 3)
    with closing(sqlite3.connect(waiting.folder / "inbox.db")) as connection, connection:
        connection.execute(change)
    assert "changed" in problems(waiting.folder)["inbox"]
    if "marks" not in change:
        with pytest.raises(InboxDamaged, match="changed"):
            compact_inbox(waiting)


def test_a_check_finds_no_fault_with_what_another_process_released_meanwhile(waiting, monkeypatch):
    with open_inbox(waiting) as inbox:
        read = inbox.pending_requests

        def released_after_reading(**limits):
            requests = read(**limits)
            if requests:
                compact_inbox(waiting)
                with open_inbox(waiting) as other:
                    other.release(requests[-1].seq)
            return requests

        monkeypatch.setattr(inbox, "pending_requests", released_after_reading)
        inbox.check()
        assert inbox.pending_count() == 0


def test_a_damaged_lake_takes_no_event_from_the_collector(waiting):
    compact_inbox(waiting)
    put(waiting, 3)
    max((waiting.lake.path(EVENTS) / "_delta_log").glob("*.json")).unlink()
    with open_inbox(waiting, is_checked=True) as inbox:
        assert inbox.pending_count() == 1
    with pytest.raises(LakeDamaged):
        compact_inbox(waiting)
