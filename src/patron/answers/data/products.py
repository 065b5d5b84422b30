"""Products of the catalog by id, for what names them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from patron.storage.engine import sql_list
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class Product:
    """One product of the catalog."""

    product_id: str
    product_name: str | None
    category: str | None
    price_cents: int | None


def products_by_id(view: Snapshot, ids: Iterable[str | None]) -> dict[str, Product]:
    """Products of the catalog among these; one that it lacks is left out."""
    # why: pages name the same few products again and again
    known: dict[str, Product | None] = view.once("products", dict)
    wanted = sorted({identifier for identifier in ids if identifier is not None})
    if missing := [identifier for identifier in wanted if identifier not in known]:
        sql = f"""
select product_id, product_name, category, price_cents from products where product_id in {sql_list(missing)}"""
        found = {row["product_id"]: Product(**row) for row in records(view.query(sql))}
        known |= {identifier: found.get(identifier) for identifier in missing}
    return {identifier: product for identifier in wanted if (product := known[identifier]) is not None}


def name_of(products: Mapping[str, Product], product_id: str | None) -> str | None:
    """Name of a product among these, if it has one."""
    product = products.get(product_id) if product_id is not None else None
    return product.product_name if product else None
