"""A customer in a few sentences: history, rhythm, what comes next, and what is at stake."""

from collections.abc import Iterator

from patron.answers.customers.customer_profile import CustomerSummary
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.models.questions import CHURN, VALUE


def portrait_sentences(card: CustomerSummary, words: Words, formats: Formats) -> Iterator[str]:
    """Sentences about one customer, those without facts left out."""
    if not card.order_count or card.first_order_at is None:
        yield words("portrait.no_order", date=formats.date(card.first_event_at))
        return
    yield words(
        "portrait.history",
        n=card.order_count,
        count=formats.count(card.order_count),
        date=formats.date(card.first_order_at),
        paid=formats.money(card.paid_cents),
    )
    if card.refunded_cents:
        gross = card.paid_cents + card.refunded_cents
        share = formats.share(card.refunded_cents / gross, 0) if gross > 0 else formats.share(1, 0)
        yield words("portrait.refunds", refunded=formats.money(card.refunded_cents), share=share)
    yield from _last_order(card, words, formats)
    if card.needs:
        yield words("portrait.need", category=card.needs[0].category, share=formats.share(card.needs[0].probability, 0))
    for score in card.scores:
        value = formats.by_unit(score.unit, score.value)
        if score.question == VALUE.name and score.low is not None and score.high is not None:
            low, high = (formats.by_unit(score.unit, one) for one in (score.low, score.high))
            yield words("portrait.value_interval", value=value, low=low, high=high)
        elif score.question == VALUE.name:
            yield words("portrait.value", value=value)
        elif score.question == CHURN.name:
            yield words("portrait.churn", share=formats.share(score.value, 0))


def _last_order(card: CustomerSummary, words: Words, formats: Formats) -> Iterator[str]:
    days = card.days_since_last_order or 0
    usual = next((need.usual_gap_days for need in card.needs if need.usual_gap_days), None)
    if card.next_order and card.next_order.likely_by:
        next_by = formats.date(card.next_order.likely_by)
        yield words("portrait.last_and_next", n=days, days=formats.count(days), date=next_by)
    else:
        yield words("portrait.last", n=days, days=formats.count(days))
    if usual:
        gap = round(usual)
        yield words("portrait.rhythm", n=gap, days=formats.count(gap), category=_category_of(card))


def _category_of(card: CustomerSummary) -> str:
    return next(need.category for need in card.needs if need.usual_gap_days)
