"""What a template may call product.name ..., of the product that a message is about."""

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from patron.engage.journeys.journey_triggers import PRODUCT_UPDATED
from patron.schema.table_definition import TEXT
from patron.storage.engine import literal, timestamp
from patron.storage.shop import Shop

COLUMNS = ("name", "category", "brand")


def product_variables(shop: Shop, product_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """id, name, category, brand and price (in the shop's currency) of products, as far as they are known.

    The price is today's, also where it changed since the last run.
    """
    if not product_ids:
        return {}
    snapshot, wanted = shop.snapshot(), pa.table({"product_id": pa.array(sorted(product_ids), TEXT)})
    is_later = f"e.occurred_at >= {timestamp(snapshot.run.as_of)}" if snapshot else "true"
    is_shop_s = f"coalesce(e.currency, {literal(shop.settings.shop.currency)}) = {literal(shop.settings.shop.currency)}"
    rows = (snapshot or shop.newest_snapshot()).query(
        f"""
with later as (
  select e.product_id, arg_max(e.price_cents, least(e.occurred_at, e.received_at)) as price_cents from events e
  join wanted w on w.product_id = e.product_id
  where e.name = '{PRODUCT_UPDATED}' and e.price_cents is not null and {is_shop_s} and {is_later}
  group by e.product_id
)
select w.product_id, p.product_name as name, p.category, p.brand, coalesce(l.price_cents, p.price_cents) as price_cents
from wanted w left join products p on p.product_id = w.product_id left join later l on l.product_id = w.product_id""",
        wanted=wanted,
    )
    known: dict[str, Mapping[str, Any]] = {product_id: {"id": product_id} for product_id in product_ids}
    for row in rows.to_pylist():
        price = {} if row["price_cents"] is None else {"price": row["price_cents"] / 100}
        texts = {name: row[name] for name in COLUMNS if row[name]}
        known[row["product_id"]] = {"id": row["product_id"], **texts, **price}
    return known
