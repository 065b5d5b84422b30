"""From the shop's own customer id to Patron's opaque one."""

from dataclasses import dataclass
from datetime import datetime

from patron.actions.profile import LiveProfile, live_profile, token_owner
from patron.base.errors import NotFound
from patron.base.shop import Shop


@dataclass(frozen=True)
class Found:
    """The customer that one of the shop's own ids belongs to, and what they are doing."""

    customer_id: str
    live: LiveProfile | None


def lookup_customer(shop: Shop, shop_id: str, *, now: datetime) -> Found:
    """Customer with one of the shop's own user or visitor ids; nothing new is stored. Raises NotFound."""
    customer_id = token_owner(shop, shop_id)
    if customer_id is None:
        raise NotFound("no customer has this id of yours", todo="Check the id, or search the list.")
    live = live_profile(shop, customer_id, now=now)
    return Found(live.customer_id if live else customer_id, live)
