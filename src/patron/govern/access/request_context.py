"""Who asks for an operation, of which shop, and when: what every command is passed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Self

import sqlalchemy as sa

from patron.govern.access import audit_log
from patron.schema.access.access_rights import ALL_RIGHTS, Actor
from patron.schema.access.audit_actions import AuditAction
from patron.storage.shop import Shop

Clock = Callable[[], datetime]


class RequestContext:
    """A request: the shop, who asks, and the clock; whatever it does is done at one moment, `now`."""

    def __init__(self, shop: Shop, actor: Actor, *, clock: Clock) -> None:
        self.shop = shop
        self.actor = actor
        self.clock = clock

    @classmethod
    def from_name(cls, shop: Shop, by: str = "", *, now: datetime) -> Self:
        """A request of whoever may do everything on this machine, known by name only: of a command line or a job."""
        return cls(shop, Actor(by, ALL_RIGHTS), clock=lambda: now)

    @cached_property
    def now(self) -> datetime:
        """The moment of the request: what the clock said when it was first asked."""
        return self.clock()

    @property
    def by(self) -> str:
        """Who asks, as steps and the audit log write it."""
        return self.actor.name

    def record(self, connection: sa.Connection, action: AuditAction, details: Mapping[str, object]) -> audit_log.Entry:
        """Append to the audit log, within a transaction, what was done, by whom and when."""
        return audit_log.append(self.shop, connection, action, details, at=self.now, by=self.by)
