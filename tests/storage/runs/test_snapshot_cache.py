"""A question about one customer reads what a question about everybody reads of them, from the files that have it."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from workspace_copies import copy_workspace

from patron.schema.errors import LakeDamaged
from patron.schema.tables import BY_NAME
from patron.storage.lake.parquet_rows import RowGroupCache, have_columns
from patron.storage.runs.last_run import last_run, read_one_run
from patron.storage.runs.runs import Run
from patron.storage.runs.snapshot import Snapshot, customer_row
from patron.storage.runs.snapshot_cache import CachedSnapshot, reader_of
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS
from sample_rows import sample

TRAITS = BY_NAME["traits"]
AT = datetime(2024, 5, 1, tzinfo=UTC)
SQL = "select t.customer_id, t.value from traits t join customer c on c.customer_id = t.customer_id order by t.value"
FILES = (("anna", "bert"), ("bert", "carl"), ("dora", "emil"))
"""Customers of each file."""


@pytest.fixture
def view(shop):
    for number, customers in enumerate(FILES):
        rows = [
            {
                "customer_id": customer,
                "trait": "colour",
                "value": f"{customer}-{number}",
                "event_id": f"{customer}-{number}",
                "occurred_at": AT,
                "known_at": AT,
            }
            for customer in customers
        ]
        shop.lake.append(TRAITS, pa.Table.from_pylist(rows, schema=TRAITS.schema()))
    return CachedSnapshot(shop, Run.at(AT), {"traits": shop.lake.version(TRAITS)})


@pytest.mark.parametrize("customer", ["anna", "bert", "carl", "cora", "dora", "emil", "zoe"])
def test_one_customer_gets_all_of_their_rows_whatever_file_they_are_in(view, customer):
    values = view.query_customer(customer, SQL)["value"].to_pylist()
    assert values == [f"{customer}-{number}" for number, customers in enumerate(FILES) if customer in customers]
    assert values == view.query(SQL, customer=customer_row(customer))["value"].to_pylist()


def test_a_query_with_ctes_of_its_own_reads_the_same(view):
    sql = f"with theirs as ({SQL}) select value from theirs"
    assert view.query_customer("bert", sql)["value"].to_pylist() == ["bert-0", "bert-1"]


def test_this_before_a_table_reads_the_rows_of_the_run(tmp_path):
    table, run = BY_NAME["segments"], Run.at(AT)
    with closing(Shop.create(tmp_path / "shop")) as shop:
        for run_id, customers in ((run.run_id, ("anna", "bert")), ("2024-04-01", ("bert", "carl"))):
            row = sample(table, 1, np.random.default_rng(1)).to_pylist()[0] | {"run_id": run_id}
            rows = [row | {"customer_id": customer} for customer in customers]
            shop.lake.append(table, pa.Table.from_pylist(rows, schema=table.schema()))
        pinned = {"segments": shop.lake.version(table)}
        sql = "select customer_id from this_segments order by customer_id"
        both = f"{sql[: -len(' order by customer_id')]} union all select customer_id from segments order by customer_id"
        stage = shop.view(["segments"], [], run=run)
        for view in (Snapshot(shop, run, pinned), CachedSnapshot(shop, run, pinned), stage):
            assert view.query(sql)["customer_id"].to_pylist() == ["anna", "bert"]
            assert view.query(both)["customer_id"].to_pylist() == ["anna", "anna", "bert", "bert", "bert", "carl"]
        for view in (Snapshot(shop, run, pinned), CachedSnapshot(shop, run, pinned)):
            theirs = "select t.run_id from this_segments t join customer c on c.customer_id = t.customer_id"
            assert view.query_customer("bert", theirs)["run_id"].to_pylist() == [run.run_id]
            assert view.query_customer("carl", theirs)["run_id"].to_pylist() == []


@pytest.mark.parametrize("customer", ["bert", "zoe"])
def test_the_rows_of_a_customer_are_the_same_from_the_files_and_from_the_engine(view, customer):
    rows = view.customer_rows("traits", customer).sort_by("value")
    assert rows["value"].to_pylist() == view.query_customer(customer, SQL)["value"].to_pylist()
    assert rows.equals(Snapshot.customer_rows(view, "traits", customer).sort_by("value"))


def test_only_rows_of_the_run_are_read_where_they_are_asked_for(tmp_path):
    scores = BY_NAME["scores"]
    with closing(Shop.create(tmp_path / "shop")) as shop:
        runs = [Run.at(AT), Run.at(AT.replace(month=6))]
        for run in runs:
            rows = [
                {"run_id": run.run_id, "customer_id": one, "as_of": run.as_of, "question": "value", "value": value}
                | {"model_version": "a", "reasons": []}
                for one, value in (("anna", 1.0), ("bert", 2.0))
            ]
            shop.lake.append(scores, pa.Table.from_pylist(rows, schema=scores.schema()))
        view = CachedSnapshot(shop, runs[0], {"scores": shop.lake.version(scores)})
        assert view.customer_rows("scores", "bert").num_rows == 2
        of_run = view.customer_rows("scores", "bert", is_of_run=True)
        assert of_run["run_id"].to_pylist() == [runs[0].run_id]
        assert of_run.equals(Snapshot.customer_rows(view, "scores", "bert", is_of_run=True))


def test_a_damaged_file_is_noticed_even_if_it_says_that_it_has_nothing_of_the_customer(view):
    assert view.query("select count(*) as n from traits")["n"][0].as_py() == 6
    (other,) = (
        path for path in view.shop.lake.files(TRAITS) if "emil" in pq.read_table(path)["customer_id"].to_pylist()
    )
    Path(other).write_bytes(Path(other).read_bytes()[:-20])
    with pytest.raises(LakeDamaged, match="traits"):
        view.customer_rows("traits", "anna")


def test_rows_with_a_value_come_from_every_row_group_that_has_some_and_from_no_other(tmp_path):
    fields = [pa.field("who", pa.string()), pa.field("n", pa.int64())]
    whos = ["anna", "bert", "bert", "bert", "carl", "dora", None, None]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"who": whos, "n": range(8)}), path, row_group_size=2)
    find_rows = RowGroupCache(0).find_rows
    assert find_rows("who", "bert", [str(path)], fields, None)["n"].to_pylist() == [1, 2, 3]
    assert find_rows("who", "dora", [str(path)], fields, None)["n"].to_pylist() == [5]
    assert find_rows("who", "zoe", [str(path)], fields, None).num_rows == 0
    first, third = (pq.read_metadata(path).row_group(number).column(0) for number in (0, 2))
    damaged = bytearray(path.read_bytes())
    damaged[third.dictionary_page_offset : third.dictionary_page_offset + third.total_compressed_size] = bytes(
        third.total_compressed_size
    )
    path.write_bytes(damaged)
    assert first.statistics.max == "bert"
    assert find_rows("who", "bert", [str(path)], fields, None)["n"].to_pylist() == [1, 2, 3]
    with pytest.raises((OSError, pa.ArrowException)):
        find_rows("who", "dora", [str(path)], fields, None)


def test_row_groups_are_kept_up_to_a_size_and_those_read_last_stay(tmp_path):
    fields = [pa.field("who", pa.string()), pa.field("n", pa.int64())]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"who": ["anna", "bert", "carl"], "n": range(3)}), path, row_group_size=1)
    size = pq.ParquetFile(path).read_row_group(0).nbytes
    kept = RowGroupCache(2 * size)

    def is_there(who):
        return kept.find_rows("who", who, [str(path)], fields, None).num_rows == 1

    assert is_there("anna")
    assert is_there("bert")
    assert is_there("anna")
    assert is_there("carl")
    path.write_bytes(bytes(path.stat().st_size))
    assert is_there("anna")
    assert is_there("carl")
    with pytest.raises((OSError, pa.ArrowException)):
        is_there("bert")


def test_row_groups_outlive_a_run_but_not_their_file(tmp_path, made_shop):
    fields = [pa.field("who", pa.string()), pa.field("n", pa.int64())]
    stays, goes = tmp_path / "stays.parquet", tmp_path / "goes.parquet"
    kept = RowGroupCache(1_000_000)
    for path in (stays, goes):
        pq.write_table(pa.table({"who": ["anna"], "n": [1]}), path)
        assert kept.find_rows("who", "anna", [str(path)], fields, None).num_rows == 1
    goes.unlink()
    kept.drop_deleted()
    stays.write_bytes(bytes(stays.stat().st_size))
    assert kept.find_rows("who", "anna", [str(stays)], fields, None).num_rows == 1
    with pytest.raises((OSError, pa.ArrowException)):
        kept.find_rows("who", "anna", [str(goes)], fields, None)
    with closing(Shop.open(copy_workspace(made_shop.folder, tmp_path / "shop"))) as shop:
        before = reader_of(last_run(shop))
        with shop.store.begin() as connection:
            row = dict(connection.execute(sa.select(RUNS).order_by(RUNS.c.as_of.desc())).mappings().first())
            connection.execute(
                sa.insert(RUNS).values(row | {"run_id": "later", "as_of": row["as_of"] + timedelta(days=1)})
            )
        after = reader_of(last_run(shop))
        assert after is not before
        assert after.row_groups is before.row_groups


def test_rows_with_a_value_are_cast_and_what_a_file_lacks_is_null(tmp_path):
    fields = [pa.field("who", pa.string()), pa.field("n", pa.int64()), pa.field("part", pa.string())]
    files = []
    for part, columns in (
        ("a", {"who": ["bert"], "n": pa.array([1], pa.int32())}),
        ("b", {"who": ["bert"]}),
        ("c", {"n": [3]}),
    ):
        (tmp_path / f"part={part}").mkdir()
        files.append(str(tmp_path / f"part={part}" / "rows.parquet"))
        pq.write_table(pa.table(columns), files[-1])
    find_rows = RowGroupCache(0).find_rows
    rows = find_rows("who", "bert", files, fields, "part")
    assert rows.schema.equals(pa.schema(fields))
    assert rows.to_pylist() == [{"who": "bert", "n": 1, "part": "a"}, {"who": "bert", "n": None, "part": "b"}]
    assert find_rows("who", "bert", [], fields, None).schema.equals(pa.schema(fields))


def test_files_are_read_by_the_simpler_query_only_if_all_have_every_column_of_one_type(tmp_path):
    files = {"one": {"a": [1], "b": ["x"]}, "more": {"b": ["y"], "a": [2], "c": [3]}, "few": {"a": [1]}}
    files |= {"other": {"a": [1.5], "b": ["x"]}}
    for name, columns in files.items():
        pq.write_table(pa.table(columns), tmp_path / name)
    one, more, few, other = (str(tmp_path / name) for name in files)
    assert have_columns(["a", "b"], [one, more])
    assert not have_columns(["a", "b"], [one, few])
    assert not have_columns(["a", "b"], [few, one])
    assert not have_columns(["a", "b"], [one, other])
    assert have_columns(["b"], [one, other])


def test_one_run_is_read_for_the_time_of_a_block_even_if_another_completes(made_shop, tmp_path):
    with closing(Shop.open(copy_workspace(made_shop.folder, tmp_path / "shop"))) as shop:
        with read_one_run():
            before = last_run(shop).run
            later = before.as_of + timedelta(days=1)
            with shop.store.begin() as connection:
                row = dict(connection.execute(sa.select(RUNS)).mappings().first())
                connection.execute(sa.insert(RUNS).values(row | {"run_id": "later", "as_of": later}))
            assert last_run(shop).run == before
        assert last_run(shop).run.as_of == later
