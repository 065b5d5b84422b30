"""What a power cut must find on disk: no name before its bytes, and no command done before its names are safe.

The study of every disk that a cut may leave is benchmarks/storage/power_loss.py.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event

from lake_records import KEY
from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.commands.data.backup import backup, restore
from patron.commands.data.init_workspace import create
from patron.commands.data.simulate import simulate
from patron.schema.progress import silent
from patron.schema.tables import EVENTS
from patron.storage.durable_files import private_file
from patron.storage.lake import lake_checkpoint, lake_log
from patron.storage.lake.lake_erasure import Eraser
from patron.storage.models.model_registry import Manifest, ModelRecord, save
from patron.storage.safe_csv import write_csv
from patron.storage.store.store import METADATA, MODEL_MANIFESTS, WORKSPACE, Store, sqlite_url
from sample_rows import sample


class SyncLog:
    """What was synced, what was put in place before its bytes were, and which names are not safe yet."""

    def __init__(self, monkeypatch, root):
        self.root, self.synced, self.too_early, self.unsafe, self.moved = root, set(), [], set(), []
        fsync, mkdir, rename, replace = os.fsync, os.mkdir, os.rename, os.replace

        def record_sync(handle):
            fsync(handle)
            path = Path(f"/proc/self/fd/{handle}").resolve()
            self.synced.add(path.stat().st_ino)
            self.unsafe -= {name for name in self.unsafe if name.parent == path}

        def record_folder(path, *args, **options):
            mkdir(path, *args, **options)
            self.unsafe |= {Path(path).absolute()} if str(path).startswith(str(root)) else set()

        def record_name(real):
            def move(old, new, **options):
                real(old, new, **options)
                path = Path(new).absolute()
                files = [one for one in (path, *path.rglob("*")) if one.is_file()]
                self.too_early += [file for file in files if file.stat().st_ino not in self.synced]
                self.moved.append(path.name)
                self.unsafe = {one for one in self.unsafe if one != Path(old).absolute()} | {path}

            return move

        monkeypatch.setattr(os, "fsync", record_sync)
        monkeypatch.setattr(os, "mkdir", record_folder)
        monkeypatch.setattr(os, "rename", record_name(rename))
        monkeypatch.setattr(os, "replace", record_name(replace))

    def unsafe_names(self):
        """Names that a power cut now may take away, of what is still there."""
        names = (one.relative_to(self.root) for one in self.unsafe if one.exists())
        return sorted(str(name) for name in names if "tmp" not in name.parts)


@pytest.fixture
def sync_log(monkeypatch, tmp_path):
    return SyncLog(monkeypatch, tmp_path)


def make_workspace(folder):
    create(folder / "new" / "shop", {"currency": "CHF"})


def write_export(folder):
    with private_file(folder / "scores.csv") as out:
        out.write(b"all")


def write_offers(folder):
    write_csv(folder / "outbox" / "2026-01-01" / "offers_file.csv", ["user_id"], [["ann"]])


class FittedNumber:
    def save(self, folder):
        (folder / "inner").mkdir()
        (folder / "inner" / "number.txt").write_text("1")


def save_model(folder, watch=lambda *_: None):
    manifest = Manifest("value", "2026-01-01", "mean", {}, "2026-01-01", 1, "1", {}, 1, "")
    store = Store(sqlite_url(folder / "tmp.db"), key=KEY)
    METADATA.create_all(store.engine, tables=[MODEL_MANIFESTS])
    event.listen(store.engine, "before_cursor_execute", watch)
    save(folder / "models", store, FittedNumber(), ModelRecord(manifest, {}, {}, ""))
    store.close()


def simulate_shop(folder):
    simulate(folder / "simulated", customers=5, days=30, seed=1, progress=silent)


@pytest.mark.parametrize("act", [make_workspace, write_export, write_offers, save_model])
def test_what_a_command_made_is_on_disk_when_it_is_done(act, sync_log, tmp_path):
    act(tmp_path)
    assert (sync_log.too_early, sync_log.unsafe_names()) == ([], [])


def test_a_model_is_on_disk_before_the_store_says_so(sync_log, tmp_path):
    unsafe = []

    def watch(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO model_manifests"):
            unsafe.append(sync_log.unsafe_names())

    save_model(tmp_path, watch)
    assert unsafe == [[]]


def test_a_simulated_shop_has_its_name_only_when_it_is_on_disk(sync_log, tmp_path):
    simulate_shop(tmp_path)
    assert sync_log.too_early == []


def test_settings_policy_and_key_are_on_disk_once_the_workspace_is_made(sync_log, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    create(tmp_path / "shop")
    key = next((tmp_path / "config").rglob("*.key"))
    for path in (tmp_path / "shop" / "patron.toml", tmp_path / "shop" / "policy.toml", key):
        assert path.stat().st_ino in sync_log.synced, path.name
        assert path.stat().st_mode & 0o777 == 0o600
    assert sync_log.unsafe_names() == []


def test_a_restored_workspace_is_on_disk_before_it_has_its_name(shop, sync_log, tmp_path):
    backup(shop, tmp_path / "a.tar.gz")
    restore(tmp_path / "a.tar.gz", tmp_path / "deep" / "again", now=datetime(2026, 3, 1, tzinfo=UTC))
    assert sync_log.too_early == []
    assert [name for name in sync_log.unsafe_names() if name.startswith("deep")] == []


def test_what_a_killed_process_left_unsynced_is_on_disk_before_it_leaves_the_inbox(shop, sync_log, monkeypatch):
    row = {"type": "track", "event": "Product Viewed", "userId": "u1", "timestamp": "2026-03-01T11:59:00Z"}
    body = json.dumps({"batch": [row | {"messageId": one} for one in ("a", "b")]}).encode()
    rules = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)
    with open_inbox(shop) as inbox:
        inbox.append([validate_batch(body, "web", datetime(2026, 3, 1, 12, tzinfo=UTC), rules)])

    def killed_at_commit(path):
        if path.name == f"{1:020}.json":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lake_log, "sync", killed_at_commit)
        with pytest.raises(KeyboardInterrupt):
            drain_inbox(shop)
    assert shop.lake.version(EVENTS) == 1
    drain_inbox(shop)
    with open_inbox(shop) as inbox:
        assert inbox.pending_count() == 0
    assert sorted(shop.lake.read(EVENTS)["event_id"].to_pylist()) == ["a", "b"]
    newest = max((shop.lake.path(EVENTS) / "_delta_log").glob("*.json"))
    assert newest.stat().st_ino in sync_log.synced


def test_a_store_whose_making_was_cut_off_between_two_tables_is_made_by_the_next_command(tmp_path):
    url = sqlite_url(tmp_path / "store.db")
    store, made = Store(url, key=KEY), []

    def cut_off(_connection, _cursor, statement, *_):
        made.extend([statement] if statement.lstrip().upper().startswith("CREATE TABLE") else [])
        if len(made) == 6:
            raise KeyboardInterrupt

    event.listen(store.engine, "before_cursor_execute", cut_off)
    with pytest.raises(KeyboardInterrupt):
        store.upgrade()
    store.close()
    again = Store(url, key=KEY)
    again.upgrade()
    with again.begin() as connection:
        assert connection.execute(WORKSPACE.select()).all() == []
    again.close()


def test_a_checkpoint_of_a_log_comes_into_it_whole_and_synced(shop, sync_log, monkeypatch):
    monkeypatch.setattr(lake_checkpoint, "COMMITS_PER_CHECKPOINT", 3)
    rows = sample(EVENTS, 4, np.random.default_rng(1))
    for start in range(4):
        shop.lake.append(EVENTS, rows.slice(start, 1))
    checkpoints = [f"{3:020}.checkpoint.parquet", "_last_checkpoint"]
    assert [name for name in sync_log.moved if "checkpoint" in name] == checkpoints
    assert sync_log.too_early == []
    Eraser(shop.lake.folder, shop.lake.record).delete_history(EVENTS)
    assert f"{4:020}.checkpoint.parquet" in sync_log.moved
    assert shop.lake.read(EVENTS).num_rows == 4
    assert not (shop.lake.path(EVENTS) / ".checkpoint").exists()
