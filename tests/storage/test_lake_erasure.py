"""What is erased is in no file, version or log of a table; the rest stays, and so does which loads were taken."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from patron.schema.errors import WorkspaceError
from patron.schema.sample_rows import sample
from patron.schema.table_definition import TIME
from patron.schema.tables import EVENTS, FEATURES, MOMENTS
from patron.storage.engine import DuckEngine
from patron.storage.lake import Once
from patron.storage.lake_erasure import Doomed, Eraser

NOW = datetime(2024, 1, 1, tzinfo=UTC)
GONE = {"gone": pa.table({"id": ["x"]})}
IS_X = Doomed("customer_id in (select id from gone)")


@pytest.fixture
def lake(tmp_path):
    return Eraser(tmp_path / "lake")


def moments(turn: str, *customers: str) -> pa.Table:
    times = pa.array([NOW] * len(customers), TIME)
    return pa.table({"turn_id": [turn] * len(customers), "customer_id": list(customers), "as_of": times})


def customers(lake: Eraser) -> list[str]:
    return sorted(lake.read(MOMENTS)["customer_id"].to_pylist())


def test_files_of_others_are_not_touched_and_no_statistics_name_anybody(lake):
    lake.append(MOMENTS, moments("a", "y"))
    [untouched] = lake.files(MOMENTS)
    lake.append(MOMENTS, moments("a", "x", "z"))
    lake.append(MOMENTS, moments("b", "x"))
    assert lake.erase(MOMENTS, DuckEngine(), IS_X, GONE) == 2
    assert customers(lake) == ["y", "z"]
    assert untouched in lake.files(MOMENTS)
    actions = pa.table(DeltaTable(str(lake.path(MOMENTS))).get_add_actions(flatten=True))
    limits = [name for name in actions.column_names if name.startswith(("min.", "max."))]
    assert all(actions[name].null_count == actions.num_rows for name in limits)
    assert lake.erase(MOMENTS, DuckEngine(), IS_X, GONE) == 0


def test_values_leave_rows_that_stay(lake):
    rows = sample(EVENTS, 40, np.random.default_rng(1))
    lake.append(EVENTS, rows)
    tokens = rows["anonymous_token"].drop_null()[:1].to_pylist()
    doomed = Doomed(values={"anonymous_token": f"anonymous_token = '{tokens[0]}'"})
    count = rows["anonymous_token"].to_pylist().count(tokens[0])
    assert lake.erase(EVENTS, DuckEngine(), doomed, {}) == count
    after = lake.read(EVENTS)
    assert after.num_rows == rows.num_rows
    assert tokens[0] not in after["anonymous_token"].to_pylist()
    assert after["anonymous_token"].null_count == rows["anonymous_token"].null_count + count


def test_columns_that_an_older_file_lacks_stay_null(lake):
    first = moments("a", "x", "y").append_column("feature_version", pa.array(["1", "1"]))
    lake.append(FEATURES, first)
    lake.append(
        FEATURES,
        moments("b", "x").append_column("feature_version", pa.array(["1"])).append_column("n", pa.array([1.0])),
    )
    lake.erase(FEATURES, DuckEngine(), IS_X, GONE)
    assert [(row["customer_id"], row["n"]) for row in lake.read(FEATURES).to_pylist()] == [("y", None)]


def test_only_the_newest_version_is_left_and_a_load_that_was_counted_is_not_taken_again(lake):
    old = lake.append(MOMENTS, moments("a", "x", "y"), once=Once("inbox", 7))
    lake.erase(MOMENTS, DuckEngine(), IS_X, GONE)
    for _ in range(2):
        lake.forget_past(MOMENTS)
        assert customers(lake) == ["y"]
    with pytest.raises(WorkspaceError):
        lake.files(MOMENTS, old)
    assert len(list(lake.path(MOMENTS).rglob("part-*.parquet"))) == 1
    assert lake.loaded(MOMENTS, "inbox") == 7
    lake.append(MOMENTS, moments("a", "x"), once=Once("inbox", 7))
    assert customers(lake) == ["y"]
    lake.append(MOMENTS, moments("a", "w"), once=Once("inbox", 8))
    assert customers(lake) == ["w", "y"]


def test_a_pinned_version_is_put_back_unless_it_is_gone(lake):
    pinned = lake.append(MOMENTS, moments("a", "x"))
    lake.replace(MOMENTS, moments("a", "unfinished"))
    lake.put_back(MOMENTS, pinned)
    assert customers(lake) == ["x"]
    for version in (None, 999, lake.version(MOMENTS)):
        lake.put_back(MOMENTS, version)
    assert customers(lake) == ["x"]
