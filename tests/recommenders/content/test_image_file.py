import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from patron.recommenders.content import read_image_vectors
from patron.schema.errors import BadFile

NUMBERS = pa.list_(pa.float32())


@pytest.fixture
def write(tmp_path):
    def written(ids, vectors, kind=NUMBERS):
        path = tmp_path / "image_vectors.parquet"
        pq.write_table(pa.table({"product_id": ids, "vector": pa.array(vectors, kind)}), path)
        return path

    return written


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.list_(pa.int64())])
def test_a_row_of_numbers_is_read_for_each_product(write, kind):
    ids, matrix = read_image_vectors(write(["a", "b"], [[1, 2], [3, 4]], kind))
    assert ids.to_pylist() == ["a", "b"]
    assert matrix.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_file_without_rows_has_no_vectors(write):
    ids, matrix = read_image_vectors(write(pa.array([], pa.string()), []))
    assert (len(ids), matrix.size) == (0, 0)


@pytest.mark.parametrize(
    ("ids", "vectors", "what"),
    [
        (["a", "b", "a"], [[1.0], [2.0], [3.0]], "these products have more than one row: a"),
        (["a", None, None], [[1.0], [2.0], [3.0]], "a product_id is missing"),
        (["a", "b"], [[1.0, 2.0], [3.0]], "the first vector has 2 numbers, but not those of these products: b"),
        (["a", "b"], [[1.0, 2.0], None], "the first vector has 2 numbers, but not those of these products: b"),
        (["a", "b"], [[1.0, 2.0], [np.nan, 1.0]], "something other than numbers: b"),
        (["a", "b"], [[1.0, 2.0], [None, 1.0]], "something other than numbers: b"),
        (["a"], [[]], "a vector has 0 numbers"),
        (["a"], [[0.5] * 5_000], "1 to 4,096 are read"),
    ],
)
def test_a_bad_row_is_named(write, ids, vectors, what):
    with pytest.raises(BadFile, match=what):
        read_image_vectors(write(ids, vectors))


def test_other_files_and_columns_are_refused(tmp_path, write):
    path = tmp_path / "text.parquet"
    path.write_text("product_id,vector\n")
    with pytest.raises(BadFile, match="cannot be read"):
        read_image_vectors(path)
    pq.write_table(pa.table({"product_id": ["a"]}), path)
    with pytest.raises(BadFile, match="no column vector"):
        read_image_vectors(path)
    with pytest.raises(BadFile, match="vector is of type string"):
        read_image_vectors(write(["a"], ["0.1 0.2"], pa.string()))
    with pytest.raises(BadFile, match="cannot be read"):
        read_image_vectors(tmp_path / "missing.parquet")
