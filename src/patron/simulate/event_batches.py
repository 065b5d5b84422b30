"""From arrays of numbers to the table of raw events; texts are built only where they are needed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.table_definition import TIME
from patron.schema.tables.shared_columns import PRODUCT
from patron.simulate.product_catalogue import Catalogue

NAMES = (
    "Product Updated",
    "Products Searched",
    "Product List Viewed",
    "Product Clicked",
    "Product Viewed",
    "Product Added",
    "Identify",
    "Customer Registered",
    "Customer Referred",
    "Checkout Started",
    "Order Completed",
    "Order Refunded",
    "Product Reviewed",
    "Message Sent",
    "Message Opened",
    "Message Clicked",
    "Recommendation Shown",
    "Recommendation Clicked",
    "Contract Started",
    "Contract Cancelled",
)
CODE = {name: code for code, name in enumerate(NAMES)}
STEPS = 2**8
"""More steps than a visit or day has: an event's number is its visit's number times this plus its step."""
DAY_US = 86_400_000_000
NONE = -1


@dataclass(frozen=True)
class Lines:
    """Order lines that events point at."""

    product: np.ndarray
    quantity: np.ndarray
    discount_cents: np.ndarray
    coupon: np.ndarray
    """Index of the coupon code, or -1."""


@dataclass(frozen=True)
class Batch:
    """Events as arrays, one row each; -1 stands for nothing."""

    number: np.ndarray
    time_us: np.ndarray
    name: np.ndarray
    person: np.ndarray
    is_signed_in: np.ndarray
    visitor: np.ndarray
    """Index of the anonymous id: person times 4 plus device."""
    device: np.ndarray
    is_app: np.ndarray
    product: np.ndarray
    category: np.ndarray
    quantity: np.ndarray
    order: np.ndarray
    """Number of the visit that placed the order."""
    coupon: np.ndarray
    shipping_cents: np.ndarray
    rating: np.ndarray
    text: np.ndarray
    """Index of a query or review text."""
    campaign: np.ndarray
    decision: np.ndarray
    other: np.ndarray
    """Person who was referred."""
    contract_end_us: np.ndarray
    contract_price_cents: np.ndarray
    first_line: np.ndarray
    line_count: np.ndarray
    lines: Lines

    def __len__(self) -> int:
        return len(self.number)

    def rows(self, which: np.ndarray) -> Self:
        """Some of the events, by index, with the lines they point at."""
        count = self.line_count[which]
        end = np.cumsum(count)
        flat = np.repeat(self.first_line[which] - (end - count), count) + np.arange(int(count.sum()))
        chosen = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "lines"}
        chosen["first_line"] = end - count
        return type(self)(**chosen, lines=Lines(**{f.name: getattr(self.lines, f.name)[flat] for f in fields(Lines)}))


def concatenate_batches(batches: Sequence[Batch]) -> Batch:
    """Several batches as one."""
    shift = np.cumsum([0, *(len(b.lines.product) for b in batches)])
    names = [f.name for f in fields(Batch) if f.name not in {"lines", "first_line"}]
    columns = {name: np.concatenate([getattr(b, name) for b in batches]) for name in names}
    first = np.concatenate([b.first_line + s for b, s in zip(batches, shift, strict=False)])
    lines = {f.name: np.concatenate([getattr(b.lines, f.name) for b in batches]) for f in fields(Lines)}
    return Batch(**columns, first_line=first, lines=Lines(**lines))


NO_LINES = Lines(*(np.empty(0, np.int64) for _ in fields(Lines)))


def make_batch(name: str, number: np.ndarray, time_us: np.ndarray, person: np.ndarray, **columns: Any) -> Batch:
    """Events of one name; missing columns hold nothing."""
    size = len(number)
    columns_by_name: dict[str, Any] = {f.name: np.full(size, NONE) for f in fields(Batch)}
    columns_by_name |= {"is_signed_in": np.ones(size, bool), "is_app": np.zeros(size, bool), "lines": NO_LINES}
    columns_by_name |= {"line_count": np.zeros(size, np.int64), "first_line": np.zeros(size, np.int64)}
    columns_by_name |= {
        "number": number,
        "time_us": time_us.astype(np.int64),
        "name": np.full(size, CODE[name]),
        "person": person,
    }
    columns_by_name.update(columns)
    return Batch(**columns_by_name)


@dataclass(frozen=True)
class EventTexts:
    """The texts that numbers stand for."""

    shop: str
    """What event ids begin with."""
    catalogue: Catalogue
    coupons: tuple[str, ...]
    campaigns: Sequence[str]
    decisions: Sequence[str]


def batch_as_raw_events(
    events: Batch, texts: EventTexts, traits: pa.Array, personal: pa.Array, start_us: int
) -> pa.Table:
    """Raw events of a batch, in its order.

    `traits` and `personal` are JSON texts, one for each event or NULL; `start_us` is the shop's first midnight.
    """
    goods = texts.catalogue
    amounts = _amounts(events, goods)
    index = _index(events.product)
    category = np.where(events.product >= 0, goods.category_of[np.maximum(events.product, 0)], events.category)
    has_price = (events.product >= 0) & ~_is(
        events, "Recommendation Shown", "Recommendation Clicked", "Product Reviewed"
    )
    price_cents = np.where(has_price, goods.price_cents[np.maximum(events.product, 0)], events.contract_price_cents)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "event_id": pc.binary_join_element_wise(texts.shop, pc.cast(pa.array(events.number), pa.string()), ""),
        "name": pa.array(NAMES).take(pa.array(events.name)),
        "occurred_at": pa.array(events.time_us + start_us).cast(RAW_EVENTS.field("occurred_at").type),
        "order_id": _texts_of(events.order, "O"),
        "product_id": goods.product_id.take(index),
        "product_name": goods.product_name.take(index),
        "department": goods.department.take(index),
        "category": goods.category_names.take(_index(category)),
        "brand": goods.brand.take(index),
        "price_cents": pa.array(price_cents, mask=~has_price & (events.contract_price_cents < 0)),
        "quantity": pa.array(events.quantity, mask=events.quantity < 0),
        "coupon": pa.array(texts.coupons).take(_index(events.coupon)),
        "rating": pa.array(events.rating.astype(np.float64), mask=events.rating < 0),
        "campaign_id": _few(texts.campaigns, events.campaign),
        "decision_id": _few(texts.decisions, events.decision),
        "channel": pa.array(("web", "app", "email")).take(_index(_channel(events))),
        "device": pa.array(("desktop", "mobile", "tablet")).take(_index(events.device)),
        "products": _products(events, texts),
        "properties": _contracts(events, start_us),
        "traits": traits,
        "user_id": _texts_of(np.where(events.is_signed_in, events.person, NONE), "C"),
        "anonymous_id": _texts_of(events.visitor, "V"),
        "referred_user_id": _texts_of(events.other, "C"),
        "personal": personal,
        "texts": _texts(events, goods),
        **amounts,
    }
    size = len(events)
    return pa.Table.from_arrays([columns.get(f.name, pa.nulls(size, f.type)) for f in RAW_EVENTS], schema=RAW_EVENTS)


def _is(events: Batch, *names: str) -> np.ndarray:
    return np.isin(events.name, [CODE[name] for name in names])


def _channel(events: Batch) -> np.ndarray:
    """0 web, 1 app, 2 e-mail; catalogue rows have none."""
    by_mail = _is(events, "Message Sent", "Message Opened", "Message Clicked")
    return np.where(events.person < 0, NONE, np.where(by_mail, 2, events.is_app.astype(np.int64)))


def _index(values: np.ndarray) -> pa.Array:
    """Index into texts, NULL where there is none."""
    return pa.array(values, mask=values < 0)


def _few(texts: Sequence[str], values: np.ndarray) -> pa.Array:
    if not (values >= 0).any():
        return pa.nulls(len(values), pa.string())
    return pa.array(list(texts), pa.string()).take(_index(values))


def _texts_of(values: np.ndarray, prefix: str) -> pa.Array:
    """Texts such as C17 for the rows that have a number; each is built once per row that needs it."""
    need = values >= 0
    texts = pc.binary_join_element_wise(prefix, pc.cast(pa.array(values[need]), pa.string()), "")
    return texts if need.all() else texts.take(pa.array(np.cumsum(need) - 1, mask=~need))


def _amounts(events: Batch, goods: Catalogue) -> dict[str, pa.Array]:
    """Amounts of orders and refunds, from their lines."""
    lines = events.lines
    gross = np.concatenate([[0], np.cumsum(goods.price_cents[lines.product] * lines.quantity)])
    discount = np.concatenate([[0], np.cumsum(lines.discount_cents)])
    end = events.first_line + events.line_count
    off = discount[end] - discount[events.first_line]
    paid = gross[end] - gross[events.first_line] - off
    none = events.line_count == 0
    shipping = np.maximum(events.shipping_cents, 0)
    return {
        "discount_cents": pa.array(off, mask=none),
        "revenue_cents": pa.array(paid, mask=none),
        "total_cents": pa.array(paid + shipping, mask=none),
        "shipping_cents": pa.array(shipping, mask=events.shipping_cents < 0),
        "currency": pa.array(["USD"]).take(pa.array(np.zeros(len(none), np.int64), mask=none)),
    }


def _products(events: Batch, texts: EventTexts) -> pa.Array:
    """The lines of each event as a list."""
    goods, lines = texts.catalogue, events.lines
    offsets = np.concatenate([[0], np.cumsum(events.line_count)]).astype(np.int32)
    index = pa.array(lines.product)
    category = goods.category.take(index)
    values = pa.StructArray.from_arrays(
        [
            goods.product_id.take(index),
            goods.product_name.take(index),
            category,
            goods.brand.take(index),
            pa.array(goods.price_cents[lines.product]),
            pa.array(lines.quantity),
            pa.array(lines.discount_cents),
            pa.array(texts.coupons).take(_index(lines.coupon)),
        ],
        fields=list(PRODUCT),
    )
    return pa.ListArray.from_arrays(
        pa.array(offsets), values, type=RAW_EVENTS.field("products").type, mask=pa.array(events.line_count == 0)
    )


def _contracts(events: Batch, start_us: int) -> pa.Array:
    """JSON of a contract's id, and of the end of a term that begins."""
    is_contract = _is(events, "Contract Started", "Contract Cancelled")
    if not is_contract.any():
        return pa.nulls(len(events), pa.string())
    end_us = events.contract_end_us[is_contract]
    ends = pa.array(end_us + start_us, mask=end_us < 0).cast(TIME).to_pylist()
    texts = [
        json.dumps({"contract_id": f"S{person}"} | ({"ends_at": end.isoformat()} if end else {}))
        for person, end in zip(events.person[is_contract], ends, strict=True)
    ]
    return pa.array(texts).take(pa.array(np.cumsum(is_contract) - 1, mask=~is_contract))


def _texts(events: Batch, goods: Catalogue) -> pa.Array:
    """JSON of queries and reviews."""
    searched = events.name == CODE["Products Searched"]
    both = pa.concat_arrays([goods.queries, goods.reviews])
    index = np.where(searched | (events.text < 0), events.text, events.text + len(goods.queries))
    return both.take(_index(index))
