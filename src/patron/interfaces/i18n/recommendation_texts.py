"""Why a product is recommended, in the reader's language: to the shopper, or to people who look after customers."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, Protocol

from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

Reader = Literal["recommendation", "recommendation_shopper"]
"""Whom a sentence speaks to: a manager about the customer, or the shopper."""
STAFF: Reader = "recommendation"
SHOPPER: Reader = "recommendation_shopper"
TODAY_DAYS, LONG_AGO_DAYS = 1.0, 365.0
MOMENT = timedelta(seconds=1)
"""A promotion that is over at midnight lasts until the day before."""
TOO_FEW = "no_candidate"
"""Of a short list: how many candidates fewer than places there were."""


class RecommendationFacts(Protocol):
    """A reason with its facts."""

    @property
    def code(self) -> str:
        """Reason code."""
        ...

    @property
    def product_name(self) -> str | None:
        """Name of the other product that it is about."""
        ...

    @property
    def days_since(self) -> float | None:
        """Days since the customer last bought the product."""
        ...

    @property
    def usual_days(self) -> float | None:
        """Days between the customer's purchases of it."""
        ...

    @property
    def offer_starts_at(self) -> datetime | None:
        """When the promotion that it is about starts; none once it runs."""
        ...

    @property
    def offer_ends_at(self) -> datetime | None:
        """When it is over."""
        ...


def recommendation_sentence(reason: RecommendationFacts, words: Words, formats: Formats, reader: Reader = STAFF) -> str:
    """One reason as a sentence with its fact; a product without a name has its kind of reason alone."""
    if reason.code == "buy_again" and (reason.days_since is None or reason.days_since > LONG_AGO_DAYS):
        return words(f"{reader}.bought_before")
    if reason.code == "buy_again":
        since, usual = reason.days_since or 0.0, reason.usual_days
        key = f"{reader}.{'buy_again' if usual is not None and usual >= TODAY_DAYS else 'bought'}"
        key += ".today" if since < TODAY_DAYS else ""
        return words(key, usual=_days(usual or 0.0, words), days=_days(since, words))
    if reason.code == "on_offer" and reason.offer_starts_at:
        return words(f"{reader}.on_offer.coming", **_date(reason.offer_starts_at, formats))
    if reason.code == "on_offer" and reason.offer_ends_at:
        return words(f"{reader}.on_offer", **_date(reason.offer_ends_at - MOMENT, formats))
    code = reason.code
    if not reason.product_name and code.startswith(("goes_with", "replaces")):
        code = "replaces_something" if code == "replaces" else "goes_with_something"
    return words(f"{reader}.{code}", product=reason.product_name)


def short_sentence(why_short: Mapping[str, int], words: Words, formats: Formats) -> str:
    """What left places of a list empty, most products first; nothing where that is not known."""
    rules = sorted((count, name) for name, count in why_short.items() if name != TOO_FEW)
    parts = [
        words("short_list.rule", reason=words.code("exclusion", name), count=formats.count(count))
        for count, name in reversed(rules)
    ]
    sentences = [words("short_list.rules", rules=words("list.joint").join(parts))] if parts else []
    if why_short.get(TOO_FEW):
        sentences.append(words("short_list.too_few"))
    return words("list.space").join(sentences)


def _date(moment: datetime, formats: Formats) -> dict[str, str]:
    return {"weekday": formats.weekday(moment), "day": formats.short_date(moment)}


def _days(days: float, words: Words) -> str:
    count = max(round(days), 1)
    return words("recommendation.days", n=count, count=count)
