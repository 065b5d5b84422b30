"""Vectors of product pictures in a Parquet file that a shop's engineer writes: from any encoder of images."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from patron.recommenders.ids import id_array
from patron.schema.errors import BadFile
from patron.schema.numbers import Numbers

MAX_DIMENSIONS = 4_096
COLUMNS = ("product_id", "vector")
WRITE_IT_SO = "Write one row per product: its product_id, and its vector, a list of numbers of the same length for all."
NAMED = 5
"""Most products that a refusal names."""


def read_image_vectors(path: Path | str) -> tuple[pa.Array, Numbers]:
    """Product ids and a matrix with one row for each, from a Parquet file of product_id and vector.

    Whether the products exist nobody checks. Raises BadFile.
    """
    try:
        missing = [name for name in COLUMNS if name not in pq.read_schema(path).names]
        rows = pq.read_table(path, columns=[name for name in COLUMNS if name not in missing])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise _bad(path, f"cannot be read: {str(error).splitlines()[0]}") from error
    if missing:
        raise _bad(path, f"there is no column {' and no '.join(missing)}")
    ids, vectors = id_array(rows["product_id"]), rows["vector"].combine_chunks()
    if not (pa.types.is_list(vectors.type) or pa.types.is_fixed_size_list(vectors.type)) or not _holds_numbers(vectors):
        raise _bad(path, f"vector is of type {vectors.type}")
    if ids.null_count:
        raise _bad(path, "a product_id is missing")
    counts = pc.value_counts(ids)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if repeated:
        raise _bad(path, f"these products have more than one row: {_named(repeated)}")
    lengths = pc.list_value_length(vectors).fill_null(0)
    width = lengths[0].as_py() if len(lengths) else 0
    different = ids.filter(pc.not_equal(lengths, width))
    if len(different):
        raise _bad(
            path,
            f"the first vector has {width} numbers, but not those of these products: {_named(different.to_pylist())}",
        )
    if len(lengths) and not 0 < width <= MAX_DIMENSIONS:
        raise _bad(path, f"a vector has {width} numbers, and 1 to {MAX_DIMENSIONS:,} are read")
    values = pc.list_flatten(vectors).cast(pa.float64()).fill_null(np.nan).to_numpy()
    matrix = values.reshape(len(ids), width)
    unknown = ids.filter(pa.array(~np.isfinite(matrix).all(axis=1)))
    if len(unknown):
        raise _bad(
            path, f"the vectors of these products hold something other than numbers: {_named(unknown.to_pylist())}"
        )
    return ids, matrix


def _holds_numbers(vectors: pa.Array) -> bool:
    kind = vectors.type.value_type
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _named(ids: list[object]) -> str:
    more = f" and {len(ids) - NAMED:,} more" if len(ids) > NAMED else ""
    return ", ".join(map(str, ids[:NAMED])) + more


def _bad(path: Path | str, what: str) -> BadFile:
    return BadFile(what, where=str(path), todo=WRITE_IT_SO)
