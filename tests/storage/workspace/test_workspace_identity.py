"""What makes a workspace this one is deleted, emptied, cut, changed or another's: refused, and never made anew."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from tests.support.shops.workspace_copies import copy_files

from damaged_files import FILE_DAMAGES, damage_file
from patron.commands.access.manage_keys import create_key, list_keys
from patron.commands.data.accept_loss import accept_loss
from patron.commands.data.doctor import doctor
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import MasterKeyError, PatronError, WorkspaceError
from patron.storage.durable_files import write_durably
from patron.storage.shop import Shop
from patron.storage.store.store import AUDIT, WORKSPACE
from patron.storage.workspace.workspace_files import missing_parts

NOW = datetime(2024, 6, 1, tzinfo=UTC)
PARTS = ("workspace.json", "patron.toml", "policy.toml", "store.db", "store.commits", "lake", "models", "outbox")


def problems(folder):
    return {finding.check: finding.what for finding in doctor(folder) if finding.level == "problem"}


def copy_of_files(folder):
    """Every file and folder of a workspace and what is in it, but scratch."""
    paths = (path for path in sorted(folder.rglob("*")) if "tmp" not in path.parts and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def w(shop):
    """The folder of a workspace with a key of a source, closed."""
    create_key(RequestContext.from_name(shop, now=NOW), "web")
    shop.close()
    return shop.folder


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_deleted_is_refused_found_and_not_made_again(w, part):
    path = w / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = copy_of_files(w)
    with pytest.raises(WorkspaceError) as refused:
        Shop.open(w)
    assert "missing" in refused.value.what
    assert refused.value.todo
    with pytest.raises(WorkspaceError):
        Shop.create(w)
    assert problems(w)
    assert copy_of_files(w) == before


@pytest.mark.parametrize("part", ["workspace.json", "store.db", "store.commits"])
@pytest.mark.parametrize("damage", ["emptied", "cut in half", "one bit flipped"])
def test_a_damaged_part_is_refused_and_found(w, part, damage):
    path = w / part
    content = bytearray(path.read_bytes())
    content[min(40, len(content) // 3)] ^= 4
    half = bytes(content[: len(content) // 2])
    path.write_bytes({"emptied": b"", "cut in half": half, "one bit flipped": bytes(content)}[damage])
    with pytest.raises(PatronError) as refused:
        Shop.open(w)
    assert refused.value.todo
    assert problems(w)


def test_any_bit_of_the_store_that_is_flipped_is_found(w):
    content = (w / "store.db").read_bytes()
    for place in range(7, len(content), len(content) // 25):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        (w / "store.db").write_bytes(bytes(changed))
        assert {"store", "workspace"} & problems(w).keys(), place
    (w / "store.db").write_bytes(content)
    assert not problems(w)


def test_pages_that_a_power_cut_tore_while_the_log_was_moved_into_the_store_are_no_damage(w):
    shop = Shop.open(w)
    create_key(RequestContext.from_name(shop, now=NOW), "app")
    content, log = bytearray((w / "store.db").read_bytes()), (w / "store.db-wal").read_bytes()
    shop.close()
    page_size = int.from_bytes(log[8:12])
    pages = {int.from_bytes(log[at : at + 4]) for at in range(32, len(log), 24 + page_size)}
    torn = [page for page in pages if page * page_size <= len(content)]
    assert torn
    for page in torn:
        middle = (page - 1) * page_size + page_size // 2
        content[middle : page * page_size] = bytes(page_size // 2)
    (w / "store.db").write_bytes(content)
    (w / "store.db-wal").write_bytes(log)
    assert not problems(w)


@pytest.mark.parametrize("part", ["workspace.json", "store.db", "patron key"])
@pytest.mark.parametrize("has_same_key", [False, True])
def test_what_is_another_workspaces_is_refused(w, tmp_path, monkeypatch, part, has_same_key):
    key = next((tmp_path / "config" / "patron" / "keys").glob("*.key"))
    if has_same_key:
        monkeypatch.setenv("PATRON_MASTER_KEY", key.read_text())
    Shop.create(tmp_path / "other").close()
    if part == "patron key":
        monkeypatch.setenv("PATRON_MASTER_KEY", "ab" * 32)
        with pytest.raises(MasterKeyError, match="another workspace"):
            Shop.open(w)
        return
    shutil.copy(tmp_path / "other" / part, w / part)
    with pytest.raises(WorkspaceError, match="another workspace"):
        Shop.open(w)
    assert problems(w)


def test_a_server_with_the_store_of_another_workspace_is_refused(w, tmp_path, monkeypatch, postgres_url):
    with monkeypatch.context() as patch:
        patch.setenv("PATRON_STORE_URL", postgres_url)
        with pytest.raises(WorkspaceError, match="holds no workspace"):
            Shop.open(w)
        Shop.create(tmp_path / "other").close()
        with pytest.raises(WorkspaceError, match="is the store of workspace"):
            Shop.open(w)
    assert not problems(w)


def test_without_its_key_the_store_opens_for_nobody(w, tmp_path):
    assert b"SQLite" not in (w / "store.db").read_bytes()
    for key in (tmp_path / "config" / "patron" / "keys").glob("*.key"):
        key.unlink()
    with pytest.raises(MasterKeyError, match="missing"):
        Shop.open(w)
    assert "missing" in problems(w)["master key"]
    assert not list((tmp_path / "config" / "patron" / "keys").glob("*.key"))


def leave_log(shop):
    """What a process that was killed leaves: the last commits are in the write-ahead log only."""
    create_key(RequestContext.from_name(shop, now=NOW), "app")
    for name in ("store.db", "store.db-wal"):
        shutil.copy(shop.folder / name, shop.folder / f"{name}.copy")
    shop.close()
    for name in ("store.db", "store.db-wal"):
        (shop.folder / f"{name}.copy").replace(shop.folder / name)
    return shop.folder


@pytest.mark.parametrize("damage", ["kept", *FILE_DAMAGES])
def test_commits_that_were_lost_with_the_write_ahead_log_are_found(shop, damage):
    folder = leave_log(shop)
    log = folder / "store.db-wal"
    if damage != "kept":
        damage_file(log, damage)
    else:
        with closing(Shop.open(folder)) as again:
            assert [key.source for key in list_keys(again)] == ["app"]
        return
    with pytest.raises(WorkspaceError):
        Shop.open(folder)
    assert problems(folder)
    if damage != "one bit flipped":
        assert accept_loss(folder, now=NOW)
        assert not problems(folder)
        with closing(Shop.open(folder)) as again:
            assert audit_log.entries(again.store)[-1].action == "loss accepted"


def test_an_older_copy_of_the_store_with_all_its_files_is_found_by_the_head_of_the_audit_log(shop, tmp_path):
    create_key(RequestContext.from_name(shop, now=NOW), "web")
    shop.close()
    copy_files(shop.folder, tmp_path / "older")
    with closing(Shop.open(shop.folder)) as again:
        create_key(RequestContext.from_name(again, now=NOW), "app")
    for name in ("store.db", "store.commits", "inbox.db", "inbox.commits"):
        shutil.copy(tmp_path / "older" / name, shop.folder / name)
    assert "it ends with entry 1, but 2 were written" in problems(shop.folder)["audit log"]
    with closing(Shop.open(shop.folder)) as again:  # what is written next does not hide it
        for source in ("a", "b", "c"):
            create_key(RequestContext.from_name(again, now=NOW), source)
    assert "entry 2 is not the one that was written" in problems(shop.folder)["audit log"]
    assert accept_loss(shop.folder, now=NOW)
    assert not problems(shop.folder)


def test_a_log_that_was_cut_or_written_without_the_key_is_found(shop):
    for source in ("a", "b", "c"):
        create_key(RequestContext.from_name(shop, now=NOW), source)
    assert audit_log.log_problem(shop) == ""
    log = audit_log.entries(shop.store)
    with shop.store.begin() as connection:
        connection.execute(sa.delete(AUDIT).where(AUDIT.c.entry == 3))
    assert "3 were written" in audit_log.log_problem(shop)
    with shop.store.begin() as connection:
        connection.execute(sa.delete(AUDIT))
        for one in log[:2]:
            content = (one.entry, one.at, "nothing", one.details, one.previous)
            stranger = audit_log._code(b"another key", content)
            connection.execute(sa.insert(AUDIT).values({**vars(one), "action": "nothing", "hash": stranger}))
    assert "entry 1 was changed" in audit_log.log_problem(shop)
    shop.audit_head.path.unlink()
    assert "head is missing" in audit_log.log_problem(shop) or "changed" in audit_log.log_problem(shop)


def test_a_head_that_is_missing_or_was_changed_is_found(shop):
    create_key(RequestContext.from_name(shop, now=NOW), "web")
    path = shop.audit_head.path
    assert not path.is_relative_to(shop.folder)
    content = path.read_text()
    path.write_text(content.replace('"entry": 1', '"entry": 0'))
    assert "damaged" in audit_log.log_problem(shop)
    path.unlink()
    create_key(RequestContext.from_name(shop, now=NOW), "app")
    assert "head is missing" in audit_log.log_problem(shop)
    assert accept_loss(shop.folder, now=NOW)
    assert audit_log.log_problem(shop) == ""


def test_the_store_refuses_what_it_cannot_read_while_it_is_open(shop):
    with shop.store.begin() as connection:
        connection.execute(sa.insert(WORKSPACE), [{"key": f"k{n}", "value": "x" * 400} for n in range(400)])
    shop.store.scrub()
    shop.close()
    content = bytearray((shop.folder / "store.db").read_bytes())
    with closing(Shop.open(shop.folder)) as again:
        for place in range(4096 * 3 + 50, len(content), 4096):
            content[place] ^= 1
        (shop.folder / "store.db").write_bytes(bytes(content))
        again.store.engine.dispose()
        with pytest.raises(WorkspaceError, match=r"damaged"), again.store.begin() as connection:
            connection.execute(sa.select(WORKSPACE)).all()


def test_every_file_is_its_owners_also_where_the_folder_existed(tmp_path):
    before = os.umask(0o022)
    try:
        folder = tmp_path / "mine"
        folder.mkdir(mode=0o755)
        with closing(Shop.create(folder)) as made:
            create_key(RequestContext.from_name(made, now=NOW), "web")
            keys = made.audit_head.path.parent
    finally:
        os.umask(before)
    places = [folder, *folder.rglob("*"), keys, *keys.iterdir()]
    assert not [(str(path), oct(path.stat().st_mode)) for path in places if path.stat().st_mode & 0o077]
    (folder / "patron.toml").chmod(0o644)
    [finding] = [one for one in doctor(folder) if one.check == "file modes"]
    assert (finding.level, "patron.toml" in finding.what) == ("warning", True)


def test_the_parts_of_a_workspace_are_all_there_after_it_is_made(shop):
    assert missing_parts(shop.folder, shop.settings) == []


def test_two_processes_that_write_one_private_file_at_once_leave_a_whole_one(tmp_path):
    path, contents = tmp_path / "head", [bytes([letter]) * 5_000 for letter in b"ab"]

    def write(content):
        for _ in range(40):
            write_durably(path, content, is_shared=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, contents))
    assert path.read_bytes() in contents
    assert [one.name for one in tmp_path.iterdir()] == ["head"]


def test_an_entry_is_written_also_where_its_head_cannot_be(shop, monkeypatch):
    def fail(*_):
        raise OSError("no such folder")

    monkeypatch.setattr(shop.audit_head, "move_to", fail)
    create_key(RequestContext.from_name(shop, now=NOW), "app")
    assert [entry.action for entry in audit_log.entries(shop.store)][-1] == "key created"
    assert audit_log.log_problem(shop) == ""
