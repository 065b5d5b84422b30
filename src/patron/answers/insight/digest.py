"""Who gets the mail digest, and what became of the last ones."""

from dataclasses import dataclass

import sqlalchemy as sa

from patron.govern.access.users import User, find_user
from patron.storage.insight.digests import (
    DigestDelivery,
    DigestSubscription,
    digest_deliveries,
    digest_subscription,
    digest_subscriptions,
)
from patron.storage.shop import Shop

DELIVERIES_LISTED = 5


@dataclass(frozen=True)
class DigestState:
    """What a person chose to be sent, and what became of it."""

    subscription: DigestSubscription | None
    """None for nothing."""
    deliveries: tuple[DigestDelivery, ...]
    """The last ones, the newest first."""

    @property
    def last(self) -> DigestDelivery | None:
        """What became of the newest one."""
        return self.deliveries[0] if self.deliveries else None


@dataclass(frozen=True)
class Subscriber:
    """A person who gets the digest, and what became of it."""

    user: User
    digest: DigestState


def digest_state(connection: sa.Connection, user_id: str) -> DigestState:
    """What one person chose, and what became of it."""
    deliveries = digest_deliveries(connection, user_id, limit=DELIVERIES_LISTED)
    return DigestState(digest_subscription(connection, user_id), deliveries)


def list_subscribers(shop: Shop) -> tuple[Subscriber, ...]:
    """Everybody who subscribed, the first one first."""
    with shop.store.begin() as connection:
        chosen = digest_subscriptions(connection)
        return tuple(
            Subscriber(find_user(connection, one.user_id), digest_state(connection, one.user_id)) for one in chosen
        )
