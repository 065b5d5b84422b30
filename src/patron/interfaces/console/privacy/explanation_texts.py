"""What the shop estimated of a customer and decided for them, in words for the customer."""

from collections.abc import Iterator, Mapping

from patron.answers.privacy.customer_explanation import CustomerExplanation
from patron.interfaces.console.customers.reason_texts import reason_sentence
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words

NO_OFFER = "none"


def explanation_sentences(
    explained: CustomerExplanation, offer_names: Mapping[str, str], words: Words, formats: Formats
) -> Iterator[str]:
    """The offer and why, the forecast and why, what it does not use, and what the customer can do."""
    yield from _offer(explained, offer_names, words)
    yield from _forecast(explained, words, formats)
    if explained.sensitive_traits:
        traits = words("list.joint").join(words.code("trait", trait) for trait in explained.sensitive_traits)
        yield words("explanation.traits", list=traits)
    if explained.has_group_thresholds:
        yield words("explanation.thresholds")
    yield words("explanation.object")


def _offer(explained: CustomerExplanation, offer_names: Mapping[str, str], words: Words) -> Iterator[str]:
    if explained.action is None:
        yield words("explanation.not_considered")
        return
    is_none = explained.action == NO_OFFER
    if is_none:
        yield words("explanation.no_offer")
    else:
        state = "offer_withdrawn" if explained.is_withdrawn else "offer_sent" if explained.is_sent else "offer"
        yield words(f"explanation.{state}", offer=words.offer(explained.action, offer_names))
    not_drawn = is_none and explained.reason == "exploring"
    yield words(f"explanation.decision.{'not_drawn' if not_drawn else explained.reason}")


def _forecast(explained: CustomerExplanation, words: Words, formats: Formats) -> Iterator[str]:
    if explained.is_likely_to_leave is None:
        yield words("explanation.unforecast")
    elif not explained.is_likely_to_leave:
        yield words("explanation.unlikely")
    else:
        yield words("explanation.likely")
        for reason in explained.reasons:
            yield words("explanation.because", reason=reason_sentence(reason, words, formats))
        if not explained.reasons:
            yield words("explanation.no_reason")
