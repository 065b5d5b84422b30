"""From what people know of a customer to Patron's opaque id."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from patron.govern.access.operations import operation
from patron.govern.access.visible_customers import VisibleCustomers
from patron.schema.customers.customer_rights import READ_CUSTOMERS
from patron.schema.customers.live_profile import LiveProfile
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence
from patron.service.live_profiles import find_live_profiles
from patron.storage.shop import Shop

NO_CUSTOMER_FOUND = Sentence("no_customer_found", "no customer has this id, e-mail address or phone number")
CHECK_OR_SEARCH = Sentence("check_or_search", "Check it, or search the customer list.")


ShopId = Annotated[str, Field(min_length=1, max_length=200)]
"""The shop's own customer id, an e-mail address or a telephone number: in a body only, never in an address."""


@dataclass(frozen=True)
class CustomerLookup:
    """The customer that an id, e-mail address or telephone number belongs to, and what they are doing."""

    customer_id: str
    live: LiveProfile | None
    other_customer_ids: tuple[str, ...] = ()
    """Further customers with it, such as those who share a telephone number; at most nine."""


@operation(READ_CUSTOMERS, "POST /api/customers/lookup")
def lookup_customer(
    shop: Shop, shop_id: ShopId, *, now: datetime, visible: VisibleCustomers | None = None
) -> CustomerLookup:
    """Opaque id and live profile of the customer with one of the shop's own ids, an e-mail address or phone number.

    Upper and lower case are the same, and so are the ways to write a number; nothing new is stored. Raises NotFound,
    also for customers whom the reader does not see.
    """
    profiles = find_live_profiles(shop, shop_id, now=now)
    profiles = {one: live for one, live in profiles.items() if visible is None or one in visible}
    if not profiles:
        raise NotFound(NO_CUSTOMER_FOUND, todo=CHECK_OR_SEARCH)
    (customer_id, live), *others = profiles.items()
    return CustomerLookup(customer_id, live, tuple(one for one, _ in others))
