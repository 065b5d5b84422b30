"""Who asks for an operation, of which shop, and when: what every command is passed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Self

import sqlalchemy as sa

from patron.govern.access import audit_log
from patron.govern.access.visible_customers import VisibleCustomers, visible_customers
from patron.schema.access.access_rights import ALL_RIGHTS, Actor
from patron.schema.access.audit_actions import AuditAction
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.shop import Shop

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class RequestContext:
    """A request: the shop, who asks, and when; all that it does is done at one moment."""

    shop: Shop
    actor: Actor
    now: datetime
    clock: Clock | None = None
    """What tells the time while a request of minutes is at work; without one it stays `now`."""
    answers: AnswerCache | None = None
    """Answers that a server keeps for its readers; without one none are kept."""

    @classmethod
    def from_name(cls, shop: Shop, by: str = "", *, now: datetime, clock: Clock | None = None) -> Self:
        """A request of whoever may do everything on this machine, known by name only: of a command line or a job."""
        return cls(shop, Actor(by, ALL_RIGHTS), now=now, clock=clock)

    @property
    def by(self) -> str:
        """Who asks, as steps and the audit log write it."""
        return self.actor.name

    @cached_property
    def visible(self) -> VisibleCustomers | None:
        """Customers whom who asks sees; None is everybody."""
        return visible_customers(self.shop, self.actor)

    @cached_property
    def cache(self) -> AnswerCache:
        """Answers about the last run that are made once."""
        return self.answers or AnswerCache(self.shop)

    def time(self) -> datetime:
        """What the time is by now."""
        return self.clock() if self.clock else self.now

    def record(self, connection: sa.Connection, action: AuditAction, details: Mapping[str, object]) -> audit_log.Entry:
        """Append to the audit log, within a transaction, what was done, by whom and when."""
        return audit_log.append(self.shop, connection, action, details, at=self.now, by=self.by)
