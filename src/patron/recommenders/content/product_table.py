"""Products as a table with plain ids, each once."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders.ids import plain_ids
from patron.schema.errors import InvalidTable
from patron.schema.frames import table_without_index

COLUMNS = ("product_id", "name", "description", "category", "department", "brand", "price_cents")


def product_table(products: Any) -> pa.Table:
    """The columns of COLUMNS that a frame has; product_id is needed. Raises InvalidTable."""
    try:
        table = table_without_index(products)
    except TypeError as error:
        raise _bad(str(error), "Pass a frame of pandas, Polars, DuckDB or Arrow.") from error
    if "product_id" not in table.column_names:
        raise _bad("there is no column product_id", f"Rename one of {', '.join(table.column_names)} to product_id.")
    table = table.select([name for name in COLUMNS if name in table.column_names])
    ids = plain_ids(table["product_id"])
    if ids.null_count:
        raise _bad(f"{ids.null_count} of {len(ids)} rows have no product_id", "Leave these rows out.")
    repeated = len(ids) - pc.count_distinct(ids).as_py()
    if repeated:
        raise _bad(f"{repeated} of {len(ids)} rows repeat a product_id", "Keep one row per product.")
    return table.set_column(table.column_names.index("product_id"), "product_id", ids)


def _bad(what: str, todo: str) -> InvalidTable:
    return InvalidTable(what, where="products", todo=todo)
