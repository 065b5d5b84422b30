"""Whether one message may be sent now: every check in its one order, the first that forbids it wins.

The template is rendered after these, and the message is written to the store after that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from patron.engage.message_limits import capped_until, next_allowed
from patron.storage.offers.policy import Consent
from patron.storage.outreach.message_policy import MessagePolicy


@dataclass(frozen=True)
class ConsentAnswer:
    """The latest answer of a customer to marketing, and what proves it."""

    is_granted: bool | None = None
    """None without an answer."""
    basis: str = ""
    """Basis on which it was granted; empty without an answer."""
    event: str | None = None
    """Hash of the consent event in the ledger."""


@dataclass(frozen=True, kw_only=True)
class CustomerFacts:
    """What is known of a customer, whatever the message."""

    consent: ConsentAnswer
    contact: str | None
    """Blind index of the address; None where no address is known."""
    is_suppressed: bool
    is_topic_withdrawn: bool
    zone: ZoneInfo
    """The customer's clock."""
    sent_times: tuple[datetime, ...] = ()
    """When messages went to the customer lately, over all channels and campaigns."""


@dataclass(frozen=True, kw_only=True)
class MessageFacts(CustomerFacts):
    """What is known of one message and the customer it is for."""

    has_message: bool
    """Whether the address has had this campaign's message, as that of another customer or of one who merged."""
    is_holdout: bool
    is_planned: bool
    offer: str = ""
    """Id of the offer; empty without one."""
    cost_cents: float = 0.0
    """What it is expected to cost."""


@dataclass
class Allowance:
    """What the campaign may still spend and give; it shrinks with every message that passes."""

    budget_cents: float
    stock: dict[str, float] = field(default_factory=dict)
    """How many of an offer are left in the period; offers without a limit are not in it."""

    def use(self, facts: MessageFacts) -> None:
        """Count one message that passed."""
        self.budget_cents -= facts.cost_cents
        if facts.offer in self.stock:
            self.stock[facts.offer] -= 1

    def give_back(self, facts: MessageFacts) -> None:
        """Count a message no more that passed and was not sent."""
        self.budget_cents += facts.cost_cents
        if facts.offer in self.stock:
            self.stock[facts.offer] += 1


@dataclass(frozen=True)
class SendRules:
    """What the policy and the campaign demand of every message."""

    consent: Consent
    messages: MessagePolicy
    end: datetime
    """When the campaign is over."""
    closed_offers: Mapping[str, str] = field(default_factory=dict)
    """Offers that are not given now, with the code of why."""


@dataclass(frozen=True)
class Verdict:
    """What the checks say of one message."""

    reason: str = ""
    """Code of the check that forbids it; empty where it may be sent."""
    until: datetime | None = None
    """When it may be tried again; None for never."""


SEND = Verdict()
HALF_A_CENT = 0.5
Check = Callable[[MessageFacts, SendRules, Allowance, datetime], Verdict]
CustomerCheck = Callable[[CustomerFacts, SendRules, datetime], Verdict]
"""A check that asks nothing of the message."""


def check(facts: MessageFacts, rules: SendRules, allowance: Allowance, at: datetime) -> Verdict:
    """The verdict of the first check that forbids a message, or SEND; of the allowance nothing is used yet.

    What would be put off beyond the end of the campaign is forbidden for good.
    """
    for forbids in CHECKS:
        verdict = forbids(facts, rules, allowance, at)
        if verdict.reason:
            is_late = verdict.until is not None and verdict.until >= rules.end
            return Verdict(verdict.reason) if is_late else verdict
    return SEND


def _consent(facts: CustomerFacts, rules: SendRules, _at: datetime) -> Verdict:
    return SEND if rules.consent.allows(is_granted=facts.consent.is_granted) else Verdict("no_consent")


def _suppression(facts: CustomerFacts, _rules: SendRules, _at: datetime) -> Verdict:
    if facts.contact is None:
        return Verdict("no_address")
    return Verdict("suppressed") if facts.is_suppressed else SEND


def _topic(facts: CustomerFacts, _rules: SendRules, _at: datetime) -> Verdict:
    return Verdict("topic_withdrawn") if facts.is_topic_withdrawn else SEND


def _holdout(facts: MessageFacts, _rules: SendRules, _allowance: Allowance, _at: datetime) -> Verdict:
    if facts.is_holdout:
        return Verdict("holdout")
    return SEND if facts.is_planned else Verdict("not_planned")


def _address(facts: MessageFacts, _rules: SendRules, _allowance: Allowance, _at: datetime) -> Verdict:
    """Of customers with one address the first one gets the message."""
    return Verdict("same_address") if facts.has_message else SEND


def _quiet_hours(facts: CustomerFacts, rules: SendRules, at: datetime) -> Verdict:
    until = next_allowed(at, facts.zone, rules.messages.quiet)
    return Verdict("quiet_hours", until) if until > at else SEND


def _caps(facts: CustomerFacts, rules: SendRules, at: datetime) -> Verdict:
    until = capped_until(facts.sent_times, at, rules.messages.caps)
    return Verdict("capped", until) if until else SEND


def _budget(facts: MessageFacts, _rules: SendRules, allowance: Allowance, _at: datetime) -> Verdict:
    # why: half a cent, so that sums of fractions of cents do not refuse the last message of an exact plan
    return Verdict("over_budget") if facts.cost_cents > allowance.budget_cents + HALF_A_CENT else SEND


def _offer(facts: MessageFacts, rules: SendRules, allowance: Allowance, _at: datetime) -> Verdict:
    """A message whose offer ran out is not sent alone: its text promises the offer."""
    if facts.offer in rules.closed_offers:
        return Verdict(rules.closed_offers[facts.offer])
    return Verdict("offer_out_of_stock") if allowance.stock.get(facts.offer, 1.0) < 1 else SEND


def _of_customer(customer_check: CustomerCheck) -> Check:
    return lambda facts, rules, _allowance, at: customer_check(facts, rules, at)


CHECKS: tuple[Check, ...] = (
    *map(_of_customer, (_consent, _suppression, _topic)),
    _holdout,
    _address,
    *map(_of_customer, (_quiet_hours, _caps)),
    _budget,
    _offer,
)
"""The order of checks."""
LASTING_CHECKS: tuple[CustomerCheck, ...] = (_consent, _suppression, _topic, _caps)
"""Checks of a customer that the next morning does not lift."""


def lasting_obstacle(facts: CustomerFacts, rules: SendRules, at: datetime) -> str:
    """Code of the first check that keeps every message from a customer; empty where none does."""
    reasons = (forbids(facts, rules, at).reason for forbids in LASTING_CHECKS)
    return next(filter(None, reasons), "")
