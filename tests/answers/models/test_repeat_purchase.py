"""Repeat purchase as readers of the last run see it."""

import json
from dataclasses import replace

import pyarrow.compute as pc
import pytest

from patron.answers.customers.customer_profile import customer_card
from patron.answers.models.repeat_purchase import (
    customer_repeat_purchase,
    order_history,
    repeat_purchase,
    repeat_purchase_model,
)
from patron.clv import FittedParetoNBD
from patron.clv.diagnostics import alive_over_time, forecast_fan, frequency_recency
from patron.schema.tables import ORDERS, REPEAT_PURCHASE
from patron.storage.runs.last_run import last_run


@pytest.fixture(scope="module")
def somebody(made_shop):
    counts = last_run(made_shop).query(
        "select customer_id, count(distinct local_day) as days from orders group by customer_id order by days, 1"
    )
    return counts.to_pylist()[counts.num_rows // 2]


def test_a_customers_repeat_purchase_is_that_of_their_order_days(made_shop, somebody):
    card = customer_card(made_shop, somebody["customer_id"])
    assert card.repeat_purchase is not None
    assert card.repeat_purchase.order_day_count == somebody["days"]
    history = order_history(made_shop, somebody["customer_id"])
    assert history is not None
    fitted, days = FittedParetoNBD.from_dict(json.loads(history.model)), list(history.order_days)
    fan = forecast_fan(fitted, days, history.last_day, 90.0).to_pylist()
    alive = alive_over_time(fitted, days, history.last_day)
    assert fan[-1]["expected"] - somebody["days"] == pytest.approx(card.repeat_purchase.expected_orders_90_days)
    assert alive["probability_alive"][-1].as_py() == pytest.approx(card.repeat_purchase.probability_active)
    assert sum(alive["is_order"].to_pylist()) == somebody["days"]


def test_unknown_and_unidentified_customers_have_none(made_shop, somebody):
    """A device that bought once cannot be seen to come back, and is not in the model."""
    assert order_history(made_shop, "nobody") is None
    view, customer = last_run(made_shop), somebody["customer_id"]
    rows = made_shop.lake.read(REPEAT_PURCHASE)
    others = rows.filter(pc.not_equal(rows["customer_id"], somebody["customer_id"]))
    version = made_shop.lake.replace(REPEAT_PURCHASE, others)
    try:
        other = replace(view, pinned={**view.pinned, "repeat_purchase": version})
        assert customer_repeat_purchase(view, customer) is not None
        assert customer_repeat_purchase(other, customer) is None
    finally:
        made_shop.lake.replace(REPEAT_PURCHASE, rows)


def test_anonymous_orders_are_not_part_of_a_history(made_shop, somebody, monkeypatch):
    view, orders = last_run(made_shop), made_shop.lake.read(ORDERS)
    is_one = pc.equal(orders["customer_id"], somebody["customer_id"])
    place = orders.column_names.index("is_identified")
    anonymous = orders.set_column(place, "is_identified", pc.if_else(is_one, False, orders["is_identified"]))
    version = made_shop.lake.replace(ORDERS, anonymous)
    try:
        other = replace(view, pinned={**view.pinned, "orders": version})
        monkeypatch.setattr("patron.answers.models.repeat_purchase.last_run", lambda _: other)
        assert order_history(made_shop, somebody["customer_id"]) is None
    finally:
        made_shop.lake.replace(ORDERS, orders)


def test_the_shop_is_the_sum_of_its_customers(made_shop):
    view = last_run(made_shop)
    found = repeat_purchase(view)
    assert found is not None
    everybody = view.query("select distinct customer_id from orders")["customer_id"].to_pylist()
    assert found.customer_count == len(everybody)
    each = [customer_card(made_shop, one).repeat_purchase for one in everybody[::10]]
    mean = sum(one.expected_orders_90_days for one in each if one) / len(each)
    assert mean * len(everybody) == pytest.approx(found.expected_orders_90_days, rel=0.2)
    model = repeat_purchase_model(made_shop)
    assert model is not None
    fitted = FittedParetoNBD.from_dict(json.loads(model.model))
    assert frequency_recency(fitted, 90.0, T=float(model.history_days), most_frequency=12).num_rows > 100
