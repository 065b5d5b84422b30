"""What a message of a journey is expected to cost: a journey's plan and its budget count the same."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from patron.decide.candidates import audience_rows
from patron.decide.expected_value import PRIOR_ORDERS, forecast_orders
from patron.decide.offer_costs import offer_costs
from patron.schema.numbers import Numbers, float_column
from patron.schema.table_definition import TEXT
from patron.storage.shop import Shop


def message_cents(shop: Shop, offer: str) -> float:
    """What sending a message with an offer costs, or without one ('')."""
    of_policy = next((one for one in shop.policy.offers if one.id == offer), None)
    return shop.settings.value.message_cents if of_policy is None else float(of_policy.contact_cost_cents)


def expected_message_cents(shop: Shop, offer_id: str, customer_ids: Sequence[str]) -> Numbers:
    """Expected cost of a message with each customer, cents: sending it, and what orders with its offer cost.

    Orders are those that come anyway while the offer is valid, and the one that it is assumed to add with its
    probability. Before any run every customer is expected to use the offer on one mean order.
    """
    offer = next((one for one in shop.policy.offers if one.id == offer_id), None)
    if offer is None or not customer_ids:
        return np.full(len(customer_ids), message_cents(shop, offer_id))
    snapshot, average = shop.snapshot(), _mean_order_cents(shop)
    if snapshot is None:
        costs = offer_costs(offer, np.zeros(1), np.array([average]))
        return np.full(len(customer_ids), costs.contact + float(costs.per_order[0]))
    ids, place = np.unique(np.array(customer_ids, dtype=np.str_), return_inverse=True)
    audience = pa.table({"customer_id": pa.array(ids.tolist(), TEXT)})
    rows = audience_rows(snapshot, shop.policy, audience)
    paid, count = float_column(rows, "paid_cents"), float_column(rows, "order_count")
    # why of the shop: what a message costs must not depend on which others are sent with it
    size = (paid + PRIOR_ORDERS * average) / (count + PRIOR_ORDERS)
    costs = offer_costs(offer, forecast_orders(rows, offer.valid_days, size), size)
    return (costs.anyway + offer.assumed_purchase_uplift * costs.per_order)[place]


def _mean_order_cents(shop: Shop) -> float:
    rows = (shop.snapshot() or shop.newest_snapshot()).query("select avg(paid_cents) as cents from orders")
    return float(rows["cents"][0].as_py() or 0.0)
