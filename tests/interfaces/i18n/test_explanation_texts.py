"""What a customer reads about themselves says what was done, and no more, in both languages."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from patron.answers.privacy.customer_explanation import CustomerExplanation
from patron.decide.eligibility import REASONS
from patron.interfaces.console.privacy.explanation_texts import explanation_sentences
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words

CHOSEN = CustomerExplanation(
    customer_id="a",
    as_of=datetime(2025, 1, 1, tzinfo=UTC),
    is_likely_to_leave=True,
    reasons=(),
    action="ten",
    reason="best_net_value",
    is_sent=False,
    sensitive_traits=("age", "gender"),
    has_group_thresholds=True,
)


def sentences(explained, locale="en"):
    formats = Formats(locale, "USD", "UTC")
    return list(explanation_sentences(explained, {"ten": "Ten percent"}, words(locale), formats))


def test_an_offer_that_was_not_sent_is_chosen_and_not_received():
    assert sentences(CHOSEN)[0] == 'The shop chose the offer "Ten percent" for you.'
    assert sentences(replace(CHOSEN, is_sent=True))[0] == 'The shop sent you the offer "Ten percent".'
    assert sentences(replace(CHOSEN, is_withdrawn=True))[0].endswith("and withdrew it before it was sent.")
    assert not [sentence for sentence in sentences(CHOSEN) if "received" in sentence]


def test_who_was_not_considered_reads_nothing_about_others_or_about_leaving():
    listed = sentences(replace(CHOSEN, action=None, reason=None, is_likely_to_leave=False))
    assert listed[0] == "You were not among the customers considered for an offer this time."
    assert listed[1].startswith("The shop's forecast is that you will probably buy again")
    assert not [one for one in listed if "went to" in one or "stop buying" in one]


def test_what_is_maximised_is_the_shops_value_and_the_limit_may_be_more_than_one():
    assert "bring the shop more" in sentences(CHOSEN)[1]
    assert "worth more to you" not in " ".join(sentences(CHOSEN))
    assert "reached that limit" in sentences(replace(CHOSEN, action="none", reason="cap_reached"))[1]


def test_all_inputs_of_the_forecast_are_named_with_the_traits_that_are_none():
    [traits] = [sentence for sentence in sentences(CHOSEN) if "Age, Gender" in sentence]
    assert not [
        word
        for word in ("bought", "visits", "messages", "coupons", "reviews", "referred", "other details")
        if word not in traits
    ]
    assert not [sentence for sentence in sentences(replace(CHOSEN, sensitive_traits=())) if "none of these" in sentence]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence_in_which_the_shop_is_one_word(locale, reason):
    for action in ("ten", "none"):
        for likely in (True, False, None):
            explained = replace(CHOSEN, action=action, reason=reason, is_likely_to_leave=likely)
            text = " ".join(sentences(explained, locale))
            assert not re.search(r"[{}_]|explanation\.", text)
            assert not re.search("商店|网店", text)
