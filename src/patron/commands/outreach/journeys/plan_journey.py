"""Plan a journey by replay: what it would have done in the last weeks, what that costs a month, what will be known."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from patron.commands.outreach.campaigns.campaign_assignments import draw_holdout, predecessors, stored_assignments
from patron.commands.outreach.campaigns.campaign_forecast import (
    Assumptions,
    CampaignForecast,
    Detectable,
    detectable,
    forecast,
    margin_deviation,
    past_outcomes,
)
from patron.commands.outreach.campaigns.campaign_learning import GainFactor
from patron.commands.outreach.campaigns.campaign_policy_terms import evidence_of
from patron.commands.outreach.campaigns.campaign_steps import record_step, require_not_over, require_same_terms
from patron.commands.outreach.channels.channel_checks import set_up_problems
from patron.commands.outreach.journeys.journey_replay import SimulatedPath, replay
from patron.commands.outreach.journeys.save_journey import require_known_names
from patron.commands.outreach.messages.message_costs import expected_message_cents, message_cents
from patron.decide.campaign_selection import NOTHING, message_alone, selection_of, values_of_offers
from patron.decide.candidates import audience_rows
from patron.decide.eligibility import may_contact
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.numbers import Numbers
from patron.schema.outreach.draft_name import DraftName
from patron.schema.sentences import Sentence, Text
from patron.storage.outreach.approved_terms import terms_today
from patron.storage.outreach.journey_file import JOURNEY, Journey, SegmentTrigger, Send
from patron.storage.outreach.versioned_drafts import SavedVersion, person
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot

REPLAYED_DAYS = 28
MONTH_DAYS = 30
NOT_REPLAYED = Sentence(
    "finding.not_replayed",
    "Not replayed, as a date is read from the vault. How many enter, what it costs and what can be"
    " measured shows once it runs; its budget and its caps hold all the same.",
)
NOBODY = Sentence("finding.nobody", "Nobody would have entered in these days, so nothing can be forecast.")
NO_HISTORY = Sentence(
    "finding.no_history",
    "Nobody became a member of the segment in these days, so nothing can be forecast. Runs record"
    " members from the segment's first run on.",
)
TOO_FEW = Sentence(
    "finding.too_few",
    "Your shop is too small to measure this: within {days} days fewer than two customers enter an arm.",
)
BUDGET_ENDS = Sentence(
    "finding.budget_ends",
    "The budget ends after {share:.0%} of a month's messages: they are expected to cost {cost:,.2f} {currency}.",
)
NO_MESSAGE = Sentence("finding.no_message", "Nobody would have been sent anything.")
LOSS = Sentence("finding.loss", "It is expected to cost more than it brings.")
NOT_SET_UP = Sentence("finding.not_set_up", "Nothing can be sent yet: {what}")
TAKES_DAYS = Sentence("finding.takes_days", "At this traffic, that takes {count:,} days of entries.")
TAKES_YEARS = Sentence("finding.takes_years", "At this traffic, that takes {count:,.0f} years of entries.")
MAX_DAYS = 730
"""From then on a span is written in years."""


@dataclass(frozen=True)
class SendPlan:
    """What one step would have sent in the days that were replayed; cents."""

    step: str
    """Its id."""
    channel: str
    offer: str
    """Id of the offer; empty for the message alone."""
    message_count: int
    cost_cents: float
    """What the budget counts: what these messages are expected to cost, with orders that use their offer."""


@dataclass(frozen=True)
class JourneyReplay:
    """What the journey would have done in the days before the last run; amounts in cents."""

    since: datetime
    until: datetime
    customer_count: int
    """Customers who would have entered."""
    entry_count: int
    """How often; more than customers where they may enter again."""
    left_count: int
    """Entries that an exit event would have ended before the first message."""
    not_contactable_count: int
    """Customers who entered and may not be contacted."""
    holdout_count: int
    """Customers who entered and would be sent nothing, so that the effect can be measured."""
    message_count: int
    later_count: int
    """Of the messages, those that are due after the run: some of their customers may still leave."""
    sends: tuple[SendPlan, ...]
    monthly_messages: float
    monthly_cost_cents: float
    """Expected, of sending and offers in a month of 30 days; of those who are members already, once."""
    monthly_budget_use_cents: float
    """What the budget of a month counts: each message for itself, so that an offer sent twice counts twice."""
    forecast: CampaignForecast
    """Of those who would have entered."""
    detectable: Detectable
    """Of those who enter in `window_days`."""
    needed_days: float | None
    """Days of entries that the expected effect needs, at this traffic; NULL where none is expected."""


@dataclass(frozen=True)
class JourneyPlan:
    """The plan of one version of a journey."""

    journey: str
    version: int
    planned_at: datetime
    planned_by: str
    run_id: str
    """Run whose facts and forecasts it follows from."""
    policy_version: str
    currency: str
    window_days: int
    monthly_budget_cents: float
    replay: JourneyReplay | None
    """NULL where its trigger cannot be replayed, or nobody would have entered."""
    findings: tuple[str, ...]
    finding_texts: tuple[dict[str, Any], ...]
    """The same with codes and values."""


@operation(
    Right(Action.ACT, Area.CAMPAIGNS),
    "POST /api/journeys/{name}/plan",
    audit=AuditAction.JOURNEY_PLANNED,
    name_field="by",
)
def plan_journey(context: RequestContext, name: DraftName) -> JourneyPlan:
    """Plan a journey by replay of the days before the last run.

    The newest version, and the plan is kept.

    Raises NotFound, NoRunYet, BadJourney for a state that does not allow it, one that is over, and an event, a segment
    or an offer that there is no more.
    """
    person(context.by)
    saved = JOURNEY.saved_in(context.shop.store, name)
    JOURNEY.require(saved, "planned")
    require_not_over(context.shop, JOURNEY, saved, context.now)
    context.shop.reload_settings()
    terms = terms_today(context.shop, saved.content)
    snapshot = last_run(context.shop)
    require_known_names(context.shop, snapshot, saved.content)
    plan = _plan(context.shop, snapshot, saved, by=context.by, now=context.now)
    require_same_terms(JOURNEY, saved, terms, terms_today(context.shop, saved.content))
    record_step(context, JOURNEY, saved, "planned", details=msgspec.to_builtins(plan) | {"terms": terms})
    return plan


def _plan(shop: Shop, snapshot: Snapshot, saved: SavedVersion[Journey], *, by: str, now: datetime) -> JourneyPlan:
    journey, until = saved.content, snapshot.run.as_of
    paths = replay(shop, snapshot, journey, since=until - timedelta(days=REPLAYED_DAYS), until=until)
    replayed = _replayed(shop, snapshot, journey, paths) if paths else None
    closed = [NOT_SET_UP(what=problem) for problem in set_up_problems(shop, journey.channels, at=now)]
    found = (*_findings(journey, paths, replayed, shop.settings.shop.currency), *closed)
    return JourneyPlan(
        journey=saved.name,
        version=saved.version,
        planned_at=now,
        planned_by=by.strip(),
        run_id=snapshot.run.run_id,
        policy_version=shop.policy.version,
        currency=shop.settings.shop.currency,
        window_days=journey.window_days,
        monthly_budget_cents=float(journey.monthly_budget_cents),
        replay=replayed,
        findings=tuple(map(str, found)),
        finding_texts=tuple(one.plain() for one in found),
    )


def _findings(
    journey: Journey, paths: list[SimulatedPath] | None, replayed: JourneyReplay | None, currency: str
) -> list[Text]:
    if paths is None:
        return [NOT_REPLAYED]
    if replayed is None:
        return [NO_HISTORY if isinstance(journey.trigger, SegmentTrigger) else NOBODY]
    findings: list[Text] = []
    if replayed.monthly_budget_use_cents > journey.monthly_budget_cents:
        share = journey.monthly_budget_cents / replayed.monthly_budget_use_cents
        cost = replayed.monthly_budget_use_cents / 100
        findings.append(BUDGET_ENDS(share=share, cost=cost, currency=currency))
    if not replayed.message_count:
        findings.append(NO_MESSAGE)
    if replayed.forecast.margin_cents < 0:
        findings.append(LOSS)
    known, days = replayed.detectable, replayed.needed_days
    if known.detectable_cents is None and journey.holdout_share:
        findings.append(TOO_FEW(days=journey.window_days))
        return findings
    findings.append(Text(known.sentence))
    if not known.is_enough and days:
        is_soon = days < MAX_DAYS
        findings.append(TAKES_DAYS(count=ceil(days)) if is_soon else TAKES_YEARS(count=days / 365))
    return findings


def _replayed(shop: Shop, snapshot: Snapshot, journey: Journey, paths: list[SimulatedPath]) -> JourneyReplay:
    until, days = snapshot.run.as_of, REPLAYED_DAYS
    audience = pa.table({"customer_id": pa.array(sorted({path.customer_id for path in paths}), pa.string())})
    customers = audience["customer_id"].to_pylist()
    people = _People(shop, snapshot, journey, audience)
    reached = set(np.array(customers)[people.is_reached].tolist())
    sent_to = defaultdict[int, list[str]](list)
    for path in paths:
        for place, _ in path.sends if path.customer_id in reached else ():
            sent_to[place].append(path.customer_id)
    sent = Counter(path.customer_id for path in paths if path.customer_id in reached for _ in path.sends)
    messages = np.array([sent.get(customer, 0) for customer in customers], dtype=np.float64)
    about = people.assumptions(messages)
    deviation, saving = margin_deviation(about, people.history)
    sends = tuple(_sends(shop, journey, sent_to))
    is_at_once = isinstance(journey.trigger, SegmentTrigger) and journey.trigger.includes_members
    scale, month = (1.0, 1.0) if is_at_once else (journey.window_days / days, MONTH_DAYS / days)
    arms = {"treated": int((~people.is_holdout).sum()), "holdout": int(people.is_holdout.sum())}
    scaled = {arm: round(count * scale) for arm, count in arms.items()}
    expected = forecast(about, GainFactor(1.0, people.prior_error), deviation, saving)
    each = expected.margin_cents / max(arms["treated"], 1)
    known = detectable(scaled, each, deviation, saving, shop.settings.shop.currency)
    needed = known.needed_customers
    return JourneyReplay(
        since=until - timedelta(days=days),
        until=until,
        customer_count=len(customers),
        entry_count=len(paths),
        left_count=sum(path.has_left and not path.sends for path in paths),
        not_contactable_count=int((~people.may_contact).sum()),
        holdout_count=arms["holdout"],
        message_count=sum(send.message_count for send in sends),
        later_count=sum(at >= until for path in paths if path.customer_id in reached for _, at in path.sends),
        sends=sends,
        monthly_messages=sum(send.message_count for send in sends) * month,
        monthly_cost_cents=float(about.cost[about.is_treated].sum()) * month,
        monthly_budget_use_cents=sum(send.cost_cents for send in sends) * month,
        forecast=expected,
        detectable=known,
        needed_days=None if needed is None or is_at_once else needed * days / max(len(customers), 1),
    )


def _sends(shop: Shop, journey: Journey, sent_to: Mapping[int, Sequence[str]]) -> list[SendPlan]:
    sends = []
    for place, step in enumerate(journey.steps):
        if isinstance(step, Send):
            customers, channel = sent_to.get(place, ()), step.channel or journey.channel
            cost = float(expected_message_cents(shop, step.offer, customers).sum())
            sends.append(
                SendPlan(
                    journey.step_id(place), channel, offer=step.offer, message_count=len(customers), cost_cents=cost
                )
            )
    return sends


class _People:
    """Those who would have entered, in order of customer_id, and what is expected of each."""

    def __init__(self, shop: Shop, snapshot: Snapshot, journey: Journey, audience: pa.Table) -> None:
        self._shop, self._journey = shop, journey
        policy = shop.policy
        self._rows = audience_rows(snapshot, policy, audience)
        stored = {one: row.is_holdout for one, row in stored_assignments(shop.store, journey.name).items()}
        names = self._rows["customer_id"].to_pylist()
        self.is_holdout = draw_holdout(journey.name, journey.holdout_share, names, stored, predecessors(snapshot))
        self.may_contact = may_contact(self._rows, policy)
        self.is_reached = self.may_contact & ~self.is_holdout
        by_id = {offer.id: offer for offer in policy.offers}
        chosen = dict.fromkeys(step.offer for step in journey.steps if isinstance(step, Send) and step.offer)
        # why: a step sends its offer to everybody; the message alone counts where no step has an offer
        self._offers = tuple(by_id[name] for name in chosen) or (message_alone(policy, journey.window_days),)
        evidence = evidence_of(shop, snapshot)
        self._margin = evidence.margin_share
        _, self._expected = values_of_offers(self._rows, self._offers, evidence)
        self.history = past_outcomes(snapshot, audience, timedelta(days=journey.window_days))

    @property
    def prior_error(self) -> float:
        """Standard error of the assumed gains as a share of them."""
        gain = float(np.abs(self._expected.effect).sum())
        return float(self._expected.standard_error.sum()) / gain if gain > 0 else 1.0

    def assumptions(self, messages: Numbers) -> Assumptions:
        """What is assumed of each: however many messages, they gain and cost what the strongest of their offers does.

        `messages` is how many each would have been sent.
        """
        best = np.argmax(self._expected.effect, axis=1)
        action = np.where(messages > 0, best, NOTHING)
        contact = np.array([message_cents(self._shop, offer.id) for offer in self._offers])
        chosen = selection_of(self._offers, self._rows, action, self._expected, contact, margin_share=self._margin)
        own = np.array([float(offer.contact_cost_cents) for offer in self._offers])[best]
        sending = contact[best] * messages
        chosen = replace(chosen, sending=sending, cost=sending + np.maximum(chosen.cost - own, 0.0))
        days = np.full(len(messages), float(self._journey.window_days))
        return Assumptions.of(chosen, ~self.is_holdout, days, self._margin)
