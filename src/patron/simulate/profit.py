"""Profit of a period, from its raw events alone."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.simulate.simulator_settings import SimulatorSettings


def margin_cents(events: pa.Table, shop: SimulatorSettings) -> pa.Table:
    """Margin of each order and refund among raw events, cents: user_id, order_id, occurred_at, margin_cents.

    Margin is `margin_share` of the goods' price, less discounts and the shipping that a free-shipping offer waives; a
    refund takes back the margin of its lines (the goods can be sold again). Shipping that is charged costs as much.
    """
    is_money = pc.is_in(events["name"], pa.array(["Order Completed", "Order Refunded"]))
    rows = events.select(
        ["name", "user_id", "order_id", "occurred_at", "revenue_cents", "discount_cents", "shipping_cents"]
    )
    rows = rows.filter(is_money)
    off = rows["discount_cents"].to_numpy()
    gross = rows["revenue_cents"].to_numpy() + off
    is_order = pc.equal(rows["name"], "Order Completed").to_numpy()
    standing = np.where(gross < shop.free_shipping_from_cents, shop.shipping_cents, 0)
    waived = standing - pc.fill_null(rows["shipping_cents"], 0).to_numpy()
    earned = shop.margin_share * gross - off
    margin = np.where(is_order, earned - waived, -earned)
    return rows.select(["user_id", "order_id", "occurred_at"]).append_column("margin_cents", pa.array(margin))


def profit_cents(events: pa.Table, shop: SimulatorSettings, contacts: int = 0, contact_cents: float = 0.0) -> float:
    """Margin of all orders and refunds among raw events, less the cost of contacts, cents."""
    return float(pc.sum(margin_cents(events, shop)["margin_cents"]).as_py() or 0.0) - contacts * contact_cents
