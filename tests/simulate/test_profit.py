"""Profit from raw events alone: what an order earns, and what a refund, a discount or free shipping takes away."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.simulate.profit import contact_cents, margin_cents, profit_cents
from patron.simulate.simulator_settings import CATALOGUE_SHOP, DEFAULT_SHOP


def test_profit_is_margin_less_discounts_waived_shipping_refunds_and_contacts():
    events = pa.table(
        {
            "name": ["Order Completed", "Order Completed", "Order Refunded", "Product Viewed"],
            "user_id": ["C1", "C2", "C1", "C1"],
            "order_id": ["O1", "O2", "O1", None],
            "occurred_at": [date(2024, 1, 1)] * 4,
            "revenue_cents": [9_000, 2_000, 900, None],
            "discount_cents": [1_000, 0, 100, None],
            "shipping_cents": [0, 0, None, None],
        }
    )
    margin = 0.45 * 10_000 - 1_000 + (0.45 * 2_000 - 495) - (0.45 * 1_000 - 100)
    assert profit_cents(events, DEFAULT_SHOP, contacts=4, contact_cents=5) == pytest.approx(margin - 20)


def test_profit_is_the_sum_of_the_margins_of_orders_and_refunds_less_contacts(year, small_shop):
    rows = margin_cents(year, small_shop)
    is_money = pc.is_in(year["name"], pa.array(["Order Completed", "Order Refunded"]))
    assert rows.num_rows == pc.sum(is_money).as_py()
    assert profit_cents(year, small_shop, contacts=7, contact_cents=3) == pytest.approx(
        rows["margin_cents"].to_numpy().sum() - 21
    )


def test_the_profit_of_two_periods_is_that_of_both(year, small_shop):
    half = year.num_rows // 2
    parts = profit_cents(year.slice(0, half), small_shop) + profit_cents(year.slice(half), small_shop)
    assert profit_cents(year, small_shop) == pytest.approx(parts)


def test_without_orders_only_contacts_cost(year, small_shop):
    views = year.filter(pc.equal(year["name"], "Product Viewed"))
    assert profit_cents(views, small_shop) == 0
    assert profit_cents(views.slice(0, 0), small_shop, contacts=3, contact_cents=5) == -15


def test_a_refund_deducts_the_margin_of_its_lines(year, small_shop):
    """An order that comes back whole leaves nothing but the shipping that was waived."""
    orders = year.filter(pc.equal(year["name"], "Order Completed"))
    name = orders.column_names.index("name")
    returned = orders.set_column(name, "name", pa.array(["Order Refunded"] * len(orders)))
    remainder = margin_cents(orders, small_shop)["margin_cents"].to_numpy() + (
        margin_cents(returned, small_shop)["margin_cents"].to_numpy()
    )
    assert remainder == pytest.approx(np.zeros(len(orders)))


def test_a_waived_shipping_costs_what_it_would_have_brought(year, small_shop):
    orders = year.filter(pc.equal(year["name"], "Order Completed"))
    paid = orders.filter(pc.greater(orders["shipping_cents"], 0))
    waived = paid.set_column(
        paid.column_names.index("shipping_cents"), "shipping_cents", pa.array([0] * len(paid), pa.int64())
    )
    cost = profit_cents(paid, small_shop) - profit_cents(waived, small_shop)
    assert cost == pytest.approx(small_shop.shipping_cents * len(paid))


def test_points_cost_the_share_of_the_price_that_is_redeemed_and_come_back_with_a_refund(year, small_shop):
    """The same orders with the coupon of points, and then sent back whole."""
    orders = year.filter(pc.equal(year["name"], "Order Completed"))
    lines = [[line | {"coupon": "POINTS10"} for line in products] for products in orders["products"].to_pylist()]
    at = orders.column_names.index("products")
    with_points = orders.set_column(at, "products", pa.array(lines, orders.schema.field("products").type))
    paid = pc.sum(orders["revenue_cents"]).as_py()
    cost = profit_cents(orders, small_shop) - profit_cents(with_points, CATALOGUE_SHOP)
    assert cost == pytest.approx(0.10 * CATALOGUE_SHOP.points_redeemed_share * paid)
    name = with_points.column_names.index("name")
    returned = with_points.set_column(name, "name", pa.array(["Order Refunded"] * len(orders)))
    plain = orders.set_column(name, "name", pa.array(["Order Refunded"] * len(orders)))
    assert profit_cents(returned, CATALOGUE_SHOP) - profit_cents(plain, small_shop) == pytest.approx(cost)


def test_a_call_costs_more_than_a_message():
    assert contact_cents(pa.chunked_array([["SAVE10", "CALL", "REMINDER"]]), CATALOGUE_SHOP) == 5 + 400 + 5
