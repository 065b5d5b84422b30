"""A list as a file that spreadsheets open and nothing computes."""

from collections.abc import Iterator
from io import BytesIO

import pyarrow as pa
import pyarrow.csv as pa_csv
from fastapi.responses import Response, StreamingResponse

from patron.storage.safe_csv import safe_cell

ROWS_AT_ONCE = 50_000


def csv_response(table: pa.Table, name: str) -> Response:
    """A table as a file, written piece by piece; texts are made safe."""
    safe = pa.table({column: safe_column(table[column]) for column in table.column_names})
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_written(safe), media_type="text/csv; charset=utf-8", headers=headers)


def safe_column(values: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Texts that no spreadsheet takes for a formula; other values as they are."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    encoded = pa.concat_arrays(values.chunks).dictionary_encode() if values.num_chunks else values
    if not isinstance(encoded, pa.DictionaryArray):
        return values
    safe = pa.array([safe_cell(one) for one in encoded.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(encoded.indices, safe).cast(pa.string())


def _written(table: pa.Table) -> Iterator[bytes]:
    for start in range(0, max(table.num_rows, 1), ROWS_AT_ONCE):
        out = BytesIO()
        pa_csv.write_csv(table.slice(start, ROWS_AT_ONCE), out, pa_csv.WriteOptions(include_header=start == 0))
        yield out.getvalue()
