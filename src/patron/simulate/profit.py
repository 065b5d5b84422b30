"""Profit of a period, from its raw events alone."""

from collections import defaultdict
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.simulate.simulator_settings import SimulatorSettings


def margin_cents(events: pa.Table, shop: SimulatorSettings) -> pa.Table:
    """Margin of each order and refund among raw events, cents: user_id, order_id, occurred_at, margin_cents.

    Margin is `margin_share` of the goods' price, less discounts, the shipping that a free-shipping offer waives and the
    credited points that are expected to be redeemed; a refund takes back the margin and the points of its lines (the
    goods can be sold again). Shipping that is charged costs as much.
    """
    is_money = pc.is_in(events["name"], pa.array(["Order Completed", "Order Refunded"]))
    rows = events.select(
        ["name", "user_id", "order_id", "occurred_at", "revenue_cents", "discount_cents", "shipping_cents"]
    )
    rows = rows.filter(is_money)
    points = _points_share(events.filter(is_money), shop) * shop.points_redeemed_share
    off = rows["discount_cents"].to_numpy()
    gross = rows["revenue_cents"].to_numpy() + off
    is_order = pc.equal(rows["name"], "Order Completed").to_numpy()
    standing = np.where(gross < shop.free_shipping_from_cents, shop.shipping_cents, 0)
    waived = standing - pc.fill_null(rows["shipping_cents"], 0).to_numpy()
    earned = shop.margin_share * gross - off - points * rows["revenue_cents"].to_numpy()
    margin = np.where(is_order, earned - waived, -earned)
    return rows.select(["user_id", "order_id", "occurred_at"]).append_column("margin_cents", pa.array(margin))


def window_margins(events: pa.Table, shop: SimulatorSettings, since: datetime, days: int) -> dict[str, float]:
    """Margin of each customer's orders of a window as a shop's order lines show it, by user id, cents.

    Less what is refunded of them within the window. Shipping and points, which no order line shows, are left out.
    """
    until = pa.scalar(since + timedelta(days=days), events.schema.field("occurred_at").type)
    rows = events.filter(pc.less(events["occurred_at"], until))
    orders = rows.filter(pc.equal(rows["name"], "Order Completed"))
    refunds = rows.filter(pc.equal(rows["name"], "Order Refunded"))
    refunds = refunds.filter(pc.is_in(refunds["order_id"], orders["order_id"].combine_chunks()))
    margins: dict[str, float] = defaultdict(float)
    for kind, sign in ((orders, 1.0), (refunds, -1.0)):
        off = kind["discount_cents"].to_numpy()
        earned = sign * (shop.margin_share * (kind["revenue_cents"].to_numpy() + off) - off)
        for user, cents in zip(kind["user_id"].to_pylist(), earned.tolist(), strict=True):
            margins[user] += cents
    return margins


def _points_share(rows: pa.Table, shop: SimulatorSettings) -> np.ndarray:
    """Share of the price that each order, or the order of each refund, credits in points."""
    shares = {offer.offer_id: offer.points_share for offer in shop.offers if offer.points_share}
    if not shares:
        return np.zeros(rows.num_rows)
    # why: a refund names the coupon in its lines only
    codes = pc.struct_field(pc.list_element(rows["products"], 0), "coupon").to_pylist()
    return np.array([shares.get(code or "", 0.0) for code in codes])


def contact_cents(offer_ids: pa.ChunkedArray, shop: SimulatorSettings) -> int:
    """Cost of contacting customers with these offers, one contact each, cents."""
    cost = {offer.offer_id: offer.contact_cents for offer in shop.offers}
    return sum(cost[str(offer_id)] for offer_id in offer_ids.to_pylist())


def spent_cents(events: pa.Table, offer_ids: pa.ChunkedArray, shop: SimulatorSettings) -> float:
    """What these offers cost: discounts, waived shipping and points of orders that used one, and contacts, cents."""
    codes = pa.array([offer.offer_id for offer in shop.offers])
    orders = events.filter(pc.and_(pc.equal(events["name"], "Order Completed"), pc.is_in(events["coupon"], codes)))
    discount, paid = orders["discount_cents"].to_numpy(), orders["revenue_cents"].to_numpy()
    charged = pc.fill_null(orders["shipping_cents"], 0).to_numpy()
    waived = shop.shipping_cents * (paid + discount < shop.free_shipping_from_cents) - charged
    points = _points_share(orders, shop) * shop.points_redeemed_share * paid
    return float((discount + waived + points).sum()) + contact_cents(offer_ids, shop)


def profit_cents(events: pa.Table, shop: SimulatorSettings, contacts: int = 0, contact_cents: float = 0.0) -> float:
    """Margin of all orders and refunds among raw events, less the cost of contacts, cents."""
    return float(pc.sum(margin_cents(events, shop)["margin_cents"]).as_py() or 0.0) - contacts * contact_cents
