import itertools
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake_records import record_next_to
from patron.schema.errors import InvalidTable, NoSpace, WorkspaceError
from patron.schema.table_definition import TIME
from patron.schema.tables import CUTOFFS, EVENTS, FEATURES, PRODUCTS, SEGMENTS, TABLES
from patron.storage.duck_engine import DuckEngine
from patron.storage.lake.lake import MANY_FILES, Lake, LoadId
from sample_rows import sample

NOW = datetime(2024, 1, 1, tzinfo=UTC)


PATHS = os.pathsep.join(path for path in sys.path if path)
"""Where a process of a test finds what tests import, too."""


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake", record_next_to(tmp_path / "lake"))


def cutoffs(run: str, *customers: str) -> pa.Table:
    return pa.table(
        {
            "run_id": [run] * len(customers),
            "customer_id": list(customers),
            "as_of": pa.array([NOW] * len(customers), TIME),
        }
    )


def features(run: str, **columns) -> pa.Table:
    rows = cutoffs(run, "x", "y").append_column("feature_version", pa.array(["1", "1"]))
    for name, values in columns.items():
        rows = rows.append_column(name, pa.array(values))
    return rows


def customers(lake: Lake, version: int | None = None) -> list[tuple[str, str]]:
    rows = lake.read(CUTOFFS, version).to_pylist()
    return sorted((row["run_id"], row["customer_id"]) for row in rows)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_reads_back_what_was_written(lake, table):
    rows = sample(table, 7, np.random.default_rng(2))
    assert lake.read(table).num_rows == 0
    lake.append(table, rows)
    back = lake.read(table)
    order = [(name, "ascending") for name in table.key]
    assert back.schema == table.schema()
    assert back.sort_by(order).to_pylist() == rows.sort_by(order).to_pylist()


def test_a_load_named_once_commits_once(lake):
    for _ in range(3):
        lake.append(CUTOFFS, cutoffs("a", "x"), load_id=LoadId("inbox", 0))
    lake.append(CUTOFFS, cutoffs("a", "y"), load_id=LoadId("inbox", 1))
    assert customers(lake) == [("a", "x"), ("a", "y")]


def test_replacing_one_run_leaves_the_others_alone(lake):
    lake.append(CUTOFFS, pa.concat_tables([cutoffs("a", "x", "y"), cutoffs("b", "z")]))
    lake.replace(CUTOFFS, cutoffs("a", "w"), part="a")
    assert customers(lake) == [("a", "w"), ("b", "z")]
    lake.replace(CUTOFFS, cutoffs("a"), part="a")
    assert customers(lake) == [("b", "z")]


def test_an_older_version_stays_readable_until_vacuum(lake):
    before = lake.append(CUTOFFS, cutoffs("a", "x"))
    lake.replace(CUTOFFS, cutoffs("a", "y"), part="a")
    assert customers(lake, before) == [("a", "x")]
    lake.vacuum(CUTOFFS)
    assert customers(lake, before) == [("a", "x")]
    lake.vacuum(CUTOFFS, retention=timedelta(0), pinned=before)
    assert customers(lake, before) == [("a", "x")]
    lake.vacuum(CUTOFFS, retention=timedelta(0))
    assert customers(lake) == [("a", "y")]
    with pytest.raises(WorkspaceError, match="version 1 of cutoffs cannot be read any more"):
        lake.read(CUTOFFS, before)
    assert lake.vacuum(CUTOFFS, pinned=999) == []


def test_an_open_table_gains_columns_that_are_null_in_older_rows(lake):
    lake.append(FEATURES, features("a", first=[1.0, 2.0]))
    lake.append(FEATURES, features("b", second=["u", None]))
    rows = {(row["run_id"], row["customer_id"]): row for row in lake.read(FEATURES).to_pylist()}
    assert rows["a", "x"]["second"] is None
    assert rows["b", "x"] == {**rows["b", "x"], "first": None, "second": "u"}


def test_compaction_keeps_the_rows_and_the_older_versions(lake):
    names = [f"customer {number}" for number in range(MANY_FILES + 1)]
    for name in names:
        before = lake.append(CUTOFFS, cutoffs("a", name))
    lake.append(CUTOFFS, cutoffs("b", "alone"))
    assert lake.compact(CUTOFFS, DuckEngine()) == len(names)
    assert len(lake.files(CUTOFFS)) == 2
    assert customers(lake, before) == [("a", name) for name in names]
    assert customers(lake) == [("a", name) for name in names] + [("b", "alone")]


def test_many_loads_keep_the_number_of_files_bounded(lake):
    for number in range(25):
        lake.append(CUTOFFS, cutoffs("a", f"{number:02}"))
        lake.compact(CUTOFFS, DuckEngine())
        lake.vacuum(CUTOFFS, retention=timedelta(0))
        assert len(list(lake.path(CUTOFFS).rglob("*.parquet"))) <= 2 * MANY_FILES
    assert customers(lake) == [("a", f"{number:02}") for number in range(25)]


def test_with_nothing_to_tidy_nothing_is_written(lake):
    version = lake.append(CUTOFFS, cutoffs("a", "x"))
    assert lake.vacuum(CUTOFFS) == []
    assert lake.compact(CUTOFFS, DuckEngine()) == 0
    assert lake.vacuum(FEATURES) == []
    assert lake.version(CUTOFFS) == version
    assert not lake.exists(FEATURES)


def test_joined_events_lie_in_order_again(lake):
    months = pa.array(["2024-01"] * 4)
    for seed in range(MANY_FILES + 1):
        rows = sample(EVENTS, 4, np.random.default_rng(seed))
        rows = rows.set_column(rows.schema.get_field_index("month"), "month", months)
        names = pa.array(["Product Viewed", "Order Completed"] * 2)
        lake.append(EVENTS, rows.set_column(rows.schema.get_field_index("name"), "name", names))
    before = sorted(map(repr, lake.read(EVENTS).to_pylist()))
    lake.compact(EVENTS, DuckEngine())
    [file] = lake.files(EVENTS)
    names = pq.ParquetFile(file).read(["name"])["name"].to_pylist()
    assert names == sorted(names)
    assert sorted(map(repr, lake.read(EVENTS).to_pylist())) == before


def test_the_result_of_a_query_lies_in_the_order_of_its_table(lake):
    ids = "select md5(cast(i as varchar)) as customer_id from range(200000) t(i)"
    sql = f"""select 'a' as run_id, customer_id, timestamptz '2024-01-01' as as_of, 1 as recency_score,
        1 as frequency_score, 1 as monetary_score, 0 as persona_id, 'new' as lifecycle_stage from ({ids}) c"""
    lake.replace_by_query(SEGMENTS, DuckEngine(), sql, {}, part="a")
    file = pq.ParquetFile(lake.files(SEGMENTS)[0])
    groups = [file.metadata.row_group(index).column(0).statistics for index in range(file.num_row_groups)]
    assert file.metadata.row_group(0).column(0).path_in_schema == "customer_id"
    assert len(groups) > 4
    assert all(one.max < other.min for one, other in itertools.pairwise(groups))


KILLED = """
import sys
from pathlib import Path
from lake_records import record_next_to
from patron.storage.duck_engine import DuckEngine
from patron.storage.lake.lake import Lake
from patron.schema.tables import CUTOFFS
lake = Lake(Path(sys.argv[1]), record_next_to(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
lake.compact(CUTOFFS, DuckEngine())
"""


def test_tidying_killed_anywhere_loses_nothing_and_is_done_again(lake):
    names = [f"{number:02}" for number in range(2 * MANY_FILES)]
    for name in names:
        lake.append(CUTOFFS, pa.concat_tables([cutoffs("a", name), cutoffs("b", name)]))
    expected = customers(lake)
    for milliseconds in (5, 15, 25, 40):
        command = [sys.executable, "-c", KILLED, str(lake.folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": PATHS}, **pipes) as process:
            process.stdout.readline()
            process.stdin.write(b"\n")
            process.stdin.flush()
            time.sleep(milliseconds / 1000)
            process.kill()
        assert customers(lake) == expected
    lake.compact(CUTOFFS, DuckEngine())
    lake.vacuum(CUTOFFS, retention=timedelta(0))
    assert customers(lake) == expected
    assert len(list(lake.path(CUTOFFS).rglob("*.parquet"))) == 2


def test_events_lie_in_folders_by_month(lake):
    rows = sample(EVENTS, 4, np.random.default_rng(3))
    rows = rows.set_column(rows.schema.get_field_index("month"), "month", pa.array(["2024-01", "2024-02"] * 2))
    lake.append(EVENTS, rows)
    assert sorted(p.name for p in lake.path(EVENTS).glob("month=*")) == ["month=2024-01", "month=2024-02"]
    assert sorted(lake.read(EVENTS)["month"].to_pylist()) == ["2024-01", "2024-01", "2024-02", "2024-02"]


def test_a_row_without_its_partition_is_refused(lake):
    rows = cutoffs("a", "x").set_column(0, "run_id", pa.nulls(1, pa.string()))
    with pytest.raises(InvalidTable, match="run_id is NULL"):
        lake.append(CUTOFFS, rows)
    assert lake.read(CUTOFFS).num_rows == 0


def test_a_version_that_never_was_says_so(lake):
    lake.append(CUTOFFS, cutoffs("a", "x"))
    with pytest.raises(WorkspaceError, match="version 9 of cutoffs"):
        lake.files(CUTOFFS, 9)


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    """A process whose files may not grow past 100 kB meets the same error as one on a full disk."""
    script = f"""
import errno, numpy as np, resource, signal, pyarrow as pa
from pathlib import Path
from lake_records import record_next_to
import patron.storage.durable_files as durable_files
from patron.storage.lake.lake import Lake
from patron.schema.errors import NoSpace
from patron.schema.table_definition import TIME
from patron.schema.tables import PRODUCTS
lake = Lake(Path({str(tmp_path / "lake")!r}), record_next_to(Path({str(tmp_path / "lake")!r})))
times = lambda n: pa.array([0] * n, pa.int64()).cast(TIME)
rows = lambda n: pa.table({{"product_id": [str(i) * 40 for i in range(n)], "known_at": times(n)}})
lake.append(PRODUCTS, rows(10))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
durable_files.FULL = durable_files.FULL | {{errno.EFBIG}}
try:
    lake.append(PRODUCTS, rows(300_000))
except NoSpace as refused:
    print(refused)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
print(lake.read(PRODUCTS).num_rows, len(list(lake.path(PRODUCTS).glob("*.parquet"))))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": PATHS},
    )
    assert done.stdout.splitlines()[-1] == "10 1", done.stderr
    assert "disk is full" in done.stdout
    assert issubclass(NoSpace, WorkspaceError)


def test_the_relation_of_an_empty_table_has_the_declared_columns(lake):
    assert DuckEngine().query(lake.relation(PRODUCTS)).schema == PRODUCTS.schema()


QUERY = "select run_id, customer_id, as_of from given"


def test_the_result_of_a_query_replaces_one_run(lake):
    lake.append(CUTOFFS, pa.concat_tables([cutoffs("a", "x", "y"), cutoffs("b", "z")]))
    lake.replace_by_query(CUTOFFS, DuckEngine(), QUERY, {"given": cutoffs("a", "w", "v")}, part="a")
    assert customers(lake) == [("a", "v"), ("a", "w"), ("b", "z")]
    assert lake.read(CUTOFFS).schema == CUTOFFS.schema()


def test_the_result_of_a_query_may_bring_new_columns_to_an_open_table(lake):
    lake.append(FEATURES, features("a", first=[1.0, 2.0]))
    rows = {"given": features("b", second=["u", None])}
    lake.replace_by_query(FEATURES, DuckEngine(), "select * from given", rows, part="b")
    rows_by_key = {
        (row["run_id"], row["customer_id"]): (row["first"], row["second"]) for row in lake.read(FEATURES).to_pylist()
    }
    assert rows_by_key == {
        ("a", "x"): (1.0, None),
        ("a", "y"): (2.0, None),
        ("b", "x"): (None, "u"),
        ("b", "y"): (None, None),
    }


@pytest.mark.parametrize(
    ("sql", "given", "message"),
    [
        (QUERY, cutoffs("a", "x", "x"), "1 rows repeat key"),
        (QUERY, cutoffs("b", "x"), "a row of another part"),
        (QUERY.replace("as_of", "cast(null as timestamptz) as as_of"), cutoffs("a", "x"), "1 rows have no as_of"),
        ("select run_id, customer_id from given", cutoffs("a", "x"), "missing columns"),
    ],
)  # fmt: skip
def test_a_result_that_breaks_its_table_is_refused_and_leaves_no_file(lake, sql, given, message):
    lake.append(CUTOFFS, cutoffs("a", "before"))
    with pytest.raises(InvalidTable, match=message):
        lake.replace_by_query(CUTOFFS, DuckEngine(), sql, {"given": given}, part="a")
    assert customers(lake) == [("a", "before")]
    assert len(list(lake.path(CUTOFFS).rglob("*.parquet"))) == 1


def test_fractions_do_not_become_whole_numbers_by_the_way(lake):
    sql = "select 'p' as product_id, 1.5::double as price_cents, timestamptz '2024-01-01' as known_at"
    with pytest.raises(InvalidTable, match=r"fractions in the whole numbers price_cents"):
        lake.replace_by_query(PRODUCTS, DuckEngine(), sql, {})


def test_events_of_one_name_lie_together_in_a_file(lake):
    rows = sample(EVENTS, 40, np.random.default_rng(5))
    names = pa.array(["Product Viewed", "Order Completed"] * 20)
    lake.append(EVENTS, rows.set_column(rows.schema.get_field_index("name"), "name", names))
    file = lake.files(EVENTS)[0]
    names = pq.ParquetFile(file).read(["name"])["name"].to_pylist()
    assert names == sorted(names)
