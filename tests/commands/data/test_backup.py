import os
import tarfile
from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from patron.commands.data.backup import backup, restore
from patron.commands.data.doctor import doctor
from patron.govern.access import audit_log
from patron.schema.errors import MasterKeyError, PatronError, WorkspaceError
from patron.schema.table_definition import TIME
from patron.schema.tables import CUTOFFS
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import PRODUCT_EDGES_FILE

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def shop(shop):
    for name in ("x", "y"):
        times = pa.array([0], pa.int64()).cast(TIME)
        shop.lake.append(CUTOFFS, pa.table({"run_id": ["a"], "customer_id": [name], "as_of": times}))
    return shop


def test_a_restored_workspace_holds_what_the_backup_held_then(shop, tmp_path):
    (shop.folder / "policy.toml").write_text("[budget]\namount = 0.07\n")
    archive = backup(shop, tmp_path / "b.tar.gz")
    times = pa.array([0], pa.int64()).cast(TIME)
    shop.lake.append(CUTOFFS, pa.table({"run_id": ["a"], "customer_id": ["later"], "as_of": times}))
    assert archive.table_count == 1
    restore(tmp_path / "b.tar.gz", tmp_path / "again", now=NOW)
    again = Shop.open(tmp_path / "again")
    assert sorted(again.lake.read(CUTOFFS)["customer_id"].to_pylist()) == ["x", "y"]
    assert again.policy.budget.cents == 7
    assert again.workspace_id == shop.workspace_id
    again.close()


def test_a_backup_never_replaces_a_file_and_a_restore_never_a_folder(shop, tmp_path):
    backup(shop, tmp_path / "b.tar.gz")
    with pytest.raises(WorkspaceError, match="exists already"):
        backup(shop, tmp_path / "b.tar.gz")
    with pytest.raises(WorkspaceError, match="not empty"):
        restore(tmp_path / "b.tar.gz", shop.folder, now=NOW)


def test_a_linked_file_goes_into_the_backup_by_its_content(shop, tmp_path):
    (tmp_path / "elsewhere.csv").write_text("product_id,related_id,kind,weight\na,b,complement,1\n")
    (shop.folder / PRODUCT_EDGES_FILE).symlink_to(tmp_path / "elsewhere.csv")
    backup(shop, tmp_path / "b.tar.gz")
    (tmp_path / "elsewhere.csv").unlink()
    restore(tmp_path / "b.tar.gz", tmp_path / "again", now=NOW)
    assert "complement" in (tmp_path / "again" / PRODUCT_EDGES_FILE).read_text()


def test_what_stands_in_for_a_file_is_never_packed(shop, tmp_path):
    """A folder there could hold keys, and a pipe would be waited for."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.key").write_text("secret")
    place = shop.folder / PRODUCT_EDGES_FILE
    place.symlink_to(tmp_path / "keys")
    with pytest.raises(WorkspaceError, match="is not a file"):
        backup(shop, tmp_path / "b.tar.gz")
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(WorkspaceError, match="is not a file"):
        backup(shop, tmp_path / "b.tar.gz")
    assert not (tmp_path / "b.tar.gz").exists()


def test_a_damaged_archive_makes_no_workspace(shop, tmp_path):
    whole = tmp_path / "b.tar.gz"
    backup(shop, whole)
    (tmp_path / "cut.tar.gz").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(WorkspaceError, match="cannot be read"):
        restore(tmp_path / "cut.tar.gz", tmp_path / "new", now=NOW)
    assert not (tmp_path / "new").exists()


def test_an_archive_of_something_else_is_refused(tmp_path):
    (tmp_path / "x").write_text("x")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "x", "x")
    with pytest.raises(PatronError, match="is not a Patron backup"):
        restore(tmp_path / "x.tar.gz", tmp_path / "new", now=NOW)


def test_a_backup_whose_bytes_changed_is_refused_and_leaves_nothing(shop, tmp_path):
    backup(shop, tmp_path / "b.tar.gz")
    unpacked = tmp_path / "unpacked"
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        tar.extractall(unpacked, filter="data")
    (unpacked / "policy.toml").write_text("[budget]\namount = 0.01\n")
    with tarfile.open(tmp_path / "changed.tar.gz", "w:gz") as tar:
        tar.add(unpacked, ".")
    with pytest.raises(WorkspaceError, match=r"1 files are damaged, such as policy\.toml"):
        restore(tmp_path / "changed.tar.gz", tmp_path / "new", now=NOW)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "new.partial").exists()


def test_a_backup_can_be_read_by_its_owner_only_and_holds_no_outbox(shop, tmp_path):
    (shop.folder / "outbox" / "t").mkdir(parents=True)
    (shop.folder / "outbox" / "t" / "offers_file.csv").write_text("alice@example.com")
    archive = backup(shop, tmp_path / "b.tar.gz")
    assert archive.path.stat().st_mode & 0o077 == 0
    with tarfile.open(archive.path) as tar:
        assert not [name for name in tar.getnames() if "outbox" in name]


def test_doctor_asks_a_restored_workspace_for_no_file_of_the_outbox(w, tmp_path):
    assert list((w / "outbox").rglob("*.csv"))
    with closing(Shop.open(w)) as shop:
        backup(shop, tmp_path / "b.tar.gz")
    restore(tmp_path / "b.tar.gz", tmp_path / "again", now=NOW)
    assert [
        finding for finding in doctor(tmp_path / "again") if finding.check == "outbox" and finding.level == "problem"
    ] == []


def test_a_backup_holds_the_tracking_plan_and_its_restore_is_recorded_and_private(shop, tmp_path):
    (shop.folder / "tracking").mkdir()
    (shop.folder / "tracking" / "Product Viewed.json").write_text('{"type": "object"}')
    (shop.folder / "product_edges.csv").write_text("product_id,related_id,kind\n")
    pq.write_table(pa.table({"product_id": ["a"], "vector": [[1.0]]}), shop.folder / "image_vectors.parquet")
    backup(shop, tmp_path / "b.tar.gz")
    restore(tmp_path / "b.tar.gz", tmp_path / "again", now=NOW)
    assert (tmp_path / "again" / "tracking" / "Product Viewed.json").read_text() == '{"type": "object"}'
    assert all((tmp_path / "again" / name).exists() for name in ("product_edges.csv", "image_vectors.parquet"))
    assert not [path for path in (tmp_path / "again").rglob("*") if path.stat().st_mode & 0o077]
    with closing(Shop.open(tmp_path / "again")) as again:
        assert audit_log.entries(again.store)[-1].action == "restored"
        assert (again.workspace_id, audit_log.log_problem(again)) == (shop.workspace_id, "")
    assert audit_log.log_problem(shop) == ""
    assert not [finding for finding in doctor(tmp_path / "again") if finding.level == "problem"]


def test_a_restore_without_the_master_key_or_with_a_file_that_is_not_listed_leaves_nothing(shop, tmp_path, monkeypatch):
    backup(shop, tmp_path / "b.tar.gz")
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
        with pytest.raises(MasterKeyError, match="is missing"):
            restore(tmp_path / "b.tar.gz", tmp_path / "new", now=NOW)
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    (tmp_path / "unpacked" / "tracking").mkdir()
    (tmp_path / "unpacked" / "tracking" / "Cart Viewed.json").write_text("{}")
    with tarfile.open(tmp_path / "more.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "unpacked", ".")
    with pytest.raises(WorkspaceError, match="Cart Viewed"):
        restore(tmp_path / "more.tar.gz", tmp_path / "new", now=NOW)
    assert not list(tmp_path.glob("new*"))
