"""Sentences about one decision: why it was taken, and what the next unit of budget would have earned."""

from collections.abc import Iterator, Mapping

from patron.answers.offers.decision_ledger import DecisionDetail
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

UNIT_CENTS = 100


def decision_sentences(
    decision: DecisionDetail, offer_names: Mapping[str, str], words: Words, formats: Formats
) -> Iterator[str]:
    """The decision in words, the most important first."""
    yield words(
        "ledger.decided",
        offer=words.offer(decision.action, offer_names),
        reason=words.code("decision", decision.reason),
    )
    if decision.withdrawal:
        by = decision.withdrawal
        yield words("summary.withdrawn", name=by.withdrawn_by, at=formats.time(by.withdrawn_at))
    if decision.budget_price is None:
        yield words("ledger.older")
    elif decision.budget_price > 0:
        earned = formats.money(decision.budget_price * UNIT_CENTS)
        yield words("ledger.budget_price", unit=formats.money(UNIT_CENTS), earned=earned)
    else:
        yield words("ledger.budget_slack")
