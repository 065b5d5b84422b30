"""A column becomes numbers, whatever its type, and NULL what was asked for."""

import numpy as np
import pyarrow as pa
import pytest

from patron.schema.numbers import float_column


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 3], pa.int64()),
        ([1, 2, 3], pa.int32()),
        ([1.5, None, float("nan")], pa.float64()),
        ([1.5, None, 2.0], pa.float32()),
        ([True, None, False], pa.bool_()),
        ([None, None, None], pa.null()),
    ],
)
@pytest.mark.parametrize("missing", [0.0, -1.0, float("nan")])
def test_null_becomes_the_missing_number_and_nothing_else_changes(values, kind, missing):
    column = pa.chunked_array([pa.array(values[:1], kind), pa.array(values[1:], kind)])
    expected = [missing if value is None else float(value) for value in values]
    found = float_column(pa.table({"column": column}), "column", missing)
    assert found.dtype == np.float64
    assert np.array_equal(found, expected, equal_nan=True)
