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
MAX_NUMBERS, MAX_BYTES = 250_000_000, 4_000_000_000
"""Most numbers in all vectors together, 2 GB in memory, and most bytes of both columns, unpacked."""
MAX_ID = 1_000
"""Most characters of a product's id."""
SMALLEST, LARGEST = 1e-6, 1e15
"""Bounds of the largest number of a vector: beyond them sums overflow, or round to 0."""
COLUMNS = ("product_id", "vector")
WRITE_IT_SO = (
    "Write one row per product with a picture: its product_id, and its vector, a list of numbers of the same length."
)
NAMED, NAMED_CHARACTERS = 5, 60
"""Most products that a refusal names, and characters of each."""


def read_image_vectors(path: Path | str) -> tuple[pa.Array, Numbers]:
    """Product ids and a matrix with one row for each, from a Parquet file of product_id and vector.

    Whether the products exist nobody checks. Raises BadFile.
    """
    # why: to open a pipe would wait for whoever writes into it
    if not Path(path).is_file():
        raise _bad(path, "is not a file")
    try:
        ids, vectors = _read_ids_and_vectors(path)
        return ids, _checked_matrix(path, ids, vectors)
    except (pa.ArrowException, UnicodeDecodeError, MemoryError, OSError) as error:
        raise _bad(path, f"cannot be read: {str(error).partition(chr(10))[0]}") from error


def _read_ids_and_vectors(path: Path | str) -> tuple[pa.Array, pa.Array]:
    """Read both columns, where their size and types can be read. Raises BadFile."""
    schema = pq.read_schema(path)
    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        raise _bad(path, f"there is no column {' and no '.join(missing)}")
    repeated = [name for name in COLUMNS if schema.names.count(name) > 1]
    if repeated:
        raise _bad(path, f"there is more than one column {' and '.join(repeated)}")
    kind, vector = (schema.field(name).type for name in COLUMNS)
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise _bad(path, f"product_id is of type {kind}, and texts or whole numbers are read")
    if not _is_list(vector) or not _holds_numbers(vector):
        raise _bad(path, f"vector is of type {vector}")
    with pq.ParquetFile(path, read_dictionary=["product_id"]) as file:
        _require_size(path, file.metadata)
        rows = file.read(columns=list(COLUMNS))
    rows.validate(full=True)
    ids = rows["product_id"]
    texts = [chunk.dictionary for chunk in ids.chunks] if pa.types.is_dictionary(ids.type) else []
    if any((pc.max(pc.binary_length(chunk)).as_py() or 0) > MAX_ID for chunk in texts):
        raise _bad(path, f"a product_id is longer than {MAX_ID:,} characters")
    return id_array(ids), rows["vector"].combine_chunks()


def _require_size(path: Path | str, size: pq.FileMetaData) -> None:
    """Raise BadFile for more than is read, however small the file is."""
    parts = [size.row_group(group) for group in range(size.num_row_groups)]
    columns = [part.column(at) for part in parts for at in range(part.num_columns)]
    columns = [column for column in columns if column.path_in_schema.partition(".")[0] in COLUMNS]
    is_large = sum(column.total_uncompressed_size for column in columns) > MAX_BYTES
    if is_large or max(sum(column.num_values for column in columns), size.num_rows) > MAX_NUMBERS:
        raise _bad(path, f"it holds more than {MAX_NUMBERS:,} numbers or {MAX_BYTES / 1e9:.0f} GB")


def _checked_matrix(path: Path | str, ids: pa.Array, vectors: pa.Array) -> Numbers:
    """One row for each product. Raises BadFile, which names products whose vector cannot be used."""
    if ids.null_count:
        raise _bad(path, "a product_id is missing")
    counts = pc.value_counts(ids)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if repeated:
        raise _bad(path, f"these products have more than one row: {_named(repeated)}")
    lengths = pc.list_value_length(vectors).fill_null(0)
    width = lengths[0].as_py() if len(lengths) else 0
    different = ids.filter(pc.not_equal(lengths, width)).to_pylist()
    if different:
        what = f"the first vector has {width} numbers, but not those of these products: {_named(different)}"
        raise _bad(path, what)
    if len(lengths) and not 0 < width <= MAX_DIMENSIONS:
        raise _bad(path, f"a vector has {width} numbers, and 1 to {MAX_DIMENSIONS:,} are read")
    values = pc.list_flatten(vectors).cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()
    matrix = values.reshape(len(ids), width)
    unknown = ids.filter(pa.array(~np.isfinite(matrix).all(axis=1))).to_pylist()
    if unknown:
        raise _bad(path, f"the vectors of these products hold something other than numbers: {_named(unknown)}")
    largest = np.abs(matrix).max(axis=1, initial=0.0)
    outside = ids.filter(pa.array((largest < SMALLEST) | (largest > LARGEST))).to_pylist()
    if outside:
        bounds = f"{SMALLEST:g} to {LARGEST:g}"
        raise _bad(path, f"the largest number of a vector must be from {bounds}, and is not for: {_named(outside)}")
    return matrix


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _holds_numbers(vector: pa.DataType) -> bool:
    return pa.types.is_floating(vector.value_type) or pa.types.is_integer(vector.value_type)


def _named(ids: list[object]) -> str:
    """Some ids, shortened; ? stands for control characters."""
    more = f" and {len(ids) - NAMED:,} more" if len(ids) > NAMED else ""
    texts = (str(identifier)[:NAMED_CHARACTERS] for identifier in ids[:NAMED])
    return ", ".join("".join(letter if letter.isprintable() else "?" for letter in text) for text in texts) + more


def _bad(path: Path | str, what: str) -> BadFile:
    return BadFile(what, where=str(path), todo=WRITE_IT_SO)
