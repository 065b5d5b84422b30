"""Workspaces of every published layout open; a newer one, and one from before layout 1, is refused with a reason."""

import hashlib
import json
import sqlite3
import sys
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources

import published_layouts
import pytest
import sqlalchemy as sa

from patron.commands.access.manage_keys import create_key
from patron.commands.data.doctor import doctor
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.interfaces.cli import main
from patron.schema.errors import WorkspaceError
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.storage.store.store import AUDIT, DEAD_LETTERS, METADATA, WORKSPACE
from patron.storage.workspace.layout import LAYOUT, LAYOUT_VERSION
from patron.storage.workspace.workspace_identity import read_identity, write_identity


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Make the workspace of a layout; its master key is the one in use."""

    def make(version):
        folder = published_layouts.make(version, tmp_path / str(version))
        monkeypatch.setenv("PATRON_MASTER_KEY_FILE", str(folder.parent / published_layouts.KEY_FILE))
        return folder

    return make


def write_version(folder, value):
    shop = Shop.open(folder)
    with shop.store.begin() as connection:
        connection.execute(sa.update(WORKSPACE).where(WORKSPACE.c.key == LAYOUT).values(value=value))
    shop.close()


@pytest.mark.parametrize("version", range(1, LAYOUT_VERSION + 1))
def test_a_workspace_of_each_published_layout_opens(published, version):
    shop = Shop.open(published(version))
    with shop.store.begin() as connection:
        written = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == LAYOUT))
        rejected = connection.scalar(sa.select(sa.func.count()).select_from(DEAD_LETTERS))
    assert (written, rejected) == (str(LAYOUT_VERSION), 1)
    assert set(sa.inspect(shop.store.engine).get_table_names()) >= METADATA.tables.keys()
    tokens = sorted(set(shop.lake.read(EVENTS)["user_token"].to_pylist()))
    assert sorted(Vault.open(shop).reveal(tokens)) == ["ann", "ben"]
    shop.close()
    assert not [finding for finding in doctor(shop.folder) if finding.level == "problem"]


def test_a_workspace_of_a_newer_layout_is_refused(published, monkeypatch, capsys):
    folder = published(LAYOUT_VERSION)
    write_identity(folder, replace(read_identity(folder), layout=LAYOUT_VERSION + 1))
    before = (folder / "store.db").read_bytes()
    with pytest.raises(WorkspaceError) as refusal:
        Shop.open(folder)
    error = refusal.value
    assert f"layout {LAYOUT_VERSION + 1}, but this Patron knows layouts up to {LAYOUT_VERSION}" in error.what
    assert (error.where, error.todo) == (str(folder), "Upgrade the patron package.")
    monkeypatch.setattr(sys, "argv", ["patron", "backtest", "--workspace", str(folder)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code
    assert "Upgrade the patron package." in " ".join(capsys.readouterr().err.split())
    [finding] = [one for one in doctor(folder) if one.check == "workspace"]
    assert (finding.level, finding.todo) == ("problem", "Upgrade the patron package.")
    assert (folder / "store.db").read_bytes() == before


@pytest.mark.parametrize(("value", "message"), [("0", "not a valid one"), ("1b", "not a valid one")])
def test_a_layout_version_that_is_not_one_is_refused(published, value, message):
    folder = published(LAYOUT_VERSION)
    write_version(folder, value)
    with pytest.raises(WorkspaceError, match=message):
        Shop.open(folder)


def test_a_workspace_from_before_layout_1_is_refused(published):
    folder = published(1)
    connection = sqlite3.connect(folder / "store.db")
    with connection:
        connection.execute("delete from workspace where key = ?", (LAYOUT,))
        connection.execute("update alembic_version set version_num = '0005'")
    connection.close()
    with pytest.raises(WorkspaceError, match=r"before workspace layout 1 .* import your files again"):
        Shop.open(folder)


def killed(*_args, **_named):
    raise KeyboardInterrupt


CREATION = ("write_durably", "make_store", "finish_identity")


@pytest.mark.parametrize("step", CREATION)
def test_a_workspace_whose_creation_was_cut_off_does_not_open_and_is_completed_by_init(tmp_path, monkeypatch, step):
    with monkeypatch.context() as patch:
        patch.setattr(f"patron.storage.shop.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            Shop.create(tmp_path / "w")
    with pytest.raises(WorkspaceError, match="patron init"):
        Shop.open(tmp_path / "w")
    shop = Shop.create(tmp_path / "w")
    with shop.store.begin() as connection:
        assert connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == LAYOUT)) == str(LAYOUT_VERSION)
    shop.close()


UPGRADE = ("write_identity", "encrypt_store", "AuditHeadFile", "store_bound", "make_all_private")


@pytest.mark.parametrize("step", UPGRADE)
def test_an_upgrade_from_layout_1_that_was_killed_goes_on_and_loses_nothing(published, monkeypatch, step):
    folder = published(1)
    with monkeypatch.context() as patch:
        patch.setattr(f"patron.storage.workspace.workspace_store.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            Shop.open(folder)
    shop = Shop.open(folder)
    with shop.store.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(DEAD_LETTERS)) == 1
    shop.close()
    assert not [finding for finding in doctor(folder) if finding.level == "problem"]


def test_the_store_of_layout_1_is_encrypted_and_private_after_the_upgrade(published):
    folder = published(1)
    (folder / "store.db").chmod(0o644)
    assert (folder / "store.db").read_bytes().startswith(b"SQLite format 3")
    [finding] = [one for one in doctor(folder) if one.check == "store"]
    assert "older Patron" in finding.what
    assert (folder / "store.db").read_bytes().startswith(b"SQLite format 3")
    Shop.open(folder).close()
    assert not (folder / "store.db").read_bytes().startswith(b"SQLite format 3")
    assert not [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


def test_the_entries_of_the_audit_log_of_layout_1_stay_and_are_sealed(published):
    folder = published(1)
    previous = "0" * 64
    connection = sqlite3.connect(folder / "store.db")
    with connection:
        for number in (1, 2):
            content = [number, "2024-01-01", "exported", "{}", previous]
            digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
            connection.execute("insert into audit values (?, ?, ?, ?, ?, ?)", (*content, digest))
            previous = digest
    connection.close()
    shop = Shop.open(folder)
    assert audit_log.log_problem(shop) == ""
    create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "web")
    assert [entry.entry for entry in audit_log.entries(shop.store)] == [1, 2, 3]
    assert audit_log.log_problem(shop) == ""
    with shop.store.begin() as connection:
        connection.execute(sa.update(AUDIT).where(AUDIT.c.entry == 1).values(action="nothing"))
    assert "entry 1 was changed" in audit_log.log_problem(shop)
    shop.close()


PUBLISHED_MIGRATIONS = {
    "v0001_layout_1.py": "7ff3c653e8510bbf3385ae452529bf2981ad35058564266b2126898081afcc26",
    "v0002_layout_2.py": "aeb79f914d39d6828bb2d852aa9dfe6559dbe262b96f106e3f7c0fe6222cb277",
    "v0003_model_decisions.py": "79518a2409ec6dc2d00970c74ee96e12ed1c80a5fe230e9398c205f6d858d581",
    "v0004_withdrawals.py": "04a75c7e31ac7b910216598798c6d8671a5e1459112f446f84813940b7403d76",
    "v0005_campaigns.py": "8f9acbdc3064139e994ac4892366769804912a31a155c7a325b800e600615536",
    "v0006_journeys.py": "f04c57bc8c5bcc30b508b182fb5629e7591d4225c70a77d894007f6cf042440f",
    "v0007_console.py": "b15abf0b6cef1aecf6f116b578c1db6023ab2162727e9d1cc23118969ec94179",
    "v0010_task_effects.py": "8105110b6920680649803977c57f030592571b824cc2c372aae348b1f5eb6cb1",
    "v0011_identities.py": "f19ae5818c63e22a8a9834d02c4054ff8e02dc374108123f9d4b708425bb137c",
    "v0012_key_owners.py": "1283da06dddfabbabfdd47d2dd9524309d0fc6ecd57e4c85af3ddeb26c0d6076",
    "v0013_webhooks.py": "5218bf53ce202e4a978936a8e81c30e4a6dfc4c81f5a7de1f01dd64d635d2486",
    "v0015_privacy_extensions.py": "ae4b9db2cadb69fae235c6aaa79e7cc22da0af2e5aa0643c1ae3a4ef25f1e58c",
    "v0016_digests.py": "f95960fa0db8ff66e93aa78a9734cbf91b41bc4e8b81b7e6e18baacd8105d362",
}


def test_a_published_migration_is_never_edited():
    """Stores were made by it: what it says must stay what they are. A change is a new migration."""
    for name, digest in PUBLISHED_MIGRATIONS.items():
        content = (resources.files("patron.storage") / "migrations" / "versions" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, name
