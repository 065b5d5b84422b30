"""What messages are sent for: a campaign, or a step of a journey. Both are sent by the same code."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.engage.message_queue import DueMessage, message_id_of
from patron.engage.send_eligibility import Allowance
from patron.schema.outreach.message_states import MessageState
from patron.storage.offers.budget_period import budget_period
from patron.storage.offers.offer_usage import issued_offers, spent_cents
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign, Template
from patron.storage.outreach.campaign_offers import campaigns_spent_cents
from patron.storage.outreach.campaign_tables import ASSIGNMENTS
from patron.storage.outreach.sending_hold import read_hold
from patron.storage.outreach.versioned_drafts import APPROVED, RUNNING, SavedVersion
from patron.storage.shop import Shop


@dataclass(frozen=True)
class Mailing(ABC):
    """Messages with the same texts: what they say, and when and how long they may be sent."""

    name: str
    """Name of the campaign or journey."""
    channel: str
    topic: str
    template: Mapping[str, Template]
    """Templates by language."""
    version: int
    """Version of the campaign or journey that is sent."""
    approval: int
    """Step of its life that approved it, and under which terms."""

    @abstractmethod
    def message_id(self, due: DueMessage) -> str:
        """Id of a message: it is sent once."""

    @abstractmethod
    def end_of(self, due: DueMessage) -> datetime:
        """From when on a message is not sent any more."""

    @abstractmethod
    def allowance(self, shop: Shop, at: datetime) -> Allowance:
        """What may still be spent and given."""

    @abstractmethod
    def is_open(self, connection: sa.Connection, at: datetime) -> bool:
        """Whether it may still be sent: it is not paused, withdrawn, changed, held or over."""

    @abstractmethod
    def pending_customers(self, connection: sa.Connection, due: Sequence[DueMessage]) -> set[str]:
        """Customers whose message is still to be sent."""

    def unchecked_row(self, due: DueMessage) -> dict[str, Any]:
        """The row of a message that was not checked, but for state and times."""
        return {
            "message_id": self.message_id(due),
            "campaign": self.name,
            "customer_id": due.customer_id,
            "channel": self.channel,
            "topic": self.topic,
            "token": None,
            "contact": None,
            "offer": due.offer,
            "consent_basis": "",
            "consent_event": None,
            "attempt_count": due.attempt_count,
            "expected_cost_cents": due.cost_cents,
        }

    def skipped_row(self, due: DueMessage, reason: str, at: datetime) -> dict[str, Any]:
        """The row of a message that is skipped before it was checked."""
        state = {"state": MessageState.SKIPPED, "reason": reason}
        times = {"next_attempt_at": None, "written_at": at.astimezone(UTC), "sent_at": None}
        return self.unchecked_row(due) | state | times


@dataclass(frozen=True)
class CampaignMailing(Mailing):
    """The messages of a campaign: one for each assigned customer."""

    end: datetime
    """When the campaign is over."""
    budget_cents: int
    """What the campaign may cost."""

    @classmethod
    def of(cls, shop: Shop, saved: SavedVersion[Campaign]) -> "CampaignMailing":
        """The messages of a version of a campaign; the shop is as it was approved."""
        campaign, zone = saved.content, ZoneInfo(shop.settings.shop.time_zone)
        parts = (campaign.name, campaign.channel, campaign.topic, campaign.template, saved.version)
        return cls(*parts, saved.approval_entry(), campaign.end_at(zone), campaign.budget_cents)

    def message_id(self, due: DueMessage) -> str:
        """One for each customer and channel."""
        return message_id_of(self.name, due.customer_id, self.channel)

    def end_of(self, due: DueMessage) -> datetime:  # noqa: ARG002 - of all messages the same
        """The end of the campaign."""
        return self.end

    def allowance(self, shop: Shop, at: datetime) -> Allowance:
        """Its budget, and what runs, campaigns and journeys left of the period's."""
        return period_allowance(shop, at, self.budget_cents - campaigns_spent_cents(shop.store, campaign=self.name))

    def is_open(self, connection: sa.Connection, at: datetime) -> bool:
        """Whether its newest version is this one, and approved or running under the same terms, before its end."""
        saved = CAMPAIGN.saved(connection, self.name)
        is_same = saved.version == self.version and saved.approval_entry() == self.approval
        is_open = is_same and saved.state in {APPROVED, RUNNING} and at < self.end
        return is_open and read_hold(connection) is None

    def pending_customers(self, connection: sa.Connection, due: Sequence[DueMessage]) -> set[str]:
        """Customers who are still assigned."""
        table, ids = ASSIGNMENTS.c, [one.customer_id for one in due]
        assigned = sa.select(table.customer_id).where(table.campaign == self.name, table.customer_id.in_(ids))
        return set(connection.scalars(assigned))


def period_allowance(shop: Shop, at: datetime, left_cents: float) -> Allowance:
    """What is left of a budget, at most what is left of the policy's period, and of the offers' stocks in it."""
    store, policy = shop.store, shop.policy
    period, view = budget_period(at, policy.budget.period, shop.settings.shop.time_zone), shop.newest_snapshot()
    of_period = policy.budget.cents - spent_cents(view, store, period, with_plans=False)
    issued = issued_offers(view, store, period, with_plans=False)
    stock = {offer.id: float(offer.stock - issued[offer.id]) for offer in policy.offers if offer.stock is not None}
    return Allowance(min(left_cents, of_period), stock)
