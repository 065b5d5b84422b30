"""From the shop's own customer id to Patron's opaque one."""

from dataclasses import dataclass
from datetime import datetime

from patron.schema.errors import NotFound
from patron.schema.live_profile import LiveProfile
from patron.service.live_profiles import find_live_profile
from patron.storage.shop import Shop


@dataclass(frozen=True)
class CustomerLookup:
    """The customer that one of the shop's own ids belongs to, and what they are doing."""

    customer_id: str
    live: LiveProfile | None


def lookup_customer(shop: Shop, shop_id: str, *, now: datetime) -> CustomerLookup:
    """Customer with one of the shop's own user or visitor ids; nothing new is stored. Raises NotFound."""
    found = find_live_profile(shop, shop_id, now=now)
    if found is None:
        raise NotFound("no customer has this id of yours", todo="Check the id, or search the list.")
    return CustomerLookup(*found)
