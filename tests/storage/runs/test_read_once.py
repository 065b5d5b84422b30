"""While a run holds its lock, it reads once what only it writes; it must notice nothing of that but the time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from damaged_files import FILE_DAMAGES, damage_file
from patron.collect.loader import load_events
from patron.run import run_loop
from patron.schema.errors import LakeDamaged
from patron.schema.table_definition import TIME
from patron.schema.tables import BY_NAME, EVENTS
from patron.storage.engine import literal
from patron.storage.lake.lake_log import log_path
from patron.storage.runs import pinned_tables
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop

NOW = datetime(2024, 6, 1, tzinfo=UTC)
RUN = Run.at(NOW)
CUTOFFS, FEATURES = BY_NAME["cutoffs"], BY_NAME["features"]
COPIED = "select table_name, estimated_size as n from duckdb_tables() where table_name like '%cutoffs%'"
THREADS = "select current_setting('threads') as n"


def view_of(shop: Shop, run: Run = RUN) -> StageView:
    return shop.view(["cutoffs", "features"], ["cutoffs", "features"], run=run)


def rows_of(*customers: str, run: Run = RUN, **columns: pa.Array) -> pa.Table:
    count = len(customers)
    rows = {"run_id": [run.run_id] * count, "customer_id": list(customers), "as_of": pa.array([NOW] * count, TIME)}
    return pa.table(rows | columns)


def features_of(*customers: str, **columns: pa.Array) -> pa.Table:
    version = pa.array(["f"] * len(customers), pa.string())
    return rows_of(*customers, **columns, feature_version=version)


def read(shop: Shop, run: Run = RUN) -> list[str]:
    return sorted(view_of(shop, run).read("cutoffs")["customer_id"].to_pylist())


def copies(shop: Shop) -> int:
    return shop.query(COPIED).num_rows


def threads(shop: Shop) -> int:
    return int(shop.query(THREADS)["n"][0].as_py())


def store_orders(shop: Shop, *numbers: int) -> None:
    """Orders of the last three weeks: too little history to judge a model by, so that a run is short."""
    rows = [
        {
            "event_id": f"e{n}",
            "name": "Order Completed",
            "occurred_at": NOW - timedelta(days=1 + n % 20),
            "user_id": f"u{n % 40}",
            "order_id": f"o{n}",
            "revenue_cents": 1_000 + n,
        }
        for n in numbers
    ]
    load_events(shop, pa.Table.from_pylist(rows), source="shop", known="occurred", received_at=NOW)


def data_file(shop: Shop, name: str) -> Path:
    return Path(shop.lake.files(BY_NAME[name])[0])


def test_small_tables_are_copied_once_and_let_go_of(shop):
    view_of(shop).write("cutoffs", rows_of("a", "b"))
    with shop.read_once():
        assert (copies(shop), read(shop), read(shop), copies(shop)) == (0, ["a", "b"], ["a", "b"], 1)
    assert (copies(shop), read(shop), copies(shop)) == (0, ["a", "b"], 0)


def test_a_stage_sees_what_an_earlier_step_wrote(shop):
    with shop.read_once():
        assert read(shop) == []
        view_of(shop).write("cutoffs", rows_of("a"))
        assert read(shop) == ["a"]
        view_of(shop).write_query("cutoffs", "select * from cutoffs union all select * from new", new=rows_of("b"))
        assert read(shop) == ["a", "b"]
        view_of(shop).write("cutoffs", rows_of())
        assert read(shop) == []
        later = Run.at(NOW + timedelta(days=1))
        view_of(shop, later).write("cutoffs", rows_of("c", run=later))
        view_of(shop).write("cutoffs", rows_of("a", "d"))
        assert read(shop) == ["a", "c", "d"]


@pytest.mark.parametrize("before", [(), ("a",)])
def test_a_stage_sees_the_columns_that_a_table_without_new_rows_has_gained(shop, before):
    if before:
        view_of(shop, Run.at(NOW)).write("features", features_of(*before))
    later = Run.at(NOW + timedelta(days=1))
    with shop.read_once():
        assert view_of(shop).read("features").num_rows == len(before)
        view_of(shop, later).write("features", features_of(spend=pa.array([], pa.float64())))
        assert view_of(shop).query("select spend from features")["spend"].to_pylist() == [None] * len(before)


def test_one_block_after_another_reads_what_was_written_in_between(shop):
    other = Shop.open(shop.folder)
    for customers in (["a"], ["a", "b"], ["c"]):
        view_of(other).write("cutoffs", rows_of(*customers))
        with shop.read_once():
            assert read(shop) == customers
    other.close()


def test_a_view_that_outlives_the_block_reads_files_and_keeps_no_copies(shop):
    view_of(shop).write("cutoffs", rows_of("a"))
    with shop.read_once():
        view = view_of(shop)
        assert view.read("cutoffs").num_rows == 1
    view_of(shop).write("cutoffs", rows_of("a", "b"))
    assert view.read("cutoffs").num_rows == 2
    assert copies(shop) == 0


def test_a_block_within_another_one_changes_nothing_of_what_the_outer_one_reads(shop):
    with shop.read_once():
        view_of(shop).write("cutoffs", rows_of("a"))
        before = shop.view(["cutoffs"], [], run=RUN, pinned={"cutoffs": shop.lake.version(CUTOFFS)})
        assert before.read("cutoffs").num_rows == 1
        view_of(shop).write("cutoffs", rows_of("a", "b"))
        with shop.read_once():
            assert read(shop) == ["a", "b"]
            assert before.read("cutoffs").num_rows == 1
        assert before.read("cutoffs").num_rows == 1
        assert read(shop) == ["a", "b"]
    assert copies(shop) == 0


def test_threads_that_read_at_once_share_a_copy_and_see_whole_versions_while_another_one_writes(shop):
    view_of(shop).write("cutoffs", rows_of("a"))
    written = [["a"], ["a", "b"], ["c"], []]
    with shop.read_once(), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, [shop] * 12)) == [["a"]] * 12
        assert copies(shop) == 1
        reads = [pool.submit(read, shop) for _ in range(40)]
        for customers in written[1:]:
            view_of(shop).write("cutoffs", rows_of(*customers))
        assert all(one.result() in written for one in reads)
        assert read(shop) == []


def test_after_a_failure_nothing_is_held_and_threads_are_restored(shop):
    before, other = threads(shop), Shop.open(shop.folder)
    assert before > 1
    view_of(shop).write("cutoffs", rows_of("a"))

    def fail_in_the_middle() -> None:
        with shop.read_once():
            assert (read(shop), threads(shop), copies(shop)) == (["a"], 1, 1)
            raise RuntimeError("of a step")

    with pytest.raises(RuntimeError, match="of a step"):
        fail_in_the_middle()
    view_of(other).write("cutoffs", rows_of("b"))
    other.close()
    assert (copies(shop), threads(shop), read(shop), copies(shop)) == (0, before, ["b"], 0)


def test_a_run_and_one_that_failed_hold_nothing_afterwards(shop):
    store_orders(shop, *range(160))
    before, other, seen = threads(shop), Shop.open(shop.folder), []

    def during(step: str, _done: int, _total: int | None) -> None:
        seen.append((threads(shop), copies(shop)))
        if step == "predict" and len(seen) < 10:
            raise RuntimeError("of a step")

    for fails in (True, False):
        if fails:
            with pytest.raises(RuntimeError, match="of a step"):
                run_loop(shop, NOW, progress=during)
        else:
            assert run_loop(shop, NOW, progress=during).customer_count == 40
        assert (threads(shop), copies(shop)) == (before, 0)
        view_of(other).write("cutoffs", rows_of("x"))
        assert "x" in read(shop)
    other.close()
    assert {count for count, _ in seen} == {1}
    assert max(count for _, count in seen) > 0


def test_events_that_others_store_during_a_run_are_seen_at_once(shop):
    store_orders(shop, *range(4))
    other = Shop.open(shop.folder)
    with shop.read_once():
        pinned = {EVENTS.name: shop.lake.version(EVENTS)}
        for count in (6, 8):
            store_orders(other, *range(count))
            assert shop.lake.version(EVENTS) == other.lake.version(EVENTS) > pinned[EVENTS.name]
            assert shop.newest_snapshot().read("events", ["event_id"]).num_rows == count
            assert shop.view(["events"], [], run=RUN).read("events", ["event_id"]).num_rows == count
            assert shop.view(["events"], [], run=RUN, pinned=pinned).read("events", ["event_id"]).num_rows == 4
        store_orders(shop, *range(9))
        assert other.newest_snapshot().read("events", ["event_id"]).num_rows == 9
    other.close()


def test_a_file_of_events_that_vanishes_meanwhile_is_no_reason_to_stop(shop):
    store_orders(shop, 1)
    (shop.lake.path(EVENTS) / "part-of-a-failed-import.parquet").symlink_to("gone")
    with shop.read_once():
        assert threads(shop) == 1
        view_of(shop).write("cutoffs", rows_of("a"))
        assert read(shop) == ["a"]


def test_a_large_table_and_what_exceeds_the_memory_of_all_copies_are_read_from_their_files(shop, monkeypatch):
    runs = [Run.at(NOW + timedelta(days=day)) for day in range(3)]
    for run in runs:
        view_of(shop, run).write("cutoffs", rows_of("a", run=run))
    size = max(Path(file).stat().st_size for file in shop.lake.files(CUTOFFS))
    monkeypatch.setattr(pinned_tables, "COPIES", 1)
    for limit, count in ((3 * size - 3, 0), (4 * size, 1)):
        monkeypatch.setattr(pinned_tables, "COPIED_VALUES", limit)
        with shop.read_once():
            assert read(shop) == ["a", "a", "a"]
            assert copies(shop) == count
            view_of(shop).write("cutoffs", rows_of("b"))
            assert (read(shop), copies(shop)) == (["a", "a", "b"], count)
        view_of(shop).write("cutoffs", rows_of("a"))


def test_rows_that_take_little_in_a_file_and_much_in_memory_are_not_copied(shop):
    view_of(shop).write_query(
        "cutoffs",
        f"select {literal(RUN.run_id)} as run_id, 'c' || a.range as customer_id,"
        " to_timestamp(b.range) as as_of from range(1000) a cross join range(400) b",
    )
    assert data_file(shop, "cutoffs").stat().st_size < 100_000
    with shop.read_once():
        assert view_of(shop).query("select count(*) as n from cutoffs")["n"].to_pylist() == [400_000]
        assert copies(shop) == 0


@pytest.mark.parametrize("how", FILE_DAMAGES)
def test_a_file_that_is_damaged_during_a_run_is_found_by_its_next_step(shop, how):
    view_of(shop).write("cutoffs", rows_of("a", "b"))
    with shop.read_once():
        assert read(shop) == ["a", "b"]
        damage_file(data_file(shop, "cutoffs"), how)
        with pytest.raises(LakeDamaged):
            read(shop)


def test_a_commit_of_somebody_else_during_a_run_is_refused_and_stays(shop):
    version = shop.lake.replace(CUTOFFS, rows_of("a"), part=RUN.run_id)
    with shop.read_once():
        assert read(shop) == ["a"]
        log = log_path(shop.lake.path(CUTOFFS), version)
        foreign = log_path(shop.lake.path(CUTOFFS), version + 1)
        foreign.write_text(log.read_text().replace("part-", "trap-"))
        with pytest.raises(LakeDamaged, match="did not write"):
            view_of(shop).write("cutoffs", rows_of("b"))
        assert foreign.exists()
