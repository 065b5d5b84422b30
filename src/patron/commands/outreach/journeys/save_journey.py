"""Save a journey from its file, once all that it names exists: events, segments, offers, channels, templates ..."""

from collections.abc import Iterator

from patron.commands.outreach.campaigns import campaign_steps
from patron.commands.outreach.campaigns.campaign_steps import BaseVersion, VersionState, require_known
from patron.engage.templates.message_template import MessageTemplates
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NO_CHANNEL, NO_OFFER, NO_SEGMENT, NO_TOPIC, SEGMENTS_LISTED
from patron.schema.errors import BadJourney, BadSegment, BadTemplate
from patron.schema.outreach.channels import CHANNELS
from patron.schema.sentences import Sentence
from patron.storage.outreach.journey_file import (
    JOURNEY,
    Branch,
    EventTrigger,
    Journey,
    ProductTrigger,
    SegmentTrigger,
    Send,
    WaitFor,
)
from patron.storage.outreach.versioned_drafts import SavedVersion
from patron.storage.segments.segment_query import known_names, read_rule
from patron.storage.shop import Shop, Snapshot

NO_EVENT = Sentence("no_event", "neither the catalogue nor this shop has an event {name!r}")
EVENT_TODO = Sentence(
    "event_todo", "Write an event of the catalogue (docs/reference/events.md), or one that the shop has received."
)

Name = tuple[str, str]
"""Where a name stands, and the name."""


@operation(Right(Action.ACT, Area.CAMPAIGNS), "POST /api/journeys", audit=AuditAction.JOURNEY_SAVED, name_field="by")
def save_journey_content(
    context: RequestContext, journey: dict[str, object], version: BaseVersion = None
) -> VersionState:
    """Save a journey as a draft; there is a new version only where something changed."""
    content = Journey.of(journey, where="journey")
    return VersionState.from_version(save_journey(context, content, base=version))


def save_journey(context: RequestContext, journey: Journey, *, base: int | None = None) -> SavedVersion[Journey]:
    """Save a journey as a draft: a new version; an unchanged one stays as it is.

    `base` is the version that was changed: raises EditConflict where another one was saved since.
    Raises BadJourney for an event, a segment, an offer, a topic or a channel that there is none of, for the rule of a
    branch and for a journey that is over, BadTemplate for a template that is not valid in one of its languages.
    """
    snapshot = context.shop.snapshot()
    require_known_names(context.shop, snapshot, journey)
    for place, step in enumerate(journey.steps):
        where = f"step {journey.step_id(place)}"
        if isinstance(step, Branch):
            _require_rule(context.shop, snapshot, step, where)
        if isinstance(step, Send):
            _require_templates(context.shop, step, where)
    with context.shop.store.begin() as connection:
        return campaign_steps.save(context, connection, JOURNEY, journey, base)


def require_known_names(shop: Shop, snapshot: Snapshot | None, journey: Journey) -> None:
    """Raise BadJourney where it names what the policy, the shop or the last run does not have."""
    sends = [
        (f"step {journey.step_id(place)}", one) for place, one in enumerate(journey.steps) if isinstance(one, Send)
    ]
    channels = [("channel", journey.channel), *((where, one.channel) for where, one in sends if one.channel)]
    offers = [(where, one.offer) for where, one in sends if one.offer]
    segments = [("trigger", name) for name in _trigger_segments(journey)]
    names = known_names(snapshot, shop.store)
    require_known(JOURNEY, NO_TOPIC, [("topic", journey.topic)], sorted(shop.policy.topics))
    require_known(JOURNEY, NO_CHANNEL, channels, sorted(CHANNELS))
    require_known(JOURNEY, NO_OFFER, offers, sorted(offer.id for offer in shop.policy.offers))
    require_known(JOURNEY, NO_SEGMENT, segments, sorted(names.segments), SEGMENTS_LISTED)
    events, listed = tuple(_events(journey)), names.events
    if snapshot is not None and not {name for _, name in events} <= listed:
        # why: names of the shop's other events take reading them all, which few journeys need
        listed = known_names(snapshot, shop.store, with_other_events=True).events
    require_known(JOURNEY, NO_EVENT, events, sorted(listed), EVENT_TODO)


def _trigger_segments(journey: Journey) -> Iterator[str]:
    trigger = journey.trigger
    if isinstance(trigger, SegmentTrigger):
        yield trigger.enters
    if isinstance(trigger, EventTrigger) and trigger.segment:
        yield trigger.segment


def _events(journey: Journey) -> Iterator[Name]:
    trigger = journey.trigger
    if isinstance(trigger, EventTrigger):
        yield "trigger", trigger.event
    if isinstance(trigger, ProductTrigger):
        yield from (("trigger", name) for name in trigger.after)
    yield from (("exit_on", name) for name in journey.exit_on)
    for place, step in enumerate(journey.steps):
        if isinstance(step, WaitFor):
            yield f"step {journey.step_id(place)}", step.event


def _require_rule(shop: Shop, snapshot: Snapshot | None, step: Branch, where: str) -> None:
    try:
        read_rule(step.rule, snapshot, shop.store, where=where)
    except BadSegment as error:
        raise BadJourney(error.what, where=where, todo=error.todo) from error


def _require_templates(shop: Shop, step: Send, where: str) -> None:
    try:
        MessageTemplates.of(step.template, shop.settings.shop.locale).require_known_names()
    except BadTemplate as error:
        raise BadTemplate(error.what, where=f"{where}, {error.where}", todo=error.todo) from error
