"""The policy in force."""

from dataclasses import dataclass
from typing import Any

from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.storage.offers.policy import Policy
from patron.storage.shop import Shop

READ_OFFERS = Right(Action.READ, Area.OFFERS)


@dataclass(frozen=True)
class PolicyInForce:
    """The policy that the next run keeps to."""

    version: str
    policy: dict[str, Any]


@operation(READ_OFFERS, "GET /api/policy")
def show_policy(shop: Shop) -> PolicyInForce:
    """The policy in force, all of its values."""
    return PolicyInForce(shop.policy.version, shop.policy.model_dump(mode="json"))


def policy_in_force(shop: Shop) -> Policy:
    """The policy that the next run will keep to."""
    return shop.policy
