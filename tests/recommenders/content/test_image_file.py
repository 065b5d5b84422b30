import os

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


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.list_(pa.int64()), pa.large_list(pa.float64())]
)
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
        (["a", "b"], [[1.0, 2.0], [1e30, 1.0]], "must be from 1e-06 to 1e.15, and is not for: b"),
        (["a", "b"], [[1.0, 2.0], [0.0, 0.0]], "must be from 1e-06 to 1e.15, and is not for: b"),
        ([["a"]], [[1.0]], "product_id is of type list"),
        (["a" * 2_000], [[1.0]], "a product_id is longer than 1,000 characters"),
        (["\x1b[2Jok"] * 2, [[1.0], [2.0]], r"more than one row: \?\[2Jok"),
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
    with pytest.raises(BadFile, match="is not a file"):
        read_image_vectors(tmp_path / "missing.parquet")
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(BadFile, match="is not a file"):
        read_image_vectors(tmp_path / "pipe.parquet")


def test_ids_that_are_no_text_are_refused(tmp_path):
    ids = pa.array([b"\xff1", b"\xff2"])
    path = tmp_path / "bytes.parquet"
    pq.write_table(pa.table({"product_id": ids, "vector": [[1.0], [2.0]]}), path)
    with pytest.raises(BadFile, match="product_id is of type binary"):
        read_image_vectors(path)
    text = pa.Array.from_buffers(pa.string(), 2, ids.buffers())
    pq.write_table(pa.table({"product_id": text, "vector": [[1.0], [2.0]]}), path)
    with pytest.raises(BadFile, match="cannot be read"):
        read_image_vectors(path)


def test_a_small_file_that_unpacks_to_more_than_is_read_is_refused(tmp_path):
    width = 4_096
    zeros = pa.ListArray.from_arrays(np.arange(2_001, dtype=np.int32) * width, pa.array(np.zeros(2_000 * width, "f4")))
    path = tmp_path / "bomb.parquet"
    with pq.ParquetWriter(path, pa.schema([("product_id", pa.string()), ("vector", zeros.type)])) as writer:
        for group in range(31):
            writer.write_table(pa.table([[f"p{group} {n}" for n in range(2_000)], zeros], ["product_id", "vector"]))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(BadFile, match="it holds more than"):
        read_image_vectors(path)
