"""How many of a segment a message may go to today, and why not to the others: before anything is planned."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from patron.commands.outreach.messages.message_batch import customer_facts, ids_until_now
from patron.engage.message_queue import sent_times
from patron.engage.recipients import Recipient, recipients
from patron.engage.send_eligibility import CustomerFacts, SendRules, lasting_obstacle
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.common_sentences import NO_CHANNEL, USE_NAMES
from patron.schema.errors import BadCampaign
from patron.schema.outreach.channels import CHANNELS
from patron.schema.outreach.draft_name import DraftName
from patron.storage.runs.last_run import last_run
from patron.storage.segments.segment_query import member_ids, without_members
from patron.storage.shop import Shop

LOOKED_AT = 2_000
"""Customers who are looked at: of a larger segment these are a sample, as customer ids are random."""
CONSENT_UNKNOWN = "consent_unknown"
CONSENT_WITHDRAWN = "consent_withdrawn"
CAP_REACHED = "cap_reached"
OBSTACLES = (CONSENT_UNKNOWN, CONSENT_WITHDRAWN, "no_address", "suppressed", "topic_withdrawn", CAP_REACHED)
"""Why a customer may not be written to, in the order of the checks before a message is sent."""

Exclude = Annotated[Sequence[str], Field(description="segments whose members are left out")]


@dataclass(frozen=True)
class MessageReach:
    """Who of a segment, or of customers picked by hand, may be written to today."""

    segment: str
    """Empty for customers picked by hand."""
    channel: str
    topic: str
    member_count: int
    """Members who are in no segment that is excluded."""
    excluded_count: int
    reachable_count: int
    obstacles: Mapping[str, int]
    """Members who may not be written to, by the first reason."""
    is_estimate: bool
    """Whether a sample stands for all members."""


@operation(Right(Action.ACT, Area.CAMPAIGNS), "GET /api/campaigns/reach/{segment}")
def message_reach(
    shop: Shop, segment: DraftName, *, channel: str = "email", topic: str = "", exclude: Exclude = (), now: datetime
) -> MessageReach:
    """How many of a segment a message may go to today, and why not to the others.

    The checks before sending count; quiet hours, budget and holdout take nobody away for good and are left to the
    plan. Raises NotFound, NoRunYet, BadSegment, BadCampaign for an unknown channel or topic, MasterKeyError.
    """
    _require_channel(channel)
    view = last_run(shop)
    members = member_ids(view, segment)
    kept = without_members(view, members, exclude)
    reach = reach_of_customers(shop, kept["customer_id"].to_pylist(), channel=channel, topic=topic, now=now)
    return replace(reach, segment=segment, excluded_count=members.num_rows - kept.num_rows)


def reach_of_customers(
    shop: Shop, customer_ids: Sequence[str], *, channel: str, topic: str, now: datetime
) -> MessageReach:
    """Count the same of some customers. Raises BadCampaign for an unknown channel, MasterKeyError."""
    _require_channel(channel)
    looked_at = sorted(customer_ids)[:LOOKED_AT]
    obstacles = count_obstacles(shop, looked_at, channel=channel, topic=topic, now=now)
    free = obstacles.pop("", 0)
    scale = len(customer_ids) / len(looked_at) if looked_at else 1.0
    counts = {code: round(obstacles[code] * scale) for code in OBSTACLES if obstacles[code]}
    return MessageReach(
        "",
        channel,
        topic=topic,
        member_count=len(customer_ids),
        excluded_count=0,
        reachable_count=round(free * scale),
        obstacles=counts,
        is_estimate=scale > 1,
    )


def _require_channel(channel: str) -> None:
    if channel not in CHANNELS:
        raise BadCampaign(NO_CHANNEL(name=channel), where="channel", todo=USE_NAMES(names=", ".join(CHANNELS)))


def count_obstacles(
    shop: Shop, customer_ids: Sequence[str], *, channel: str, topic: str, now: datetime
) -> Counter[str]:
    """How many customers each first obstacle keeps a message from; under "" those who may be written to."""
    counts: Counter[str] = Counter()
    for people in recipients(shop, customer_ids, address=CHANNELS[channel].address_kind):
        counts.update(_obstacles(shop, people, channel, topic, now))
    return counts


def _obstacles(shop: Shop, people: Sequence[Recipient], channel: str, topic: str, now: datetime) -> list[str]:
    """The first obstacle of each; empty where there is none."""
    policy = shop.policy
    days = max((cap.within_days for cap in policy.messages.caps), default=0)
    ids = sorted(set[str]().union(*map(ids_until_now, people)))
    with shop.store.begin() as connection:
        times = sent_times(connection, ids, now - timedelta(days=days)) if days else {}
    facts = customer_facts(shop, people, channel, topic, times)
    rules = SendRules(policy.consent, policy.messages, end=now)
    return [_obstacle(facts[person.customer_id], rules, now) for person in people]


def _obstacle(facts: CustomerFacts, rules: SendRules, now: datetime) -> str:
    reason = lasting_obstacle(facts, rules, now)
    if reason == "no_consent":
        return CONSENT_UNKNOWN if facts.consent.is_granted is None else CONSENT_WITHDRAWN
    return CAP_REACHED if reason == "capped" else reason
