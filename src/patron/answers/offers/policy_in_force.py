"""The policy in force."""

from patron.storage.offers.policy import Policy
from patron.storage.shop import Shop


def policy_in_force(shop: Shop) -> Policy:
    """The policy that the next run will keep to."""
    return shop.policy
