"""Sentences about decisions: why one was taken, what more budget would have earned, and what is randomised."""

from collections.abc import Iterator, Mapping

from patron.answers.offers.decision_ledger import DecisionDetail
from patron.answers.offers.offer_results import Exploration
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.storage.offers.deliveries import Delivery

UNIT_CENTS = 100


def exploration_sentence(exploration: Exploration, words: Words, formats: Formats) -> str:
    """How many actions the run randomised to learn what offers cause, and what that costs."""
    return words(
        "decisions.exploring",
        n=exploration.customer_count,
        count=formats.count(exploration.customer_count),
        offers=formats.count(exploration.offer_count),
        cost=formats.money(exploration.offer_cost_cents),
        given_up=formats.money(exploration.given_up_cents),
    )


def delivery_sentence(delivery: Delivery, words: Words, formats: Formats) -> str:
    """What became of the offers that a run handed over, and what to do next."""
    code = "delivery." + "_".join(filter(None, (delivery.state, delivery.evidence)))
    at, until = (formats.time(time) if time else "" for time in (delivery.changed_at, delivery.reserved_until))
    return words(code, name=delivery.changed_by, at=at, until=until, campaign=delivery.campaign)


def decision_sentences(
    decision: DecisionDetail, offer_names: Mapping[str, str], words: Words, formats: Formats
) -> Iterator[str]:
    """The decision in words, the most important first."""
    yield words(
        "ledger.decided",
        offer=words.offer(decision.action, offer_names),
        reason=words.code("decision", decision.reason),
    )
    if decision.delivery:
        yield delivery_sentence(decision.delivery, words, formats)
    if decision.budget_price is None:
        yield words("ledger.older")
    elif decision.budget_price > 0:
        earned = formats.money(decision.budget_price * UNIT_CENTS)
        yield words("ledger.budget_price", unit=formats.money(UNIT_CENTS), earned=earned)
    else:
        yield words("ledger.budget_slack")
