"""Who comes back, as readers of the last run are told."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.answers.customer_profile import customer_card
from patron.answers.repeat_purchase import coming_back, matrix, rhythm, rhythm_pictures
from patron.schema.tables import ORDERS
from patron.storage.last_run import last_run


@pytest.fixture(scope="module")
def somebody(made_shop):
    counts = last_run(made_shop).query(
        "select customer_id, count(distinct local_day) as days from orders group by customer_id order by days, 1"
    )
    return counts.to_pylist()[counts.num_rows // 2]


def test_a_customers_rhythm_is_that_of_their_days(made_shop, somebody):
    card = customer_card(made_shop, somebody["customer_id"])
    assert card.rhythm is not None
    assert card.rhythm.order_days == somebody["days"]
    pictures = rhythm_pictures(made_shop, somebody["customer_id"])
    assert pictures is not None
    assert pictures.alive is not None
    fan = pictures.fan.to_pylist()
    assert fan[-1]["expected"] - somebody["days"] == pytest.approx(card.rhythm.expected_orders_90_days)
    assert pictures.alive["probability_alive"][-1].as_py() == pytest.approx(card.rhythm.probability_alive)
    assert sum(pictures.alive["is_order"].to_pylist()) == somebody["days"]


def test_nobody_and_those_without_a_name_have_none(made_shop, somebody):
    """A device that bought once cannot be seen to come back, and is not in the model."""
    assert rhythm_pictures(made_shop, "nobody") is None
    view = last_run(made_shop)
    orders = made_shop.lake.read(ORDERS)
    is_one = pc.equal(orders["customer_id"], somebody["customer_id"])
    anonymous = pc.if_else(is_one, False, orders["is_identified"])
    place = orders.column_names.index("is_identified")
    version = made_shop.lake.replace(ORDERS, orders.set_column(place, "is_identified", anonymous))
    try:
        other = replace(view, pinned={**view.pinned, "orders": version})
        assert rhythm(other, pa.table({"customer_id": [somebody["customer_id"]]})) is None
    finally:
        made_shop.lake.replace(ORDERS, orders)


def test_the_shop_is_what_its_customers_add_up_to(made_shop):
    view = last_run(made_shop)
    found = coming_back(view)
    assert found is not None
    everybody = view.query("select distinct customer_id from orders")["customer_id"].to_pylist()
    assert found.customer_count == len(everybody)
    each = [customer_card(made_shop, one).rhythm for one in everybody[::10]]
    mean = sum(one.expected_orders_90_days for one in each if one) / len(each)
    assert mean * len(everybody) == pytest.approx(found.expected_orders_90_days, rel=0.2)
    cells = matrix(made_shop)
    assert cells is not None
    assert cells.num_rows > 100
