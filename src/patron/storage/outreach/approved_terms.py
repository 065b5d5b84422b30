"""What an approval of a campaign or a journey pins: whatever, outside its own version, decides who is sent what.

The terms are a part of the step that approved it: rules of segments, offers, consent, quiet hours, caps, the period's
budget, the shop's name, clock and language, and who takes the messages. Sending reads them there (`shop_as_approved`).
What changed since waits for an approval of its own (`pending_approvals`); where what was approved cannot be kept up, as
the provider or an offer is gone, nothing is sent (`obstacles`).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from patron.schema.errors import PatronError, SettingsError
from patron.schema.outreach.channels import CONFIGURABLE
from patron.schema.sentences import Sentence, Text
from patron.segments.segment_parser import parse_rule
from patron.segments.segment_rules import FieldRule, Rule, leaves, rule_content
from patron.storage.offers.policy import Consent, Policy
from patron.storage.offers.proposal_tables import POLICY_PROPOSALS
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.journey_file import JOURNEY, Branch, Journey, SegmentTrigger
from patron.storage.outreach.versioned_drafts import (
    IS_OVER,
    STEPS_WITH_TERMS,
    SavedVersion,
    TakenStep,
    VersionedDrafts,
)
from patron.storage.segments.segment_definitions import definitions, rules_within

if TYPE_CHECKING:
    from patron.storage.settings import Settings
    from patron.storage.shop import Shop
    from patron.storage.store.store import Store

CHANNEL_GONE = Sentence("held_channel_gone", "the channel {name} is not set up any more")
PROVIDER_CHANGED = Sentence("held_provider_changed", "{keys} of the channel {name} changed since the approval")
LINKS_CHANGED = Sentence(
    "held_links_changed", "public_url changed since the approval, so that unsubscribe links would lead elsewhere"
)
OFFER_GONE = Sentence("held_offer_gone", "the offer {name} is not given any more")
STAGES_CHANGED = Sentence(
    "held_stages_changed", "[at_risk] of policy.toml changed since the approval, and a rule uses the lifecycle stage"
)
TERMS_UNKNOWN = Sentence(
    "held_terms_unknown",
    "it was approved before Patron recorded what an approval covers, and policy.toml changed since",
)

HELD = Sentence("held", "nothing of {name!r} is sent: {reasons}")
APPROVE_AGAIN = Sentence(
    "approve_again", 'Approve it again: `patron {kind} approve "{name}"`, or on its page; or undo the change.'
)

NAMED_SECTIONS = ("segments", "offers", "channels")
"""Sections of the terms with an entry for each name."""
CONSENT_KEYS = ("unknown", "marketing", "names")
STAGE_FIELD = "lifecycle_stage"
Terms = Mapping[str, Any]
"""What was approved, by section, as JSON has it."""


@dataclass(frozen=True)
class TermsChange:
    """One value that is not as it was approved."""

    section: str
    """segments, offers, channels, consent, messages, budget, shop or at_risk."""
    name: str
    """Of the segment, the offer or the channel; empty in any other section."""
    key: str
    """Empty where all of it was added or removed."""
    before: Any
    """As it was approved; NULL where it was not there."""
    after: Any
    """As it is; NULL where it is gone."""


@dataclass(frozen=True)
class SegmentTriggerTerms:
    """A segment whose new members enter a journey, by the rules that were approved."""

    journey: str
    approval: int
    """Step of the journey's life since which these rules count."""
    segment: str
    rules: Mapping[str, Rule]
    """Of the segment and those that it is made of."""
    consent: Consent


def terms_today(shop: "Shop", content: Any, *, policy: Policy | None = None, at: datetime | None = None) -> Terms:
    """What an approval of a campaign or a journey would pin now; perhaps with another policy, or rules of a time."""
    policy, settings = policy or shop.policy, shop.settings
    saved = definitions(shop.store, at=at)
    rules = {name: one.rule for name, one in saved.items()}
    within = sorted(frozenset[str]().union(*(rules_within(rules, name) for name in content.segments)) & rules.keys())
    asked: list[Rule] = []
    if isinstance(content, Journey):  # why: a campaign's plan has asked, of what the last run left
        branches = [parse_rule(step.rule) for step in content.steps if isinstance(step, Branch)]
        asked = [*(rules[name] for name in within), *branches]
    fields = {leaf.field for rule in asked for leaf in leaves(rule) if isinstance(leaf, FieldRule)}
    return {
        "segments": {name: {"version": saved[name].version, "rule": rule_content(rules[name])} for name in within},
        "offers": {offer.id: offer.model_dump(mode="json") for offer in policy.offers if offer.id in content.offers},
        "consent": policy.consent.model_dump(mode="json", include=set(CONSENT_KEYS)),
        "messages": policy.messages.model_dump(mode="json", include={"quiet_hours", "caps"}),
        "budget": policy.budget.model_dump(mode="json"),
        "shop": {
            **settings.shop.model_dump(mode="json", include={"name", "time_zone", "locale"}),
            "message_cents": settings.value.message_cents,
            "public_url": settings.channels.email.public_url,
        },
        "channels": {name: _channel_terms(shop, name) for name in content.channels},
        "at_risk": policy.at_risk.model_dump(include={"at_risk_from", "lapsed_from"}) if STAGE_FIELD in fields else {},
    }


def _channel_terms(shop: "Shop", name: str) -> dict[str, str]:
    """Who takes the messages of a channel, and what customers see of it; empty where it is not set up."""
    section = shop.settings.channels.section(name) if name in CONFIGURABLE else None
    if section is None or not section.is_configured:
        return {}
    return {key: getattr(section, key) for key in section.SHOWN} | section.provider_terms(shop.folder)


def digest_of(terms: Terms) -> str:
    """Short hash of terms: the same rule in another version of its segment does not change it."""
    segments = {name: one["rule"] for name, one in terms["segments"].items()}
    content = json.dumps({**terms, "segments": segments}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def changed_terms(before: Terms, after: Terms) -> tuple[TermsChange, ...]:
    """Every value that differs, in the order of the sections."""
    return tuple(
        change for section in after for change in _section_changes(section, before.get(section, {}), after[section])
    )


def _section_changes(section: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[TermsChange]:
    if section not in NAMED_SECTIONS:
        yield from _keys(section, "", before, after)
        return
    for name in dict.fromkeys((*before, *after)):
        was, becomes = before.get(name) or None, after.get(name) or None
        if was is None or becomes is None:
            if was != becomes:
                yield TermsChange(section, name, "", was, becomes)
        elif section != "segments":
            yield from _keys(section, name, was, becomes)
        elif was["rule"] != becomes["rule"]:
            yield TermsChange(section, name, "rule", was, becomes)


def _keys(section: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[TermsChange]:
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield TermsChange(section, name, key, before.get(key), after.get(key))


def obstacles(shop: "Shop", terms: Terms, policy: Policy | None = None) -> tuple[Text, ...]:
    """Why what was approved cannot be kept up, so that nothing is sent; nothing where it can."""
    return tuple(_obstacles(shop, terms, policy or shop.policy))


def _obstacles(shop: "Shop", terms: Terms, policy: Policy) -> Iterator[Text]:
    for name, before in terms["channels"].items():
        after = _channel_terms(shop, name)
        if before and not after:
            yield CHANNEL_GONE(name=name)
            continue
        shown = shop.settings.channels.section(name).SHOWN if name in CONFIGURABLE else ()
        keys = [key for key in after if key not in shown and before.get(key) != after[key]]
        if keys:
            yield PROVIDER_CHANGED(name=name, keys=", ".join(keys))
    if terms["shop"]["public_url"] != shop.settings.channels.email.public_url:
        yield LINKS_CHANGED
    given = {offer.id for offer in policy.offers if offer.is_active}
    for name, offer in terms["offers"].items():
        if offer["is_active"] and name not in given:
            yield OFFER_GONE(name=name)
    if any(getattr(policy.at_risk, key) != value for key, value in terms["at_risk"].items()):
        yield STAGES_CHANGED


def held_problem(
    shop: "Shop", kind: VersionedDrafts[Any], saved: SavedVersion[Any], version: int | None = None
) -> PatronError | None:
    """The kind's problem where nothing of a version may be sent until it is approved again; None where it may."""
    terms = terms_of(saved, version)
    reasons = (TERMS_UNKNOWN,) if terms is None else obstacles(shop, terms)
    if not reasons:
        return None
    todo = APPROVE_AGAIN(kind=kind.kind, name=saved.name)
    return kind.problem(HELD(name=saved.name, reasons=reasons), where=kind.kind, todo=todo)


def approved_zone(shop: "Shop", saved: SavedVersion[Any]) -> ZoneInfo:
    """The clock by which it starts and ends: the shop's as it was approved, else as it is."""
    terms = terms_of(saved)
    return ZoneInfo(terms["shop"]["time_zone"] if terms else shop.settings.shop.time_zone)


def shop_as_approved(shop: "Shop", terms: Terms) -> "Shop":
    """The same shop with policy, settings and rules of segments as they were approved: what sending reads.

    A stricter answer to unknown consent counts at once, and so do refusals under the names that purposes have by now.
    Raises SettingsError for terms that this version cannot read.
    """
    policy = shop.policy.model_dump(mode="json")
    is_refused = "refuse" in {shop.policy.consent.unknown, terms["consent"]["unknown"]}
    consent = policy["consent"] | terms["consent"] | {"unknown": "refuse" if is_refused else "allow"}
    changes = {"consent": consent, "budget": terms["budget"], "offers": list(terms["offers"].values())}
    _ = shop.lake  # why: the copy shares the open engine and lake
    approved = copy(shop)
    approved.policy = Policy.model_validate(policy | changes | {"messages": policy["messages"] | terms["messages"]})
    approved.settings = _settings_as_approved(shop.settings, terms)
    approved.segment_rules = approved_rules(terms)
    approved.consent_of_today = shop.policy.consent
    return approved


def _settings_as_approved(settings: "Settings", terms: Terms) -> "Settings":
    sections = {}
    for name, content in terms["channels"].items():
        if name in CONFIGURABLE:
            section = settings.channels.section(name)
            shown = {key: content[key] for key in section.SHOWN if key in content}
            sections[name] = section.model_copy(update=shown)
    of_shop = {key: terms["shop"][key] for key in ("name", "time_zone", "locale")}
    changes = {
        "shop": settings.shop.model_copy(update=of_shop),
        "value": settings.value.model_copy(update={"message_cents": terms["shop"]["message_cents"]}),
        "channels": settings.channels.model_copy(update=sections),
    }
    return settings.model_copy(update=changes)


def approved_rules(terms: Terms) -> dict[str, Rule]:
    """Rules of the segments that were approved, by name."""
    return {name: parse_rule(one["rule"], where=f"segment {name}") for name, one in terms["segments"].items()}


def terms_of(saved: SavedVersion[Any], version: int | None = None) -> Terms | None:
    """Terms under which a version, by default the newest one, is sent; None where none were recorded."""
    approval = saved.approval(version)
    return approval.details.get("terms") if approval else None


def pin_earlier_approvals(shop: "Shop", saved: SavedVersion[Any], *, by: str, at: datetime) -> SavedVersion[Any]:
    """Record the terms of approvals that were given before Patron recorded them, and return what is saved then.

    Segments count as they were when it was approved; policy and settings as they are where the policy is the one that
    was approved, or one that was kept; otherwise nothing is recorded, and nothing is sent.
    """
    kind = JOURNEY if isinstance(saved.content, Journey) else CAMPAIGN
    versions = {one.version for one in saved.steps if one.step in STEPS_WITH_TERMS}
    missing = [version for version in sorted(versions) if terms_of(saved, version) is None]
    for version in missing:
        approval = saved.approval(version)
        policy = _policy_of(shop, saved, approval) if approval else None
        if approval is None or policy is None:
            continue
        with shop.store.begin() as connection:
            content = kind.version(connection, saved.name, version)
        terms = terms_today(shop, content, policy=policy, at=approval.taken_at)
        with shop.store.begin() as connection:
            kind.pin(connection, saved.name, version, by, at, {"terms": terms})
    return kind.saved_in(shop.store, saved.name) if missing else saved


def pin_all_earlier_approvals(shop: "Shop", *, by: str, at: datetime) -> None:
    """The same of all that are not over: what is edited before one of them starts changes nothing of it any more."""
    for saved in (*CAMPAIGN.all_saved_in(shop.store), *JOURNEY.all_saved_in(shop.store)):
        if saved.state not in IS_OVER:
            pin_earlier_approvals(shop, saved, by=by, at=at)


def _policy_of(shop: "Shop", saved: SavedVersion[Any], approval: TakenStep) -> Policy | None:
    """The policy of the plan that was approved; None where it is not known any more."""
    plans = (one for one in reversed(saved.steps) if one.step == "planned" and one.entry < approval.entry)
    plan = next(plans, None)
    version = plan.details.get("policy_version") if plan else None
    if not version or version == shop.policy.version:
        return shop.policy
    with shop.store.begin() as connection:
        kept = connection.execute(sa.select(POLICY_PROPOSALS.c.content, POLICY_PROPOSALS.c.previous_content)).all()
    policies = _policies(text for row in kept for text in row)
    return next((policy for policy in policies if policy.version == version), None)


def _policies(texts: Iterable[str]) -> Iterator[Policy]:
    for text in texts:
        try:
            yield Policy.parse(text)
        except SettingsError:  # why: one that this version of Patron does not read
            continue


def segment_triggers(store: "Store") -> tuple[SegmentTriggerTerms, ...]:
    """Segments whose new members enter a journey that was approved and is not over, by the rules of its approval."""
    triggers = []
    for saved in JOURNEY.all_saved_in(store):
        approved = [step for step in saved.steps if step.step in STEPS_WITH_TERMS and "terms" in step.details]
        if not approved or saved.state in IS_OVER:
            continue
        version = max(step.version for step in approved)
        with store.begin() as connection:
            trigger = JOURNEY.version(connection, saved.name, version).trigger
        if isinstance(trigger, SegmentTrigger):
            triggers.append(_trigger_terms(saved, version, trigger.enters))
    return tuple(triggers)


def trigger_approval(saved: SavedVersion[Journey]) -> int:
    """The step of a journey's life since which the rules of its trigger count as they were approved last."""
    trigger = saved.content.trigger
    if not isinstance(trigger, SegmentTrigger):
        return 0
    return _trigger_terms(saved, saved.version, trigger.enters).approval


def _trigger_terms(saved: SavedVersion[Journey], version: int, segment: str) -> SegmentTriggerTerms:
    newest, *earlier = [
        step
        for step in reversed(saved.steps)
        if step.version == version and step.step in STEPS_WITH_TERMS and "terms" in step.details
    ]
    rules, approval = approved_rules(newest.details["terms"]), newest.entry
    within = rules_within(rules, segment)
    for step in earlier:  # why: an approval of something else changes nobody's stay
        before = approved_rules(step.details["terms"])
        if {name: before.get(name) for name in within} != {name: rules.get(name) for name in within}:
            break
        approval = step.entry
    consent = Consent.model_validate(newest.details["terms"]["consent"])
    return SegmentTriggerTerms(
        saved.name, approval, segment, {name: rules[name] for name in within if name in rules}, consent
    )
