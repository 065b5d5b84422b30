"""The messages of one step of a journey: how long they may be late, and what the month leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.commands.outreach.messages.mailing import Mailing, period_allowance
from patron.engage.journeys.journey_entries import entries_at_step
from patron.engage.journeys.journey_steps import Entry, latest_send
from patron.engage.message_queue import DueMessage, journey_message_id
from patron.engage.send_eligibility import Allowance
from patron.storage.offers.budget_period import budget_period
from patron.storage.outreach.campaign_offers import campaigns_spent_cents
from patron.storage.outreach.journey_file import JOURNEY, Journey, Send
from patron.storage.outreach.sending_hold import read_hold
from patron.storage.outreach.versioned_drafts import RUNNING, SavedVersion
from patron.storage.shop import Shop


@dataclass(frozen=True)
class JourneyMailing(Mailing):
    """The messages of a step that sends: one for each entry."""

    place: int
    """Place of the step in the journey, from 0."""
    step_id: str
    hours: float
    """How late a message may be."""
    offer: str
    budget_cents: int
    """What the journey may cost in a month."""
    end: datetime | None
    """When the journey is over; None for never."""

    @classmethod
    def of(
        cls, shop: Shop, journey: Journey, version: int, place: int, *, newest: SavedVersion[Journey]
    ) -> "JourneyMailing":
        """The messages of a step of a version; budget and end are those of the newest version."""
        step = journey.steps[place]
        if not isinstance(step, Send):
            raise TypeError(f"step {place} sends nothing")
        return cls(
            *(journey.name, step.channel or journey.channel, journey.topic, step.template, version),
            *(newest.approval_entry(version), place, journey.step_id(place), step.within_hours, step.offer),
            *(newest.content.monthly_budget_cents, newest.end_at(ZoneInfo(shop.settings.shop.time_zone))),
        )

    def due(self, entry: Entry, attempt_count: int, cost_cents: float = 0.0) -> DueMessage:
        """The message of an entry."""
        parts = (entry.customer_id, entry.is_holdout, True, self.offer, cost_cents, attempt_count)
        times = (entry.entered_at, entry.reached_at)
        return DueMessage(*parts, entry.entry_id, *times, entry.token or "", entry.product_id or "")

    def message_id(self, due: DueMessage) -> str:
        """One for each entry, step and channel."""
        return self.message_id_of(due.entry_id)

    def message_id_of(self, entry_id: str) -> str:
        """Id of the message of an entry."""
        return journey_message_id(self.name, entry_id, self.step_id, self.channel)

    def end_of(self, due: DueMessage) -> datetime:
        """When the message is too late, at the latest the end of the journey."""
        if due.reached_at is None:
            raise TypeError("a message of a journey has a time since when it is due")
        return self.end_since(due.reached_at)

    def end_since(self, reached_at: datetime) -> datetime:
        """When a message is too late that is due since a time."""
        late = latest_send(reached_at, self.hours)
        return min(late, self.end) if self.end else late

    def allowance(self, shop: Shop, at: datetime) -> Allowance:
        """The month's budget, and what runs, campaigns and journeys left of the policy's period."""
        month = budget_period(at, "month", shop.settings.shop.time_zone)
        spent = campaigns_spent_cents(shop.store, month.since, month.until, campaign=self.name)
        return period_allowance(shop, at, self.budget_cents - spent)

    def is_open(self, connection: sa.Connection, at: datetime) -> bool:
        """Whether the journey is running, before its end, under the same terms; older versions go on."""
        saved = JOURNEY.saved(connection, self.name)
        is_open = saved.state == RUNNING and (self.end is None or at < self.end)
        is_same = saved.approval_entry(self.version) == self.approval
        return is_open and is_same and read_hold(connection) is None

    def pending_customers(self, connection: sa.Connection, due: Sequence[DueMessage]) -> set[str]:
        """Customers whose entry is still at the step."""
        entries = entries_at_step(connection, [one.entry_id for one in due], self.place)
        return {entry.customer_id for entry in entries}
