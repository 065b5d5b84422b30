"""What a campaign or a journey cost: sending, discounts, and what else comes with orders that use its offers."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from patron.schema.numbers import Numbers, float_column
from patron.storage.shop import Shop


@dataclass(frozen=True)
class CampaignSpend:
    """What it cost in its window, cents."""

    sending_cents: float
    discount_cents: float
    """Discounts on orders with the coupon of the customer's offer."""
    other_cents: float
    """Delivery and points of these orders."""
    total_cents: float
    forecast_cents: float

    @classmethod
    def of(cls, people: pa.Table, sending: Numbers, other: Numbers, forecast_cents: float) -> Self:
        """The sums over everybody assigned."""
        discounts = float(float_column(people, "used_discount_cents").sum())
        parts = (float(sending.sum()), discounts, float(other.sum()))
        return cls(*parts, sum(parts), forecast_cents)


def message_cents(shop: Shop, offer: str) -> float:
    """What sending a message with an offer costs, or without one ('')."""
    of_policy = next((one for one in shop.policy.offers if one.id == offer), None)
    return shop.settings.value.message_cents if of_policy is None else float(of_policy.contact_cost_cents)


def sending_cents(shop: Shop, people: pa.Table) -> Numbers:
    """Cost of sending one message to each customer who was sent one, cents."""
    names = people["offer"].to_pylist()
    of_offer = {name: message_cents(shop, name) for name in set(names)}
    is_sent = np.array(people["is_sent"].to_pylist(), dtype=np.bool_)
    return np.array([of_offer[name] for name in names]) * is_sent


def other_cents(shop: Shop, people: pa.Table) -> Numbers:
    """Cost of each customer's orders with their offer's coupon besides discounts: delivery and points, cents."""
    offers, names = {offer.id: offer for offer in shop.policy.offers}, people["offer"].to_pylist()
    of_offer = {name: offers.get(name) for name in set(names)}
    order = np.array([float(one.cost_per_order_cents) if (one := of_offer[name]) else 0.0 for name in names])
    points = np.array([one.points_share * one.redeemed_share if (one := of_offer[name]) else 0.0 for name in names])
    return order * float_column(people, "used_orders") + points * float_column(people, "used_paid_cents")
