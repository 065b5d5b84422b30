"""A decision by what people know of a customer."""

from datetime import datetime

from patron.answers.offers.decision_ledger import DecisionDetail, RunName, decision_of
from patron.answers.offers.policy_in_force import READ_OFFERS
from patron.govern.access.operations import operation
from patron.govern.access.visible_customers import VisibleCustomers
from patron.service.customer_lookup import ShopId, lookup_customer
from patron.storage.shop import Shop


@operation(READ_OFFERS, "POST /api/decisions/lookup")
def look_up_decision(
    shop: Shop, shop_id: ShopId, run: RunName = "", *, now: datetime, visible: VisibleCustomers | None = None
) -> DecisionDetail:
    """The newest decision for the customer with one of the shop's own ids, an e-mail address or phone number."""
    match = lookup_customer(shop, shop_id, now=now, visible=visible)
    only = None if visible is None else visible.rows
    return decision_of(shop, [match.customer_id, *match.other_customer_ids], run_id=run, only=only)
