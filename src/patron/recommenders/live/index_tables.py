"""Build the index from tables: products, recent purchases and returns, related products, and what customers want."""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.recommenders.ids import codes_of_ids
from patron.recommenders.lists.product_facts import ProductFacts
from patron.recommenders.live.click_model import SOURCES, ClickWeights, ProductResponse
from patron.recommenders.live.product_rows import ProductRows
from patron.recommenders.live.recommendation_index import DAYS, PROBABILITY, STRENGTH, Customers, RecommendationIndex
from patron.schema.numbers import Numbers, float_column

HEAD_SHARE = 0.8
"""The products with this share of the recent purchases are the head; the others are the long tail."""
POPULAR_DAYS = 28.0
"""Purchases within so many days make a product popular."""
TOGETHER, FOLLOWS, ALIKE, SUBSTITUTE, NEVER = "together", "follows", "alike", "substitute", "never"
"""Kinds of related products."""


NO_SOURCES = pa.schema(
    [("source", pa.string()), ("weight", pa.float64()), ("clicks", pa.float64()), ("orders", pa.float64())]
).empty_table()
RESPONSES = ("clicks", "expected_clicks", "orders", "expected_orders")
NO_RESPONSES = pa.schema([("product_id", pa.string()), *((name, pa.float64()) for name in RESPONSES)]).empty_table()


NOTHING_HIDDEN = pa.schema(
    [("customer_id", pa.string()), ("product_id", pa.string()), ("days", pa.float64())]
).empty_table()


@dataclass(frozen=True)
class IndexTables:
    """What an index is built from. Columns that are not known can be null."""

    products: pa.Table
    """product_id, known_day (since 1970), category, brand, style_id, price_cents, cost_cents, stock, is_consumable,
    is_blocked, and where promotions are planned offer_starts_day and offer_ends_day; other columns are ignored."""
    purchases: pa.Table
    """customer_id, product_id, days (before the index's time), is_return: of as long as rules look back."""
    related: pa.Table
    """product_id, related_id, kind ("together", "follows", "alike", "substitute" or "never"), strength, 0 to 1."""
    wanted: pa.Table
    """customer_id, product_id, probability, days_since, usual_days, because_product_id."""
    hidden: pa.Table = field(default_factory=lambda: NOTHING_HIDDEN)
    """customer_id, product_id, days (before the index's time): what customers do not want to see."""
    sources: pa.Table = field(default_factory=lambda: NO_SOURCES)
    """source, weight, clicks, orders: what shown lists taught; empty before there were any."""
    responses: pa.Table = field(default_factory=lambda: NO_RESPONSES)
    """product_id, clicks, expected_clicks, orders, expected_orders, likewise."""


def build_index(tables: IndexTables, *, at_day: float, margin_share: float, version: str = "") -> RecommendationIndex:
    """Index of the tables as of a day; `margin_share` of the price is the margin of a product of unknown cost.

    Purchases of products that are not among `products` are left out. Raises BadListInput.
    """
    products = _known_products(tables.products)
    ids = products["product_id"].combine_chunks().cast(pa.string())
    bought = tables.purchases.filter(pc.invert(tables.purchases["is_return"]))
    popularity = _popularity(bought, ids)
    price, cost = (
        float_column(products, "price_cents", missing=np.nan),
        float_column(products, "cost_cents", missing=np.nan),
    )
    is_wrong = price < 0  # why: a voucher may stand in a list of products with a price below 0
    price, cost = np.where(is_wrong, np.nan, price), np.where(is_wrong, np.nan, cost)
    margin = np.where(np.isfinite(cost), price - cost, price * margin_share)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(price > 0, margin / price, np.nan)
    facts = products.select([fact for fact in FACTS if fact in products.column_names])
    price_column = pa.array(price, pa.float64(), from_pandas=True)
    facts = facts.set_column(facts.column_names.index("price_cents"), "price_cents", price_column)
    facts = facts.append_column("is_tail", pa.array(_is_tail(popularity)))
    facts = facts.append_column("margin_share", pa.array(np.clip(share, -np.inf, 1.0), from_pandas=True))
    kinds = TOGETHER, FOLLOWS, ALIKE, SUBSTITUTE, NEVER
    together, follows, alike, substitutes, never = (_related(tables.related, ids, kind) for kind in kinds)
    return RecommendationIndex(
        at_day,
        ProductFacts.of(facts),
        popularity=popularity.astype(np.float32),
        together=together,
        follows=follows,
        alike=alike,
        substitutes=substitutes,
        never=never,
        known_since=float_column(products, "known_day", missing=np.nan).astype(np.float32),
        margin_cents=margin.astype(np.float32),
        offer_starts_day=_days_or_none(products, "offer_starts_day"),
        offer_ends_day=_days_or_none(products, "offer_ends_day"),
        customers=_customers(tables, ids),
        version=version,
    )


FACTS = ("product_id", "category", "brand", "style_id", "price_cents", "stock", "is_consumable", "is_blocked")


def learned_model(tables: IndexTables, products: pa.Array) -> tuple[ClickWeights, ProductResponse]:
    """What shown lists taught by the last night; the defaults before there were any."""
    weights, response = ClickWeights(), ProductResponse.unknown(len(products))
    sources = {row["source"]: row for row in tables.sources.to_pylist()}
    if sources.keys() == set(SOURCES):
        columns = {
            name: np.array([sources[source][name] for source in SOURCES]) for name in ("weight", "clicks", "orders")
        }
        weights = replace(weights, weights=columns["weight"])
        response.source_clicks, response.source_orders = columns["clicks"], columns["orders"]
    codes = codes_of_ids(tables.responses["product_id"], products)
    for name in RESPONSES:
        getattr(response, name)[codes[codes >= 0]] = float_column(tables.responses, name)[codes >= 0]
    return weights, response


def _days_or_none(products: pa.Table, name: str) -> Numbers:
    if name not in products.column_names:
        return np.full(products.num_rows, np.nan)
    return float_column(products, name, missing=np.nan)


def _known_products(products: pa.Table) -> pa.Table:
    """Products with an id, in its order."""
    return products.filter(pc.is_valid(products["product_id"])).sort_by("product_id")


def _popularity(bought: pa.Table, ids: pa.Array) -> Numbers:
    """Recent purchases of each product as a share of the most popular one's."""
    recent = bought.filter(pc.less_equal(bought["days"], POPULAR_DAYS))
    codes = codes_of_ids(recent["product_id"], ids)
    counts = np.bincount(codes[codes >= 0], minlength=len(ids)).astype(np.float64)
    return counts / max(counts.max(initial=0.0), 1.0)


def _is_tail(popularity: Numbers) -> np.ndarray:
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order]) - popularity[order]
    is_tail = np.zeros(len(popularity), dtype=np.bool_)
    is_tail[order] = before >= HEAD_SHARE * popularity.sum()
    return is_tail


def _related(related: pa.Table, ids: pa.Array, kind: str) -> ProductRows:
    of_kind = related.filter(pc.equal(related["kind"], kind))
    start, end = (codes_of_ids(of_kind[name], ids) for name in ("product_id", "related_id"))
    return ProductRows.of(start, end, len(ids), **{STRENGTH: float_column(of_kind, "strength")})


def _customers(tables: IndexTables, ids: pa.Array) -> Customers:
    parts = (tables.wanted, tables.purchases, tables.hidden)
    columns = [part["customer_id"].combine_chunks().cast(pa.string()) for part in parts]
    customers = pa.concat_arrays(columns).unique().drop_null().sort()
    wanted = tables.wanted
    values = {name: float_column(wanted, name, missing=np.nan) for name in (PROBABILITY, "days_since", "usual_days")}
    values[PROBABILITY] = np.nan_to_num(values[PROBABILITY])
    values["because"] = codes_of_ids(wanted["because_product_id"], ids).astype(np.float64)
    is_return = tables.purchases["is_return"]
    bought, returned = (
        _past(tables.purchases.filter(rows), customers, ids) for rows in (pc.invert(is_return), is_return)
    )
    row, product = codes_of_ids(columns[0], customers), codes_of_ids(wanted["product_id"], ids)
    wants = ProductRows.of(row, product, len(customers), **values)
    return Customers(customers, wants, bought=bought, returned=returned, hidden=_past(tables.hidden, customers, ids))


def _past(rows: pa.Table, customers: pa.Array, ids: pa.Array) -> ProductRows:
    row, product = codes_of_ids(rows["customer_id"], customers), codes_of_ids(rows["product_id"], ids)
    return ProductRows.of(row, product, len(customers), **{DAYS: np.maximum(float_column(rows, "days"), 0.0)})
