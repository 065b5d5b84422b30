import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron.answers.data.sql_query import sql
from patron.schema.errors import InvalidTable, SettingsError, WorkspaceError
from patron.schema.tables import BY_NAME, CUTOFFS
from patron.storage.runs.last_run import last_run
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.storage.store.store import METADATA, RUNS, Store, sqlite_url

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
RUN = Run.at(AS_OF)


def cutoffs(*customers: str) -> pa.Table:
    return pa.table(
        {"run_id": [RUN.run_id] * len(customers), "customer_id": list(customers), "as_of": [AS_OF] * len(customers)}
    )


def finish(shop: Shop, run: Run, versions: dict) -> None:
    with shop.store.begin() as connection:
        connection.execute(
            sa.insert(RUNS).values(
                run_id=run.run_id,
                as_of=run.as_of,
                finished_at=run.as_of,
                seconds=1.0,
                seed=run.seed,
                policy_version="p",
                table_versions=versions,
                summary={},
            )
        )


def test_a_stage_sees_only_the_tables_it_declares(shop):
    view = shop.view(["orders"], ["cutoffs"], run=RUN)
    assert view.query("select count(*) as n from orders").to_pylist() == [{"n": 0}]
    with pytest.raises(WorkspaceError, match="may not read scores"):
        view.query("select * from scores")
    with pytest.raises(WorkspaceError, match="may not write orders"):
        view.write("orders", cutoffs("x"))


def test_a_rerun_of_a_run_replaces_its_own_rows(shop):
    view = shop.view([], ["cutoffs"], run=RUN)
    view.write("cutoffs", cutoffs("x", "y"))
    view.write("cutoffs", cutoffs("z"))
    assert view.read("cutoffs", ["customer_id"]).to_pylist() == [{"customer_id": "z"}]


def test_rows_that_break_their_table_are_not_written(shop):
    view = shop.view([], ["cutoffs"], run=RUN)
    with pytest.raises(InvalidTable, match="repeat key"):
        view.write("cutoffs", cutoffs("x", "x"))
    assert view.read("cutoffs").num_rows == 0


def test_readers_see_the_last_finished_run_and_nothing_newer(shop):
    assert shop.snapshot() is None
    view = shop.view([], ["cutoffs"], run=RUN)
    view.write("cutoffs", cutoffs("x"))
    finish(shop, RUN, {"cutoffs": shop.lake.version(CUTOFFS)})
    view.write("cutoffs", cutoffs("unfinished"))
    snapshot = shop.snapshot()
    assert snapshot.run == RUN
    assert snapshot.read("cutoffs", ["customer_id"]).to_pylist() == [{"customer_id": "x"}]
    assert snapshot.read("scores").num_rows == 0
    assert not hasattr(snapshot, "write")


def test_a_table_that_was_first_written_after_a_run_is_empty_to_its_readers(shop):
    """Whether they have looked at it before or not, and whichever way they read."""
    finish(shop, RUN, {name: shop.lake.version(table) for name, table in BY_NAME.items()})
    early = last_run(shop)
    assert early.read("cutoffs").num_rows == 0
    shop.lake.replace(CUTOFFS, cutoffs("a", "b"), part=RUN.run_id)
    for view in (early, last_run(shop), shop.snapshot()):
        assert view.read("cutoffs").num_rows == 0
        assert view.table_version("cutoffs") is None
    assert sql(shop, "select * from cutoffs").num_rows == 0
    assert shop.newest_snapshot().read("cutoffs").num_rows == 2


def test_a_query_may_bring_its_own_ctes_and_tables(shop):
    view = shop.view(["orders"], [], run=RUN)
    sql = "with twice as (select 2 * x as y from given) select y, (select count(*) from orders) as n from twice"
    assert view.query(sql, given=pa.table({"x": [4]})).to_pylist() == [{"y": 8, "n": 0}]


def test_a_second_process_gets_an_error_while_one_is_at_work(shop):
    script = """
import sys
from pathlib import Path
from patron.schema.errors import WorkspaceBusy
from patron.storage.shop import Shop
try:
    Shop.open(Path(sys.argv[1])).lock(timeout_seconds=0.1).__enter__()
except WorkspaceBusy as refused:
    print(refused)
"""
    with shop.lock():
        other = subprocess.run([sys.executable, "-c", script, shop.folder], capture_output=True, text=True, check=True)
    assert f"another process ({os.getpid()}) is at work here" in other.stdout
    with shop.lock():
        assert (shop.folder / "workspace.lock").exists()


def test_a_folder_that_is_not_a_workspace_gives_the_command_to_make_one(tmp_path):
    with pytest.raises(WorkspaceError, match="patron init"):
        Shop.open(tmp_path)


def test_a_workspace_is_not_made_twice(shop):
    with pytest.raises(WorkspaceError, match="is a workspace already"):
        Shop.create(shop.folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[shop\n", r"patron\.toml: is not valid TOML .*line 1"),
        ('[shop]\ncurrency = "dollars"', r"shop\.currency is not .* \(got 'dollars'\)"),
        ('[shop]\ntime_zone = "Mars/Base"', r"shop\.time_zone is not a time zone"),
        ("[shop]\ncurency = 1", r"shop\.curency is not a known key. Did you mean currency\? Correct"),
        ("[shops]\n", r"shops is not a known key"),
        ("[rates]\nEUR = 0", r"rates .*above 0 for EUR"),
    ],
)
def test_a_broken_patron_toml_names_the_key_and_what_is_expected(shop, content, message):
    (shop.folder / "patron.toml").write_text(content)
    with pytest.raises(SettingsError, match=message):
        Shop.open(shop.folder)


def test_the_environment_overrides_one_setting_and_keeps_the_others(shop, monkeypatch):
    (shop.folder / "patron.toml").write_text('[shop]\nname = "Corner"\ncurrency = "EUR"\n')
    monkeypatch.setenv("PATRON_SHOP__CURRENCY", "CNY")
    settings = Shop.open(shop.folder).settings
    assert (settings.shop.name, settings.shop.currency) == ("Corner", "CNY")


def test_scratch_is_made_again_without_a_word(shop):
    shop.close()
    shutil.rmtree(shop.folder / "tmp")
    Shop.open(shop.folder).close()
    assert (shop.folder / "tmp").stat().st_mode & 0o077 == 0


def test_the_migrations_make_exactly_the_declared_tables(shop):
    inspector = sa.inspect(shop.store.engine)
    for table in METADATA.tables.values():
        assert [c["name"] for c in inspector.get_columns(table.name)] == [c.name for c in table.columns]


def test_a_store_that_is_not_a_database_is_refused_with_a_message(tmp_path):
    (tmp_path / "store.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(WorkspaceError, match="patron restore"):
        Store(sqlite_url(tmp_path / "store.db"), key=b"k" * 32).upgrade()


def test_the_same_time_is_the_same_run_and_purposes_do_not_share_random_numbers():
    assert Run.at(AS_OF) == RUN
    assert Run.at(datetime(2024, 3, 1, 5, tzinfo=UTC)).run_id == "2024-03-01T050000"
    assert RUN.child_seed("decide") == Run.at(AS_OF).child_seed("decide") != RUN.child_seed("predict")


def test_as_many_may_read_the_store_at_once_as_the_server_answers(tmp_path):
    shop, together = Shop.create(tmp_path / "shop"), Barrier(40, timeout=20)

    def read(_number):
        with shop.store.begin():
            together.wait()
        return True

    with ThreadPoolExecutor(40) as threads:
        assert all(threads.map(read, range(40)))
    shop.close()


@pytest.mark.parametrize("name", ["a%20b", "shop*", "a\\b"])
def test_a_path_that_libraries_take_for_something_else_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(WorkspaceError, match="Choose another folder"):
        Shop.create(tmp_path / name)
    assert not (tmp_path / name).exists()
