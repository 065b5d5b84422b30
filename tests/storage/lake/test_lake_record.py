"""The store's record of the lake is right after anything that is done to a table, also when it was killed meanwhile."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import published_layouts
import pyarrow as pa
import pytest

from damaged_files import damage_file
from lake_records import record_next_to
from patron.commands.data.doctor import doctor
from patron.schema.errors import LakeDamaged, WorkspaceError
from patron.schema.tables import EVENTS, REFERRALS
from patron.storage.duck_engine import DuckEngine
from patron.storage.lake.lake_amendment import Amender
from patron.storage.lake.lake_checkpoint import HINT, write_checkpoint
from patron.storage.lake.lake_erasure import Eraser, ErasureConditions
from patron.storage.lake.lake_inspection import Inspector
from patron.storage.lake.lake_log import checkpoint_path, log_path
from patron.storage.lake.lake_record import LakeRecord
from patron.storage.shop import Shop

NOW = datetime(2024, 1, 1, tzinfo=UTC)
WRITES = ("add_files", "add_commit", "delete_files", "delete_commits")


def referrals(*referred: str) -> pa.Table:
    rows = [{"customer_id": "a", "referred_customer_id": one, "occurred_at": NOW, "known_at": NOW} for one in referred]
    return pa.Table.from_pylist(rows, schema=REFERRALS.schema())


class Killed(BaseException):
    """What a process that was killed does: nothing any more."""


class MortalRecord(LakeRecord):
    """A record whose process is killed before or after its n-th write."""

    def __init__(self, store, lives: float) -> None:
        super().__init__(store)
        self.lives = lives
        for name in WRITES:
            setattr(self, name, self.mortal(getattr(self, name)))

    def mortal(self, write):
        def written(*args, **options):
            self.lives -= 0.5
            if self.lives == 0:
                raise Killed
            write(*args, **options)
            self.lives -= 0.5
            if self.lives == 0:
                raise Killed

        return written


class Everything(Amender, Eraser, Inspector):
    """A lake to which everything can be done."""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "lake"


@pytest.fixture
def store(folder):
    return record_next_to(folder)._store


def rows_of(lake: Everything) -> list[str]:
    return sorted(lake.read(REFERRALS)["referred_customer_id"].to_pylist())


def act(lake: Everything, rng: np.random.Generator, rows: list[str], number: int) -> tuple[str, list[str], object]:
    """A random deed, the rows that it should leave, and how to do it."""
    some = [row for row in rows if rng.random() < 0.3]
    kept, new = sorted(set(rows) - set(some)), f"n{number}"
    engine, gone = DuckEngine(), {"chosen": pa.table({"id": pa.array(some, pa.string())})}
    is_some = ErasureConditions("referred_customer_id in (select id from chosen)")
    deeds = {
        "append": ([*rows, new], lambda: lake.append(REFERRALS, referrals(new))),
        "replace": ([*kept, new], lambda: lake.replace(REFERRALS, referrals(*kept, new))),
        "amend": (
            [*kept, new],
            lambda: lake.amend(
                REFERRALS, engine, version=lake.version(REFERRALS), gone=referrals(*some), added=referrals(new)
            ),
        ),
        "erase": (
            kept,
            lambda: lake.erase(REFERRALS, engine, is_some, gone),
        ),
        "compact": (rows, lambda: lake.compact(REFERRALS, engine)),
        "vacuum": (rows, lambda: lake.vacuum(REFERRALS, retention=timedelta(0))),
        "delete_history": (rows, lambda: lake.delete_history(REFERRALS)),
    }
    name = rng.choice(list(deeds), p=[0.4, 0.05, 0.15, 0.1, 0.1, 0.1, 0.1])
    after, deed = deeds[name]
    return name, sorted(after), deed


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_done_or_cut_off_the_record_fits_the_lake(folder, store, seed):
    rng, rows = np.random.default_rng(seed), ["first"]
    Everything(folder, LakeRecord(store)).append(REFERRALS, referrals("first"))
    for number in range(18):
        lives = rng.integers(1, 8) / 2 if rng.random() < 0.6 else np.inf
        name, after, deed = act(Everything(folder, MortalRecord(store, lives)), rng, rows, number)
        allowed = [after]
        try:
            deed()
        except Killed:
            allowed.append(rows)
        lake = Everything(folder, LakeRecord(store))
        rows = rows_of(lake)
        assert rows in allowed, name
        assert not lake.damaged_files(REFERRALS), name
        assert all(of_log == of_store for of_log, of_store in lake.row_counts(REFERRALS).values())
    lake.delete_history(REFERRALS)
    assert {entry.path for entry in lake.record.all_files(REFERRALS.name)} == {
        str(path.relative_to(lake.path(REFERRALS))) for path in lake.path(REFERRALS).glob("*.parquet")
    }
    assert len(lake.record.commits(REFERRALS.name, lake.version(REFERRALS))) == 1


@pytest.mark.parametrize("content", [b"", b'{"commitInfo":{}}\n{"add":{"pa'])
def test_a_commit_that_a_power_failure_has_torn_does_not_count_and_goes(folder, store, content):
    lake = Everything(folder, LakeRecord(store))
    version = lake.append(REFERRALS, referrals("x"))
    log_path(lake.path(REFERRALS), version + 1).write_bytes(content)
    again = Everything(folder, LakeRecord(store))
    assert rows_of(again) == ["x"]
    assert again.append(REFERRALS, referrals("y")) == version + 1
    assert rows_of(again) == ["x", "y"]


def test_a_commit_that_names_a_file_of_nobody_is_refused(folder, store):
    lake = Everything(folder, MortalRecord(store, 4.5))  # killed after the commit, before its entry
    lake.append(REFERRALS, referrals("x"))
    with pytest.raises(Killed):
        lake.append(REFERRALS, referrals("y"))
    newest = log_path(lake.path(REFERRALS), 2)
    newest.write_text(newest.read_text().replace("part-", "trap-"))
    with pytest.raises(LakeDamaged, match="did not write"):
        Everything(folder, LakeRecord(store)).version(REFERRALS)


def test_a_changed_or_missing_checkpoint_is_refused(folder, store):
    lake = Everything(folder, LakeRecord(store))
    version = lake.append(REFERRALS, referrals("x"))
    lake.delete_history(REFERRALS)
    lake.append(REFERRALS, referrals("y"))
    checkpoint = checkpoint_path(lake.path(REFERRALS), version)
    whole = checkpoint.read_bytes()
    for content in (whole[:-1] + b"X", whole[: len(whole) // 2], b""):
        checkpoint.write_bytes(content)
        with pytest.raises(LakeDamaged, match="has changed"):
            Everything(folder, LakeRecord(store)).files(REFERRALS)
    checkpoint.unlink()
    with pytest.raises(LakeDamaged, match="is missing"):
        Everything(folder, LakeRecord(store)).files(REFERRALS)


def test_a_table_that_the_store_never_heard_of_is_refused(folder, store, tmp_path):
    other = tmp_path / "other" / "lake"
    lake = Everything(other, record_next_to(other))
    lake.append(REFERRALS, referrals("x"))
    lake.delete_history(REFERRALS)
    shutil.copytree(other / REFERRALS.name, folder / REFERRALS.name)
    with pytest.raises(LakeDamaged, match="does not know"):
        Everything(folder, LakeRecord(store)).exists(REFERRALS)


def test_an_upgrade_takes_the_lake_as_it_is(tmp_path, monkeypatch):
    folder = published_layouts.make(1, tmp_path / "1")
    monkeypatch.setenv("PATRON_MASTER_KEY_FILE", str(folder.parent / published_layouts.KEY_FILE))
    shop = Shop.open(folder)
    file, *_ = shop.lake.files(EVENTS)
    shop.close()
    assert any("hashed at the upgrade" in finding.what for finding in doctor(folder))
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(content)
    shop = Shop.open(folder)
    with pytest.raises(LakeDamaged, match="has changed"):
        shop.lake.read(EVENTS)
    shop.close()


def test_what_a_process_killed_in_its_first_commit_staged_locks_nobody_out(folder, store):
    lake = Everything(folder, LakeRecord(store))
    log = lake.path(REFERRALS) / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json#1").write_text("staged")
    lake.sync_commits(REFERRALS)
    lake.append(REFERRALS, referrals("x"))
    assert rows_of(Everything(folder, LakeRecord(store))) == ["x"]


def test_files_that_another_process_erased_are_gone_and_not_damaged(folder, store):
    here, there = (Everything(folder, LakeRecord(store)) for _ in range(2))
    here.append(REFERRALS, referrals("x"))
    old = here.version(REFERRALS)
    paths = here.files(REFERRALS, old)
    there.replace(REFERRALS, referrals("y"))
    there.delete_history(REFERRALS)
    with pytest.raises(WorkspaceError, match="cannot be read any more") as refusal:
        here.verifier.verify_files(REFERRALS, paths, old)
    assert not isinstance(refusal.value, LakeDamaged)


@pytest.fixture
def listed(tmp_path):
    """A lake that has listed the files of its newest version, and that version."""
    folder = tmp_path / "lake"
    lake = Everything(folder, record_next_to(folder))
    lake.append(REFERRALS, referrals("b"))
    version = lake.append(REFERRALS, referrals("c"))
    assert len(lake.files(REFERRALS)) == len(lake.files(REFERRALS)) == 2
    return lake, version


def test_a_file_that_is_damaged_after_its_list_was_read_is_refused(listed):
    lake, _ = listed
    damage_file(Path(lake.files(REFERRALS)[0]), "one bit flipped")
    with pytest.raises(LakeDamaged):
        lake.files(REFERRALS)


def test_a_log_that_is_damaged_after_its_list_was_read_is_refused(listed):
    lake, version = listed
    damage_file(log_path(lake.path(REFERRALS), version), "one bit flipped")
    with pytest.raises(LakeDamaged):
        lake.files(REFERRALS)


def test_what_another_process_commits_and_erases_is_seen_at_once(listed):
    lake, version = listed
    other = Everything(lake.folder, record_next_to(lake.folder))
    other.append(REFERRALS, referrals("d"))
    assert len(lake.files(REFERRALS)) == 3
    assert len(lake.files(REFERRALS, version)) == 2
    other.erase(REFERRALS, DuckEngine(), ErasureConditions("referred_customer_id = 'b'"), {})
    other.delete_history(REFERRALS)
    assert len(lake.files(REFERRALS)) == 2
    with pytest.raises(WorkspaceError, match="cannot be read any more"):
        lake.files(REFERRALS, version)


def test_a_checkpoint_that_was_cut_off_before_its_hint_is_made_again(listed):
    lake, version = listed
    folder = lake.path(REFERRALS)
    assert write_checkpoint(folder) == version
    (folder / "_delta_log" / HINT).unlink()
    assert write_checkpoint(folder) == version
    assert len(Everything(lake.folder, record_next_to(lake.folder)).read(REFERRALS)) == 2
