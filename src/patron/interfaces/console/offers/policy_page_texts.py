"""Texts of the pages about offers and policy: terms and rules of an offer, options, and what a preview says."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.policy_texts import key_text, terms_code, value_text, word_text
from patron.interfaces.i18n.translations import Words
from patron.storage.offers.offer_policy import Offer

RULE_KEYS = (
    *("lifecycle_stages", "reasons", "least_value", "least_orders", "channels"),
    *("available_from", "available_until"),
)
NOTHING = {"customer_count": 0, "cost_cents": 0, "net_value_cents": 0}


def offer_terms(offer: Offer, texts: Words, formats: Formats) -> str:
    """What an offer takes off or credits."""
    shares = {"discount": offer.discount_share, "points": offer.points_share}
    return texts(
        f"offer_terms.{terms_code(offer)}",
        share=formats.share(shares.get(offer.kind, 0.0), 0),
        redeemed=formats.share(offer.redeemed_share, 0),
        amount=formats.money(offer.amount_off_cents),
        least=formats.money(offer.least_order_cents),
        order=formats.money(offer.cost_per_order_cents),
        free=formats.money(offer.delivery_free_from_cents),
    )


def offer_rules(offer: Offer, texts: Words, formats: Formats) -> list[str]:
    """Who gets an offer, and when."""
    values = offer.model_dump(mode="json")
    rules = [
        texts(
            "offers.rule",
            setting=key_text("offers", key, texts),
            value=value_text(key, values[key], texts, formats),
        )
        for key in RULE_KEYS
        if values[key]
    ]
    return [*rules, texts("offers.is_ordinary")] if offer.is_ordinary else rules


def policy_choices(key: str, codes: Iterable[str], texts: Words) -> list[tuple[str, str]]:
    """Options of a setting."""
    return [(code, word_text(key, code, texts)) for code in codes]


def preview_rows(preview: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Outcomes by offer, of the policy in force and of the proposal; their totals last, without an action."""
    today, new = ({row["action"]: row for row in preview[name]["offers"]} for name in ("today", "candidate"))
    for action in sorted({*today, *new}):
        yield {"action": action, "today": today.get(action, NOTHING), "new": new.get(action, NOTHING)}
    yield {"action": "", "today": preview["today"], "new": preview["candidate"]}


def preview_time(preview: Mapping[str, Any], name: str = "as_of") -> datetime:
    """A time of a preview."""
    return datetime.fromisoformat(preview[name])
