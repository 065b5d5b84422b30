"""Facts about personas in words: what is usual in a persona, next to the shop's usual."""

from patron.answers.segments.segments_overview import PersonaTrait
from patron.interfaces.i18n.formats import MISSING, Formats
from patron.interfaces.i18n.translations import Words

EXACT_BELOW_CENTS = 10_000
"""Amounts below this are written with their minor units: they are prices rather than totals."""


def persona_fact(trait: PersonaTrait, words: Words, formats: Formats) -> str:
    """One trait as a phrase: `70% of orders with a coupon (shop: 12%)`."""
    value, shop = (_amount(trait.unit, amount, formats) for amount in (trait.persona_value, trait.shop_value))
    level = "" if trait.level is None else words.level(trait.trait, trait.level)
    return words(f"persona_fact.{trait.trait}", value=value, shop=shop, level=level)


def _amount(unit: str, value: float, formats: Formats) -> str:
    match unit:
        case "money":
            return formats.money(value) if abs(value) < EXACT_BELOW_CENTS else formats.whole_money(value)
        case "share":
            return formats.share(value, 0)
        case "days" | "count":
            return formats.count(value)
        case "number":
            return formats.number(value, 1 if value >= 10 else 2)
        case "hour":
            hours, halves = divmod(round(value * 2), 2)
            return f"{hours % 24:02d}:{halves * 30:02d}"
    return MISSING
