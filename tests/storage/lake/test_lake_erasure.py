"""What is erased is in no file, version or log of a table; the rest stays, and so does which loads were taken."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lake_records import record_next_to
from patron.schema.errors import WorkspaceError
from patron.schema.table_definition import TIME
from patron.schema.tables import CUTOFFS, EVENTS, FEATURES
from patron.storage.duck_engine import DuckEngine
from patron.storage.lake.lake import LoadId
from patron.storage.lake.lake_erasure import Eraser, ErasureConditions
from sample_rows import sample

NOW = datetime(2024, 1, 1, tzinfo=UTC)
GONE = {"gone": pa.table({"id": ["x"]})}
IS_X = ErasureConditions("customer_id in (select id from gone)")


@pytest.fixture
def lake(tmp_path):
    return Eraser(tmp_path / "lake", record_next_to(tmp_path / "lake"))


def cutoff_rows(run: str, *customers: str) -> pa.Table:
    times = pa.array([NOW] * len(customers), TIME)
    return pa.table({"run_id": [run] * len(customers), "customer_id": list(customers), "as_of": times})


def customers(lake: Eraser) -> list[str]:
    return sorted(lake.read(CUTOFFS)["customer_id"].to_pylist())


def test_files_of_others_are_not_touched_and_no_statistics_name_anybody(lake):
    lake.append(CUTOFFS, cutoff_rows("a", "y"))
    [untouched] = lake.files(CUTOFFS)
    lake.append(CUTOFFS, cutoff_rows("a", "x", "z"))
    lake.append(CUTOFFS, cutoff_rows("b", "x"))
    assert lake.erase(CUTOFFS, DuckEngine(), IS_X, GONE) == 2
    assert customers(lake) == ["y", "z"]
    assert untouched in lake.files(CUTOFFS)
    actions = pa.table(DeltaTable(str(lake.path(CUTOFFS))).get_add_actions(flatten=True))
    limits = [name for name in actions.column_names if name.startswith(("min.", "max."))]
    assert all(actions[name].null_count == actions.num_rows for name in limits)
    assert lake.erase(CUTOFFS, DuckEngine(), IS_X, GONE) == 0


@pytest.mark.parametrize("name", ["Mein schöner Laden", "50% & more", "a#b?c=d", "it's [new]", "店铺"])
def test_a_lake_may_be_in_a_folder_of_any_name(tmp_path, name):
    lake = Eraser(tmp_path / name / "lake", record_next_to(tmp_path / name / "lake"))
    lake.append(CUTOFFS, cutoff_rows("a", "x", "y"))
    lake.append(CUTOFFS, cutoff_rows("b", "x"))
    assert all(Path(file).is_file() for file in lake.files(CUTOFFS))
    assert {path.name for path in (tmp_path / name).iterdir()} >= {"lake", "store.db"}
    assert lake.erase(CUTOFFS, DuckEngine(), IS_X, GONE) == 2
    lake.delete_history(CUTOFFS)
    assert customers(lake) == ["y"]


def test_values_leave_rows_that_stay(lake):
    rows = sample(EVENTS, 40, np.random.default_rng(1))
    lake.append(EVENTS, rows)
    tokens = rows["anonymous_token"].drop_null()[:1].to_pylist()
    conditions = ErasureConditions(values={"anonymous_token": f"anonymous_token = '{tokens[0]}'"})
    count = rows["anonymous_token"].to_pylist().count(tokens[0])
    assert lake.erase(EVENTS, DuckEngine(), conditions, {}) == count
    after = lake.read(EVENTS)
    assert after.num_rows == rows.num_rows
    assert tokens[0] not in after["anonymous_token"].to_pylist()
    assert after["anonymous_token"].null_count == rows["anonymous_token"].null_count + count


def test_columns_that_an_older_file_lacks_stay_null(lake):
    first = cutoff_rows("a", "x", "y").append_column("feature_version", pa.array(["1", "1"]))
    lake.append(FEATURES, first)
    lake.append(
        FEATURES,
        cutoff_rows("b", "x").append_column("feature_version", pa.array(["1"])).append_column("n", pa.array([1.0])),
    )
    lake.erase(FEATURES, DuckEngine(), IS_X, GONE)
    assert [(row["customer_id"], row["n"]) for row in lake.read(FEATURES).to_pylist()] == [("y", None)]


def test_only_the_newest_version_is_left_and_a_load_that_was_counted_is_not_taken_again(lake):
    old = lake.append(CUTOFFS, cutoff_rows("a", "x", "y"), load_id=LoadId("inbox", 7))
    lake.erase(CUTOFFS, DuckEngine(), IS_X, GONE)
    for _ in range(2):
        lake.delete_history(CUTOFFS)
        assert customers(lake) == ["y"]
    with pytest.raises(WorkspaceError):
        lake.files(CUTOFFS, old)
    assert len(list(lake.path(CUTOFFS).rglob("part-*.parquet"))) == 1
    assert lake.last_load_sequence(CUTOFFS, "inbox") == 7
    lake.append(CUTOFFS, cutoff_rows("a", "x"), load_id=LoadId("inbox", 7))
    assert customers(lake) == ["y"]
    lake.append(CUTOFFS, cutoff_rows("a", "w"), load_id=LoadId("inbox", 8))
    assert customers(lake) == ["w", "y"]


def test_a_pinned_version_is_put_back_unless_it_is_gone(lake):
    pinned = lake.append(CUTOFFS, cutoff_rows("a", "x"))
    lake.replace(CUTOFFS, cutoff_rows("a", "unfinished"))
    lake.restore_version(CUTOFFS, pinned)
    assert customers(lake) == ["x"]
    for version in (None, 999, lake.version(CUTOFFS)):
        lake.restore_version(CUTOFFS, version)
    assert customers(lake) == ["x"]
