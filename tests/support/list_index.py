"""Small indexes for lists that are made live, from plain rows."""

from collections.abc import Sequence

import pyarrow as pa

from patron.recommenders.live.index_tables import NO_RESPONSES, IndexTables
from patron.recommenders.live.recommendation_index import WANTED

AT_DAY = 20_000.0
"""When the facts of these indexes end, days since 1970."""
PRODUCTS = pa.schema(
    [
        ("product_id", pa.string()),
        ("known_day", pa.float64()),
        ("category", pa.string()),
        ("brand", pa.string()),
        ("style_id", pa.string()),
        ("price_cents", pa.int64()),
        ("cost_cents", pa.int64()),
        ("stock", pa.float64()),
        ("is_consumable", pa.bool_()),
        ("is_blocked", pa.bool_()),
    ]
)
PURCHASES = pa.schema(
    [("customer_id", pa.string()), ("product_id", pa.string()), ("days", pa.float64()), ("is_return", pa.bool_())]
)
RELATED = pa.schema(
    [("product_id", pa.string()), ("related_id", pa.string()), ("kind", pa.string()), ("strength", pa.float64())]
)
WANTED_ROWS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("product_id", pa.string()),
        *((name, pa.float64()) for name in WANTED[:-1]),
        ("because_product_id", pa.string()),
    ]
)
HIDDEN = pa.schema([("customer_id", pa.string()), ("product_id", pa.string()), ("days", pa.float64())])


def index_tables(
    products: Sequence[dict] = (),
    purchases: Sequence[dict] = (),
    related: Sequence[dict] = (),
    wanted: Sequence[dict] = (),
    *,
    hidden: Sequence[dict] = (),
    responses: pa.Table = NO_RESPONSES,
) -> IndexTables:
    """Tables of rows; what a row leaves out is not known."""
    rows = ((products, PRODUCTS), (purchases, PURCHASES), (related, RELATED), (wanted, WANTED_ROWS), (hidden, HIDDEN))
    parts = [pa.Table.from_pylist(list(one), schema=schema) for one, schema in rows]
    return IndexTables(*parts, responses=responses)
