"""Model cards are sentences in the reader's language, from the codes and numbers that the registry keeps."""

import re
from dataclasses import replace

import pytest

from patron.answers.models.models import Backtest, Question
from patron.interfaces.console.models.model_cards import card_rows, settings_of
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words

CARD = {
    "question": "Spend in the next 90 days.",
    "unit": "cents",
    "learner": "boosted_spend",
    "description": "LightGBM.",
    "settings": "trees = {'leaf_penalty': 10.0}, cap = 0.99",
    "why": "boosted_spend has the best.",
    "best_baseline": "last_90_days",
    "cutoffs": "2017-04-01, 2017-07-01",
    "training_rows": "5800",
    "training_until": "2017-10-01T00:00:00+00:00",
    "interval_coverage": "0.7912",
}
NAMES = ("RMSE", "LightGBM", "Tweedie", "BTYD", "Brier")
"""Names that both languages share."""


def row(learner: str, value: float, gain: float) -> Backtest:
    numbers = {"low": None, "high": None, "gain": gain, "gain_low": None, "gain_high": None, "customer_count": 9}
    return Backtest(
        "value",
        "all",
        learner,
        "boosted_spend",
        "rmse",
        value,
        baseline="last_90_days",
        baseline_value=60_000.0,
        **numbers,
    )


def question(
    *rows: Backtest, champion: str = "boosted_spend", default: str | None = "stacked_spend", **card: str
) -> Question:
    return Question(
        question="value",
        unit="money",
        champion=champion,
        model_version="value/1",
        scored_count=9,
        primary_metric=(),
        default=default,
        board=rows,
        learners=rows,
        origins=(),
        checks=(),
        spread=None,
        card=CARD | card,
    )


BOOSTED, BETTER = row("boosted_spend", 50_000.0, 10_000.0), row("stacked_spend", 49_900.0, 10_100.0)
BASELINE = row("last_90_days", 60_000.0, 0.0)
CASES = {
    "no longer asked": (question(BOOSTED, BASELINE, default=None), ("$500", "$600")),
    "default": (question(BOOSTED, BETTER, BASELINE, default="boosted_spend"), ("$500", "$600")),
    "better than the default": (question(BOOSTED, BASELINE), ("$500", "$600")),
    "baseline": (question(BASELINE, champion="last_90_days"), ("$600",)),
    "unproven": (question(), ()),
}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("case", CASES)
def test_every_entry_is_in_the_readers_language(locale, case):
    of, amounts = CASES[case]
    rows = {entry.name: entry for entry in card_rows(of, words(locale), Formats(locale, "USD", "UTC"))}
    texts = words(locale)
    assert rows.keys() == {
        texts(f"card.{key}")
        for key in (
            "learner",
            "description",
            "why",
            "settings",
            "best_baseline",
            "cutoffs",
            "training",
            "limits",
            "reproducible",
        )
    }
    why = rows[texts("card.why")].text
    assert all(amount in why for amount in amounts)
    assert "79%" in rows[texts("card.limits")].text
    assert "5,800" in rows[texts("card.training")].text
    shown = " ".join(entry.name + entry.text for entry in rows.values())
    for name in NAMES:
        shown = shown.replace(name, "")
    assert locale == "en" or not re.search(r"[a-z]{3,}", shown)


def test_what_a_library_reported_is_marked_as_english():
    of = replace(question(BOOSTED), card=CARD | {"left_out": "ziln could not be fitted at 2017-04-01: too few rows"})
    entry = card_rows(of, words("zh_CN"), Formats("zh_CN", "USD", "UTC"))[-1]
    assert (entry.is_english, entry.text) == (True, of.card["left_out"])


def test_settings_of_a_model_card_are_read_one_by_one():
    assert settings_of("trees = {'leaf_penalty': 10.0}, cap = 0.99") == (("leaf penalty", "10.0"), ("cap", "0.99"))
    assert settings_of("none") == ()
    assert settings_of("open(1)") == ()


@pytest.mark.parametrize(
    ("locale", "text"), [("en", "5,800 events of past visits"), ("zh_CN", "历史访问中的 5,800 个事件")]
)
def test_a_model_of_visits_was_fitted_to_events_and_not_to_customers(locale, text):
    rows = card_rows(replace(question(BOOSTED), is_live=True), words(locale), Formats(locale, "USD", "UTC"))
    assert any(text in one.text for one in rows)
