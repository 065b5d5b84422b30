"""What a template may call product.name ..., of the product that a message is about."""

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from patron.schema.table_definition import TEXT
from patron.storage.shop import Shop

COLUMNS = ("name", "category", "brand")


def product_variables(shop: Shop, product_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """id, name, category, brand and price (in the shop's currency) of products, as far as they are known."""
    if not product_ids:
        return {}
    rows = (shop.snapshot() or shop.newest_snapshot()).query(
        "select p.product_id, p.product_name as name, p.category, p.brand, p.price_cents from products p"
        " join wanted w on w.product_id = p.product_id",
        wanted=pa.table({"product_id": pa.array(sorted(product_ids), TEXT)}),
    )
    known: dict[str, Mapping[str, Any]] = {one: {"id": one} for one in product_ids}
    for row in rows.to_pylist():
        price = {} if row["price_cents"] is None else {"price": row["price_cents"] / 100}
        texts = {name: row[name] for name in COLUMNS if row[name]}
        known[row["product_id"]] = {"id": row["product_id"], **texts, **price}
    return known
