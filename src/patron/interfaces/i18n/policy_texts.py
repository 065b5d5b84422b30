"""A policy in sentences, and what a change of it means."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.storage.customers.task_policy import TaskPolicy
from patron.storage.offers.offer_policy import Offer
from patron.storage.offers.policy import Policy
from patron.storage.offers.policy_changes import PolicyChange

CENTS = ("contact_cost_cents", "cost_per_order_cents", "task_cost_cents")
MONEY = ("amount", "amount_off", "least_order", "delivery_free_from", "least_value", "approval_free_below")
"""Keys whose values are amounts in the shop's currency."""
WORDS_OF_KEYS = {
    "lifecycle_stages": "stage",
    "reasons": "reason_code",
    "channels": "channel",
    "usual_playbook": "playbook",
}
"""Family of the texts of a key's names, where it is not `policy_value`."""


def policy_sentences(policy: Policy, texts: Words, formats: Formats) -> Iterator[str]:
    """What the policy says about offers, the most important first."""
    yield texts("policy.version", version=policy.version)
    yield texts(f"policy.budget_{policy.budget.period}", amount=formats.money(policy.budget.cents))
    yield texts("policy.exploration", share=formats.share(policy.exploration.share))
    yield texts("policy.holdout", share=formats.share(policy.holdout.share))
    stages = texts("list.joint").join(texts.code("stage", stage) for stage in policy.at_risk.lifecycle_stages)
    days = policy.at_risk.active_within_days
    yield texts("policy.considered_active" if days else "policy.considered", stages=stages, days=days)
    yield texts("policy.cap", count=policy.caps.offers_per_customer, days=policy.caps.within_days)
    yield _task_sentence(policy.tasks, texts, formats)
    yield texts("policy.unknown_allowed" if policy.consent.unknown == "allow" else "policy.unknown_refused")
    yield texts(f"policy.confirm_{policy.channel.confirm}", days=policy.channel.confirm_within_days)
    if not policy.offers:
        yield texts("policy.no_offers")
    names = {offer.id: offer.name for offer in policy.offers}
    for offer in policy.offers:
        yield _offer_sentence(offer, texts.offer(offer.id, names), texts, formats)


def _task_sentence(tasks: TaskPolicy, texts: Words, formats: Formats) -> str:
    code = "policy.tasks_held_out" if tasks.holdout_share else "policy.tasks_not_held_out"
    return texts(code, share=formats.share(tasks.holdout_share), days=tasks.window_days)


def _offer_sentence(offer: Offer, name: str, texts: Words, formats: Formats) -> str:
    return texts(
        f"policy.offer_{terms_code(offer)}",
        offer=name,
        days=offer.valid_days,
        contact=formats.money(offer.contact_cost_cents),
        order=formats.money(offer.cost_per_order_cents),
        free=formats.money(offer.delivery_free_from_cents),
        share=formats.share(offer.points_share if offer.kind == "points" else offer.discount_share, 0),
        redeemed=formats.share(offer.redeemed_share, 0),
        amount=formats.money(offer.amount_off_cents),
        least=formats.money(offer.least_order_cents),
    )


def terms_code(offer: Offer) -> str:
    """End of the code of a text about an offer's terms: its kind, and whether large orders are free anyway."""
    return "free_delivery_below" if offer.kind == "free_delivery" and offer.delivery_free_from_cents else offer.kind


def change_rows(
    changes: Iterable[PolicyChange], names: dict[str, str], texts: Words, formats: Formats
) -> list[tuple[str, str | None, str | None]]:
    """What changes: label, old and new value, as the component `diff` takes them."""
    return [_change_row(change, names, texts, formats) for change in changes]


def _change_row(
    change: PolicyChange, names: dict[str, str], texts: Words, formats: Formats
) -> tuple[str, str | None, str | None]:
    if change.offer and not change.key:
        label = texts("policy_change.offer", offer=change.offer)
        old, new = (None if one is None else _offer_text(one, texts, formats) for one in (change.old, change.new))
        return label, old, new
    label = key_text(change.section, change.key, texts)
    if change.offer:
        label = texts("policy_change.of_offer", offer=texts.offer(change.offer, names), setting=label)
    old, new = (value_text(change.key, one, texts, formats) for one in (change.old, change.new))
    return label, old, new


def key_text(section: str, key: str, texts: Words) -> str:
    """Name of a value of the policy; one without a text is written as in the file."""
    text = texts.texts.get(f"policy_key.{section}.{key}")
    return text if isinstance(text, str) else f"[{section}] {key}"


def value_text(key: str, value: Any, texts: Words, formats: Formats) -> str:
    """A value of the policy as people write it."""
    if isinstance(value, bool):
        return texts("policy_value.yes" if value else "policy_value.no")
    if isinstance(value, int | float):
        return _number_text(key, value, formats)
    if not value:
        return texts("policy_value.none")
    if isinstance(value, list):
        return texts("list.joint").join(value_text(key, one, texts, formats) for one in value)
    if isinstance(value, dict):
        return _pairs_text(key, value, texts)
    return _word_text(key, str(value), texts, formats)


def _pairs_text(key: str, value: dict[str, Any], texts: Words) -> str:
    if key != "playbooks":
        return ", ".join(f"{name} = {one}" for name, one in value.items())
    pairs = ((texts.code("reason_code", reason), texts(f"playbook.{one}")) for reason, one in value.items())
    named = (texts("policy_value.playbook", reason=reason, playbook=playbook) for reason, playbook in pairs)
    return texts("list.joint").join(named)


def _word_text(key: str, value: str, texts: Words, formats: Formats) -> str:
    return formats.day(date.fromisoformat(value)) if key.startswith("available_") else word_text(key, value, texts)


def word_text(key: str, value: str, texts: Words) -> str:
    """A name that is the value of a setting; one without a text is written as in the file."""
    family = WORDS_OF_KEYS.get(key, "policy_value")
    text = texts.texts.get(f"policy_value.{key}.{value}") or texts.texts.get(f"{family}.{value}")
    return text if isinstance(text, str) else value


def _number_text(key: str, value: float, formats: Formats) -> str:
    if key in CENTS:
        return formats.money(value)
    if key in MONEY:
        return formats.money(value * 100)
    if key.endswith(("share", "uplift")):
        return formats.share(value)
    return formats.count(value) if isinstance(value, int) else formats.number(value)


def _offer_text(offer: dict[str, Any], texts: Words, formats: Formats) -> str:
    return _offer_sentence(Offer.model_validate(offer), offer["name"] or offer["id"], texts, formats)
