"""Workspaces of every published layout open; a newer one, and one from before layout 1, is refused with a reason."""

import sqlite3
import sys

import pytest
import sqlalchemy as sa

import published_layouts
from patron.commands.doctor import doctor
from patron.govern.vault import Vault
from patron.interfaces.cli import main
from patron.schema.errors import WorkspaceError
from patron.schema.tables import EVENTS
from patron.storage.layout import LAYOUT, LAYOUT_VERSION
from patron.storage.shop import Shop
from patron.storage.store import DEAD_LETTERS, METADATA, WORKSPACE


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Make the workspace of a layout; its master key is the one in use."""

    def make(version):
        folder = published_layouts.make(version, tmp_path / str(version))
        monkeypatch.setenv("PATRON_MASTER_KEY_FILE", str(folder.parent / published_layouts.KEY_FILE))
        return folder

    return make


def write_version(folder, value):
    connection = sqlite3.connect(folder / "store.db")
    with connection:
        connection.execute("update workspace set value = ? where key = ?", (value, LAYOUT))
    connection.close()


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
    write_version(folder, str(LAYOUT_VERSION + 1))
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


def test_a_workspace_whose_creation_was_cut_off_is_completed(tmp_path):
    shop = Shop.create(tmp_path / "w")
    with shop.store.begin() as connection:
        connection.execute(sa.delete(WORKSPACE))
    shop.close()
    shop = Shop.open(tmp_path / "w")
    with shop.store.begin() as connection:
        assert connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == LAYOUT)) == str(LAYOUT_VERSION)
    shop.close()
