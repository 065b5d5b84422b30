"""How many of a segment a message may go to today, and why not to the others: before anything is planned."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

import pyarrow.compute as pc
from pydantic import Field

from patron.commands.outreach.campaigns.offers_of_run import decided_offers
from patron.commands.outreach.messages.lasting_obstacles import facts_of
from patron.engage.recipients import Recipient, recipients
from patron.engage.send_eligibility import CustomerFacts, SendRules, lasting_obstacle
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.common_sentences import NO_CHANNEL, USE_NAMES
from patron.schema.errors import BadCampaign
from patron.schema.outreach.channels import CHANNELS
from patron.schema.outreach.draft_name import DraftName
from patron.storage.offers.offer_usage import offered_lately
from patron.storage.runs.last_run import last_run
from patron.storage.segments.segment_query import member_ids, without_members
from patron.storage.shop import Shop, Snapshot

LOOKED_AT = 2_000
"""Customers who are looked at: of a larger segment these are a sample, as customer ids are random."""
CONSENT_UNKNOWN = "consent_unknown"
CONSENT_WITHDRAWN = "consent_withdrawn"
CAP_REACHED = "cap_reached"
OFFER_CAP_REACHED = "offer_cap_reached"
OBSTACLES = (
    *(CONSENT_UNKNOWN, CONSENT_WITHDRAWN, "no_address", "suppressed", "topic_withdrawn"),
    *(CAP_REACHED, OFFER_CAP_REACHED),
)
"""Why a customer may not be written to, in the order of the checks before a message is sent."""

Offers = Annotated[
    Sequence[str], Field(description="ids of the offers of the message; the policy's cap on offers then counts too")
]
CampaignName = Annotated[str, Field(description="campaign whose own plan does not count for that cap")]
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
def message_reach(  # noqa: PLR0913 - what a form holds that decides whom its message reaches
    shop: Shop,
    segment: DraftName,
    *,
    channel: str = "email",
    topic: str = "",
    exclude: Exclude = (),
    offers: Offers = (),
    campaign: CampaignName = "",
    now: datetime,
) -> MessageReach:
    """How many of a segment a message may go to today, and why not to the others.

    The checks before sending count, and the policy's cap on offers as the plan counts it; quiet hours, budget and
    holdout take nobody away for good and are left to the plan. Raises NotFound, NoRunYet, BadSegment, BadCampaign for
    an unknown channel or topic, MasterKeyError.
    """
    _require_channel(channel)
    view = last_run(shop)
    members = member_ids(view, segment)
    kept = without_members(view, members, exclude)
    capped = _capped(view, campaign) if offers else frozenset()
    ids = kept["customer_id"].to_pylist()
    reach = reach_of_customers(shop, ids, channel=channel, topic=topic, now=now, capped=capped)
    return replace(reach, segment=segment, excluded_count=members.num_rows - kept.num_rows)


def reach_of_run(  # noqa: PLR0913 - what a form holds that decides whom its message reaches
    shop: Shop,
    run_id: str,
    *,
    channel: str,
    topic: str,
    exclude: Sequence[str],
    offers: Sequence[str],
    campaign: str,
    now: datetime,
) -> MessageReach:
    """The same of the customers whom a run gives one of some offers. Raises as `message_reach`."""
    view = last_run(shop)
    members = decided_offers(view, run_id, offers)
    kept = without_members(view, members, exclude)
    ids, capped = kept["customer_id"].to_pylist(), _capped(view, campaign, run_id)
    reach = reach_of_customers(shop, ids, channel=channel, topic=topic, now=now, capped=capped)
    return replace(reach, excluded_count=members.num_rows - kept.num_rows)


def _capped(view: Snapshot, campaign: str, run_id: str = "") -> frozenset[str]:
    """Customers who had as many offers lately as the policy allows, but for those of this run and campaign."""
    had = offered_lately(view, without_run=run_id, without_campaign=campaign)
    most = view.policy.caps.offers_per_customer
    return frozenset(had.filter(pc.greater_equal(had["offer_count"], most))["customer_id"].to_pylist())


def reach_of_customers(
    shop: Shop,
    customer_ids: Sequence[str],
    *,
    channel: str,
    topic: str,
    now: datetime,
    capped: AbstractSet[str] = frozenset(),
) -> MessageReach:
    """Count the same of some customers; `capped` are those who get no further offer.

    Raises BadCampaign for an unknown channel, MasterKeyError.
    """
    _require_channel(channel)
    looked_at = sorted(customer_ids)[:LOOKED_AT]
    obstacles = count_obstacles(shop, looked_at, channel=channel, topic=topic, now=now, capped=capped)
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
    shop: Shop,
    customer_ids: Sequence[str],
    *,
    channel: str,
    topic: str,
    now: datetime,
    capped: AbstractSet[str] = frozenset(),
) -> Counter[str]:
    """How many customers each first obstacle keeps a message from; under "" those who may be written to."""
    counts: Counter[str] = Counter()
    for people in recipients(shop, customer_ids, address=CHANNELS[channel].address_kind):
        obstacles = _obstacles(shop, people, channel, topic, now)
        counts.update(
            obstacle or (OFFER_CAP_REACHED if person.customer_id in capped else "")
            for person, obstacle in zip(people, obstacles, strict=True)
        )
    return counts


def _obstacles(shop: Shop, people: Sequence[Recipient], channel: str, topic: str, now: datetime) -> list[str]:
    """The first obstacle of each; empty where there is none."""
    rules = SendRules(shop.policy.consent, shop.policy.messages, end=now)
    return [_obstacle(facts, rules, now) for facts in facts_of(shop, people, channel, topic, now)]


def _obstacle(facts: CustomerFacts, rules: SendRules, now: datetime) -> str:
    reason = lasting_obstacle(facts, rules, now)
    if reason == "no_consent":
        return CONSENT_UNKNOWN if facts.consent.is_granted is None else CONSENT_WITHDRAWN
    return CAP_REACHED if reason == "capped" else reason
