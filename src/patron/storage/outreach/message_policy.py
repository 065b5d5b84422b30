"""When and how often people may be written to, and who approves it: [messages] and [campaigns] of policy.toml."""

import re
from dataclasses import dataclass
from datetime import time
from functools import cached_property
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from patron.schema.sentences import Sentence

QUIET_HOURS = Sentence("quiet_hours", "must be hours such as 21:00-08:00 (got {value!r})")
QUIET_DIFFER = Sentence("quiet_differ", "must begin and end at different times (got {value!r})")
QUIET_PART = Sentence("quiet_part", "must leave a part of the day in which messages can be sent")

MINUTES_OF_DAY = 24 * 60
HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


@dataclass(frozen=True)
class QuietHours:
    """A stretch of every day, by the clock of whoever is written to; it may cross midnight."""

    since: time
    """Belongs to it."""
    until: time
    """Does not belong to it; midnight is 00:00."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read hours such as 21:00-08:00. Raises ValueError."""
        match = HOURS.fullmatch(text.strip())
        if not match or (match[3] == "24" and match[4] != "00"):
            raise ValueError(QUIET_HOURS(value=text))
        since, until = time(int(match[1]), int(match[2])), time(int(match[3]) % 24, int(match[4]))
        if since == until:
            raise ValueError(QUIET_DIFFER(value=text))
        return cls(since, until)

    def holds(self, clock: time) -> bool:
        """Whether a time of the day is within."""
        if self.since < self.until:
            return self.since <= clock < self.until
        return clock >= self.since or clock < self.until


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MessageCap(_Section):
    """How many messages one customer may get: at most so many in so many days."""

    most: int = Field(ge=1, le=10_000)
    """Limit of messages per customer ..."""
    within_days: int = Field(ge=1, le=366)
    """... in this many days."""


class MessagePolicy(_Section):
    """When and how often customers may be written to, over all channels and campaigns."""

    quiet_hours: tuple[str, ...] = ("21:00-08:00",)
    """Hours in which nothing is sent, by the customer's clock; empty: none."""
    caps: tuple[MessageCap, ...] = (MessageCap(most=3, within_days=7),)
    """Limits of messages per customer, over all channels and campaigns; empty: none."""
    soft_bounces: MessageCap = MessageCap(most=3, within_days=14)
    """An address that bounced for a passing reason more often than `most` in `within_days` is no longer written to."""

    @field_validator("quiet_hours")
    @classmethod
    def _leave_a_part_of_the_day(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        hours = [QuietHours.of(text) for text in values]
        clocks = (time(minute // 60, minute % 60) for minute in range(MINUTES_OF_DAY))
        if all(any(hour.holds(clock) for hour in hours) for clock in clocks):
            raise ValueError(QUIET_PART)
        return values

    @cached_property
    def quiet(self) -> tuple[QuietHours, ...]:
        """The quiet hours."""
        return tuple(QuietHours.of(text) for text in self.quiet_hours)


class CampaignPolicy(BaseModel):
    """Approval of campaigns, and what is assumed of their messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    approval_free_below: float = Field(default=0.0, ge=0, le=1e12, allow_inf_nan=False)
    """Authors may approve their own campaign where its budget is below this, in the shop's currency; 0: never."""
    message_uplift: float = Field(default=0.01, ge=0, le=1)
    """Assumed until measured: added probability of an order by a message without an offer."""
