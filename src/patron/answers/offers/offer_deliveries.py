"""What became of the offers that each run handed over."""

from dataclasses import dataclass

from patron.answers.offers.policy_in_force import READ_OFFERS
from patron.govern.access.operations import operation
from patron.storage.offers.deliveries import Delivery, deliveries
from patron.storage.shop import Shop


@dataclass(frozen=True)
class OfferDeliveries:
    """The deliveries of all runs that handed over offers."""

    deliveries: tuple[Delivery, ...]
    """The newest run first."""


@operation(READ_OFFERS, "GET /api/decisions/runs")
def offer_deliveries(shop: Shop) -> OfferDeliveries:
    """What became of the offers of each run: reserved, confirmed, expired, withdrawn, held, or in a campaign."""
    newest = shop.newest_snapshot().run.run_id
    known = deliveries(shop.store, before=shop.cutoff)
    return OfferDeliveries(tuple(one for one in reversed(known) if one.run_id <= newest))
