"""What order lines earn, and how many orders cost what an offer adds to each, as SQL.

The margin is the price before discounts times the margin share, less discounts.
"""

from collections.abc import Iterable

from patron.storage.engine import literal
from patron.storage.offers.offer_policy import Offer


def margin_sum(condition: str, margin_share: float) -> str:
    """SQL of the margin of the lines `l` that meet a condition; sums of integers are the same in any order of rows."""
    gross, discount = (
        f"cast(sum(case when {condition} then l.{name} else 0 end) as bigint)"
        for name in ("gross_cents", "discount_cents")
    )
    return f"{margin_share} * {gross} - {discount}"


def charged_orders_sum(offer: str, gross_cents: str, offers: Iterable[Offer]) -> str:
    """SQL of how many orders with the code of an offer are charged to it: those that are not delivered free anyway.

    `offer` and `gross_cents` are columns of a table with one row an order.
    """
    free = [
        f"when {offer} = {literal(one.id)} and {gross_cents} >= {one.delivery_free_from_cents} then 0"
        for one in offers
        if one.delivery_free_from_cents
    ]
    return f"cast(sum(case {' '.join(free)} else 1 end) as bigint)" if free else "count(*)"
