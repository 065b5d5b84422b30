"""The brief in words: every sentence, in both languages, with the money and the signs that it is about."""

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from patron.answers.insight.brief import (
    MAX_LINES,
    Brief,
    Change,
    OfferEarnings,
    OpenQuestion,
    WrongForecast,
)
from patron.answers.models.forecast_ledger import ForecastEntry
from patron.answers.offers.offer_results import Exploration
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.interfaces.report.brief_sentences import brief_parts

NOW, BEFORE = datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
LOCALES = ("en", "zh_CN")
EMPTY = Brief("A shop", "r", NOW, None, None, (), (), (), 0)
EARNED = OfferEarnings(1_000, 150.0, 150_000.0, 50_000.0, 250_000.0, False, BEFORE, NOW)
NAME = "A reminder of what the customer usually buys in this shop"
CHANGES = ("data_alarm", "send_offers", "raise_budget", "ask_consent", "stop_offer", "no_offer_pays", "watch_list")
CAUSES = ("fewer_customers", "more_customers", "smaller_orders", "larger_orders", "data_changed", "top_decile")
ENTRY = ForecastEntry("value", BEFORE, NOW, 900, 12_000.0, 10_000.0, 0.2, 0.12, 0.28, 1.0, 1.0, 0.8, 10, 0.3)


def change(code, **columns):
    return Change(code, 1_234, 56_700.0, 8_900.0, **({"is_assumed": False, "link": "/x", "offer": "gift"} | columns))


def lines(brief, code, locale="en"):
    parts = brief_parts(brief, {"gift": NAME}, words(locale), Formats(locale, "USD", "UTC"))
    assert [part.code for part in parts] == ["earned", "changes", "open", "forecasts"]
    assert all(part.title and part.lines for part in parts)
    return [line.text for line in next(part for part in parts if part.code == code).lines]


def sentence(brief, code, locale="en"):
    (text,) = lines(brief, code, locale)
    return text


def test_what_was_earned_says_the_sign_once():
    more = sentence(replace(EMPTY, earnings=EARNED), "earned")
    assert all(part in more for part in ("1,000 offers", "$1,500 more", "$500 to $2,500", "$1.50 each"))
    lost = replace(EARNED, net_cents=-150.0, total_cents=-150_000.0, total_low=-250_000.0, total_high=-50_000.0)
    less = sentence(replace(EMPTY, earnings=lost), "earned")
    assert "lost $1,500" in less
    assert "$500 to $2,500" in less
    unclear = replace(lost, total_high=50_000.0)
    either = sentence(replace(EMPTY, earnings=unclear), "earned")
    assert "$1,500 after all costs" in either
    assert "earned $" not in either  # the sign stands before the amount
    assert "may be chance" in either


def test_a_placebo_is_a_difference_an_offer_and_earned_nothing():
    text = sentence(replace(EMPTY, earnings=replace(EARNED, is_placebo=True)), "earned")
    assert all(part in text for part in ("nothing was earned", "$1.50 an offer", "$0.50 to $2.50"))


def test_exploration_follows_what_was_earned():
    explored = replace(EMPTY, exploration=Exploration(12, 7, 345.0, 99.0))
    said = lines(explored, "earned")[1]
    assert "randomised the actions of 12 customers; 7 of them get an offer, at an expected cost of $3.45" in said
    assert "gives up an expected $0.99" in said


@pytest.mark.parametrize("code", CHANGES)
def test_a_change_says_what_it_is_worth(code):
    text = sentence(replace(EMPTY, changes=(change(code),)), "changes")
    assert "1,234" in text
    assert ("$567" in text) == (code in {"send_offers", "raise_budget", "ask_consent", "stop_offer"})
    assert ("$89" in text) == (code in {"send_offers", "raise_budget", "watch_list"})
    assumed = sentence(replace(EMPTY, changes=(change(code, is_assumed=True),)), "changes")
    assert assumed == f"{text} The effect is assumed, not measured."


def test_a_change_without_a_value_assumes_nothing():
    one = replace(change("no_offer_pays", is_assumed=True), value_cents=None)
    assert "assumed" not in sentence(replace(EMPTY, changes=(one,)), "changes")


def test_an_open_question_says_what_would_tell():
    never = OpenQuestion("gift", None, None, None, 0, None, None)
    plan = OpenQuestion("gift", 45.0, -55.0, 145.0, 300, 2_900, 520)
    found = {
        "plan": sentence(replace(EMPTY, open_questions=(plan,)), "open"),
        "too_long": sentence(replace(EMPTY, open_questions=(replace(plan, days=None),)), "open"),
        "even": sentence(replace(EMPTY, open_questions=(replace(plan, needed_count=None, days=None),)), "open"),
        "never": sentence(replace(EMPTY, open_questions=(never,)), "open"),
    }
    assert all(NAME in text for text in found.values())
    assert all(part in found["plan"] for part in ("$0.45 an offer after costs", "2,900", "520 more days"))
    assert "more than two years" in found["too_long"]
    assert "about what it costs" in found["even"]
    assert "never measured" in found["never"]


def test_a_wrong_forecast_says_how_far_and_which_way():
    high = sentence(replace(EMPTY, wrong_forecasts=(WrongForecast(ENTRY, ()),)), "forecasts")
    assert all(part in high for part in ("$120.00", "$100.00", "20% too high", "12% to 28%"))
    under = replace(ENTRY, question="churn", forecast_mean=0.08, actual_mean=0.1)
    under = replace(under, bias_share=-0.2, bias_low=-0.28, bias_high=-0.12)
    low = sentence(replace(EMPTY, wrong_forecasts=(WrongForecast(under, ()),)), "forecasts")
    assert all(part in low for part in ("8.0%", "10.0%", "20% too low", "12% to 28%"))


def test_right_forecasts_are_those_that_came_due():
    assert "No forecast" in sentence(EMPTY, "forecasts")
    assert "5 questions" in sentence(replace(EMPTY, checked_count=5), "forecasts")
    assert "forecast that came due was less" in sentence(replace(EMPTY, checked_count=1), "forecasts")


@pytest.mark.parametrize("locale", LOCALES)
def test_every_cause_has_a_sentence(locale):
    plain = sentence(replace(EMPTY, wrong_forecasts=(WrongForecast(ENTRY, ()),)), "forecasts", locale)
    found = {
        cause: sentence(replace(EMPTY, wrong_forecasts=(WrongForecast(ENTRY, (cause,)),)), "forecasts", locale)
        for cause in CAUSES
    }
    assert len(set(found.values())) == len(CAUSES)
    assert all(text.startswith(plain) and "brief." not in text for text in found.values())


@pytest.mark.parametrize("locale", LOCALES)
def test_the_longest_brief_fits_on_a_page(locale):
    questions = (OpenQuestion("gift", -45.0, -1_055.0, 1_145.0, 98_765, 9_876_543, None),) * MAX_LINES
    wrong = (WrongForecast(ENTRY, ("smaller_orders", "top_decile", "data_changed")),) * MAX_LINES
    dearest = tuple(change(code, is_assumed=True) for code in ("data_alarm", "raise_budget", "send_offers"))
    whole = Brief(
        "A shop", "r", NOW, EARNED, Exploration(12_345, 6_789, 67_890.0, 12_345.0), dearest, questions, wrong, 5
    )
    parts = brief_parts(whole, {"gift": NAME}, words(locale), Formats(locale, "USD", "UTC"))
    count = 1
    for part in parts:
        count += 2  # an empty line and the title
        for line in part.lines:
            width = 2 + sum(2 if unicodedata.east_asian_width(letter) in "FW" else 1 for letter in line.text)
            count += -(-width // 96)  # words do not break: a line of 100 is not full
    assert count <= 40
