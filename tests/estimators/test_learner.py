"""What learners share: rows are chosen without copying where they can be."""

import pyarrow as pa
import pytest

from patron.estimators.learner import rows_where

ROWS = pa.table({"customer_id": list("abcdef"), "value": [1.0, None, 3.0, 4.0, None, 6.0]})


@pytest.mark.parametrize(
    "mask",
    [
        [False, True, True, True, False, False],
        [True, False, True, False, False, True],
        [True] * 6,
        [False] * 6,
        [False, False, False, False, False, True],
        [None, True, None, True, False, None],
    ],
)
@pytest.mark.parametrize("chunk_count", [1, 3])
def test_rows_where_are_those_of_a_filter(mask, chunk_count):
    size = 6 // chunk_count
    table = pa.concat_tables([ROWS.slice(start, size) for start in range(0, 6, size)])
    chosen = pa.chunked_array([pa.array(mask, pa.bool_())])
    assert rows_where(table, chosen).equals(table.filter(chosen))


def test_neighbours_are_not_copied():
    neighbours = rows_where(ROWS, pa.chunked_array([pa.array([False, True, True, False, False, False])]))
    assert neighbours["value"].chunk(0).buffers()[1].address == ROWS["value"].chunk(0).buffers()[1].address
