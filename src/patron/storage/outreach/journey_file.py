"""A journey as people write it: what makes a customer enter it, and the steps they take in it, as one TOML file.

Steps are taken from the first to the last; `then` and `otherwise` only lead further on, so that every journey ends.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator, model_validator

from patron.schema.common_sentences import NEEDS_END
from patron.schema.errors import BadJourney
from patron.schema.sentences import Sentence
from patron.segments.segment_parser import parse_rule
from patron.segments.segment_rules import segments_of
from patron.storage.outreach.campaign_file import (
    CORRECT_FILE,
    MAX_MONEY,
    MAX_NAME_LENGTH,
    DraftFile,
    Section,
    Template,
    has_languages,
    is_line,
    shop_time,
)
from patron.storage.outreach.versioned_drafts import VersionedDrafts

NEEDS_WAIT = Sentence("needs_wait", "needs days, hours or minutes, at most {days} days")
NEEDS_STEPS = Sentence("needs_steps", "needs 1 to {count} sections [[steps]]")

STEP_BACK = Sentence("step_back", "step {step} leads back ({target!r}); a step leads to a later one, or to end")
STEP_NOWHERE = Sentence(
    "step_nowhere", "step {step} leads nowhere ({target!r}); a step leads to a later one, or to end"
)
STEP_END = Sentence("step_end", "cannot have a step with the id {name!r}, which ends the journey")
STEP_TWICE = Sentence("step_twice", "has two steps with the id {name!r} (without an id a step has its number)")

MAX_WAIT_DAYS = 366
MAX_STEPS = 50
END = "end"
"""Target of a step after which the journey is over."""
TODO = CORRECT_FILE(command="patron journey save --example abandoned_cart")


class EventTrigger(Section):
    """A customer enters when they do something."""

    event: str = Field(min_length=1)
    """Name of the event, such as Product Added."""
    is_first: bool = False
    """Whether only their first such event counts, such as the first order."""
    segment: str = ""
    """Segment that they must be in, by the last run; empty: anybody."""


class SegmentTrigger(Section):
    """A customer enters when a run finds that they have become a member of a segment, such as by their forecasts."""

    enters: str = Field(min_length=1)
    """Segment that they become a member of."""
    includes_members: bool = False
    """Whether those who are members when the journey starts enter as well; alone, that is a one-off campaign."""


class ProductTrigger(Section):
    """A customer enters when a product that they were interested in becomes cheaper, or comes back in stock."""

    product: Literal["price_drop", "back_in_stock"]
    """What happens to the product."""
    after: tuple[str, ...] = ("Product Viewed", "Product Added", "Product Added to Wishlist")
    """Events that show interest in it."""
    within_days: int = Field(default=30, ge=1, le=MAX_WAIT_DAYS)
    """How long ago they may be."""
    least_share: float = Field(default=0.05, gt=0, lt=1)
    """By what share of its price it must become cheaper, at least."""


class DateTrigger(Section):
    """A customer enters on the day of the year that a date of theirs falls on, such as their birthday."""

    date: Literal["birthday"]
    """Which date; it is read from the vault, and stays there."""
    days_before: int = Field(default=0, ge=0, le=60)
    """How many days before it."""
    hour: int = Field(default=9, ge=0, le=23)
    """At what hour, by the customer's clock."""


Trigger = EventTrigger | SegmentTrigger | ProductTrigger | DateTrigger
TRIGGERS: Mapping[str, type[Trigger]] = {
    "event": EventTrigger,
    "enters": SegmentTrigger,
    "product": ProductTrigger,
    "date": DateTrigger,
}
"""Sections that [trigger] may be, by the key that tells which."""


def _trigger_name(value: object) -> str | None:
    """Name of the class of a trigger, by its first key that tells; None without one."""
    if isinstance(value, BaseModel):
        return type(value).__name__
    keys = value if isinstance(value, Mapping) else ()
    return next((one.__name__ for key, one in TRIGGERS.items() if key in keys), None)


_AnyTrigger = Annotated[
    Annotated[EventTrigger, Tag("EventTrigger")]
    | Annotated[SegmentTrigger, Tag("SegmentTrigger")]
    | Annotated[ProductTrigger, Tag("ProductTrigger")]
    | Annotated[DateTrigger, Tag("DateTrigger")],
    Discriminator(
        _trigger_name,
        custom_error_type="trigger",
        custom_error_message=f"needs one of the keys {', '.join(TRIGGERS)}, which tells what makes customers enter",
    ),
]


class _Step(Section):
    id: str = Field(default="", pattern="^[a-z0-9_]*$", max_length=40)
    """Name that other steps may lead to; by default its number."""


class _Duration(_Step):
    days: float = Field(default=0, ge=0, le=MAX_WAIT_DAYS, allow_inf_nan=False)
    hours: float = Field(default=0, ge=0, le=MAX_WAIT_DAYS * 24, allow_inf_nan=False)
    minutes: float = Field(default=0, ge=0, le=MAX_WAIT_DAYS * 24 * 60, allow_inf_nan=False)

    @property
    def duration(self) -> timedelta:
        """How long it takes."""
        return timedelta(days=self.days, hours=self.hours, minutes=self.minutes)

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if not timedelta() < self.duration <= timedelta(days=MAX_WAIT_DAYS):
            raise ValueError(NEEDS_WAIT(days=MAX_WAIT_DAYS))
        return self


class Wait(_Duration):
    """Let some time go by."""

    do: Literal["wait"]


class WaitFor(_Duration):
    """Wait until the customer does something, at most for some time."""

    do: Literal["wait_for"]
    event: str = Field(min_length=1)
    """Name of the event."""
    then: str = ""
    """Step to go on with once it happens; empty: the next one."""
    otherwise: str = ""
    """Step to go on with when the time is over; empty: the next one."""


class Branch(_Step):
    """Go on by what is known of the customer."""

    do: Literal["branch"]
    rule: dict[str, Any]
    """Rule as a segment has it, by the last run."""
    then: str = ""
    """Step to go on with where it holds; empty: the next one."""
    otherwise: str = ""
    """Step to go on with where it does not; empty: the next one."""


class Send(_Step):
    """Send a message."""

    do: Literal["send"]
    template: dict[str, Template]
    """Templates by language; the shop's own language is what customers of others get."""
    channel: str = ""
    """Channel by which it is sent; empty: the journey's."""
    offer: str = ""
    """Offer of policy.toml; empty: the message alone."""
    within_hours: float = Field(default=24, gt=0, le=MAX_WAIT_DAYS * 24, allow_inf_nan=False)
    """How late it may be, by quiet hours, caps or a channel that is down; later it is not sent."""

    _languages = field_validator("template")(has_languages)


class Exit(_Step):
    """Leave the journey."""

    do: Literal["exit"]


JourneyStep = Annotated[Wait | WaitFor | Branch | Send | Exit, Field(discriminator="do")]


class Journey(DraftFile):
    """Who enters, what they are sent and when, what makes them leave, and who is sent nothing."""

    problem = BadJourney
    todo = TODO
    lists = ("steps",)

    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    """Name of the journey; no campaign has the same."""
    trigger: _AnyTrigger
    """What makes a customer enter."""
    steps: tuple[JourneyStep, ...]
    """What happens then, in order."""
    exit_on: tuple[str, ...] = ("Order Completed",)
    """Events by which a customer leaves at once, wherever they are."""
    reenter_after_days: float | None = Field(default=None, ge=0, le=MAX_WAIT_DAYS, allow_inf_nan=False)
    """Days after entering before a customer may enter again, once they are out; without it, everybody enters once."""
    channel: str = "email"
    """Channel by which its messages are sent."""
    topic: str = Field(min_length=1)
    """Topic of the preference centre that its messages belong to."""
    monthly_budget: float = Field(ge=0, le=MAX_MONEY)
    """What it may cost in a calendar month, in the shop's currency."""
    holdout_share: float = Field(default=0.1, ge=0, le=0.9)
    """Share of those who enter that are sent nothing, so that the effect can be measured."""
    window_days: int = Field(default=30, ge=1, le=MAX_WAIT_DAYS)
    """Days after entering in which orders count for its result."""
    start: datetime | None = None
    """When it starts, by the shop's clock; without it, once it is approved."""
    end: datetime | None = None
    """From when on nobody enters and nothing is sent, by the shop's clock; without it, never."""

    _one_line = field_validator("name")(is_line)
    _by_shop_clock = field_validator("start", "end")(shop_time)

    @field_validator("steps")
    @classmethod
    def _are_some(cls, value: tuple[JourneyStep, ...]) -> tuple[JourneyStep, ...]:
        if not 1 <= len(value) <= MAX_STEPS:
            raise ValueError(NEEDS_STEPS(count=MAX_STEPS))
        return value

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.start and self.end and self.end <= self.start:
            raise ValueError(NEEDS_END(start=self.start))
        ids = [self.step_id(place) for place in range(len(self.steps))]
        if END in ids:
            raise ValueError(STEP_END(name=END))
        if twice := sorted({identifier for identifier in ids if ids.count(identifier) > 1}):
            raise ValueError(STEP_TWICE(name=twice[0]))
        for place, step in enumerate(self.steps):
            targets = (step.then, step.otherwise) if isinstance(step, WaitFor | Branch) else ()
            for target in targets:
                if target not in {"", END, *ids[place + 1 :]}:
                    what = STEP_BACK if target in ids else STEP_NOWHERE
                    raise ValueError(what(step=ids[place], target=target))
        return self

    def step_id(self, place: int) -> str:
        """Id of the step at a place, from 0: as written, else its number from 1."""
        return self.steps[place].id or str(place + 1)

    def place_after(self, place: int, target: str = "") -> int:
        """Place of the step that a target names, seen from the step at a place; the number of steps is the end."""
        if not target:
            return place + 1
        if target == END:
            return len(self.steps)
        return next(later for later in range(place + 1, len(self.steps)) if self.step_id(later) == target)

    @property
    def segments(self) -> frozenset[str]:
        """Segments that its trigger and the rules of its branches name. Raises BadSegment for a rule that is none."""
        trigger = {getattr(self.trigger, key, "") for key in ("segment", "enters")}
        rules = [parse_rule(step.rule, where=f"journey {self.name}") for step in self.steps if isinstance(step, Branch)]
        return frozenset(trigger - {""}).union(*map(segments_of, rules))

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels by which it sends, by name."""
        return tuple(sorted({step.channel or self.channel for step in self.steps if isinstance(step, Send)}))

    @property
    def offers(self) -> tuple[str, ...]:
        """Offers that its messages have, by id."""
        return tuple(sorted({step.offer for step in self.steps if isinstance(step, Send) and step.offer}))

    @property
    def budget(self) -> float:
        """What it may cost in a month, in the shop's currency."""
        return self.monthly_budget

    @property
    def monthly_budget_cents(self) -> int:
        """The budget of a month in whole cents."""
        return round(self.monthly_budget * 100)

    def start_at(self, zone: ZoneInfo) -> datetime | None:
        """When it starts, as a moment; `zone` is the shop's."""
        return self.start.replace(tzinfo=zone) if self.start else None

    def end_at(self, zone: ZoneInfo) -> datetime | None:
        """When it is over, as a moment; `zone` is the shop's."""
        return self.end.replace(tzinfo=zone) if self.end else None


JOURNEY = VersionedDrafts("journey", Journey.of, BadJourney)
