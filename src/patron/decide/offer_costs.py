"""What an offer costs with each customer while it is valid: one model for all kinds, in cents."""

from dataclasses import dataclass

import numpy as np
import scipy

from patron.schema.numbers import Numbers
from patron.storage.offers.offer_policy import Offer

ORDER_SPREAD = 0.6
"""Standard deviation of the logarithm of a customer's orders around the expected size."""


@dataclass(frozen=True)
class OfferCosts:
    """Costs of one offer, cents: a part that the margin after discounts shows, and a part that it does not."""

    discounts: Numbers
    """Taken off the price of orders that come anyway while the offer is valid."""
    besides: Numbers
    """Delivery and points of these orders."""
    discount_per_order: Numbers
    """Taken off the price of one more order."""
    besides_per_order: Numbers
    contact: float
    """Sending it."""
    discount_share: Numbers | float
    """Mean share of the price of any order that it takes off."""

    @property
    def anyway(self) -> Numbers:
        """Cost where the offer changes nothing."""
        return self.discounts + self.besides + self.contact

    @property
    def per_order(self) -> Numbers:
        """Cost of one more order."""
        return self.discount_per_order + self.besides_per_order


def offer_costs(offer: Offer, orders: Numbers, order_cents: Numbers, code_share: Numbers | float = 1.0) -> OfferCosts:
    """Costs of an offer with `orders` that come anyway while it is valid; only what its kind has is above 0.

    `code_share` of the orders use its code. A discount takes a share of every order, a coupon an amount off one order
    that is large enough (orders come by chance at a constant rate, sizes are log-normal), points a share that is
    redeemed later; free delivery costs the same for each order that is not delivered free anyway, whichever of them
    use the code. Recommendations, reminders and calls cost the contact alone.
    """
    # why at least a cent: the orders are those of the forecast spend, also where nobody has ordered for a year
    spend = orders * np.maximum(order_cents, 1.0)
    is_enough = _share_at_least(offer.least_order_cents, order_cents)
    delivery = offer.cost_per_order_cents * (1 - _share_delivered_free(offer, order_cents))
    points = offer.points_share * offer.redeemed_share
    return OfferCosts(
        discounts=offer.discount_share * spend * code_share
        + offer.amount_off_cents * -np.expm1(-orders * is_enough * code_share),
        besides=(points * spend + delivery * orders) * code_share,
        discount_per_order=(offer.discount_share * order_cents + offer.amount_off_cents * is_enough) * code_share,
        besides_per_order=(points * order_cents + delivery) * code_share,
        contact=float(offer.contact_cost_cents),
        discount_share=offer.discount_share * code_share,
    )


def _share_delivered_free(offer: Offer, order_cents: Numbers) -> Numbers | float:
    """Share of orders that are delivered free without the offer."""
    least_cents = offer.delivery_free_from_cents
    return _share_at_least(least_cents, order_cents) if least_cents else 0.0


def _share_at_least(least_cents: int, order_cents: Numbers) -> Numbers:
    """Share of orders of at least a size, where the mean size is `order_cents`."""
    if not least_cents:
        return np.ones(len(order_cents))
    middle = np.log(np.maximum(order_cents, 1.0)) - ORDER_SPREAD**2 / 2
    return scipy.special.ndtr((middle - np.log(least_cents)) / ORDER_SPREAD)
