import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

import patron
from patron import clickstream
from patron.answers.segments.segments_overview import STABILITY_LEVELS
from patron.collect.validation import problem_message
from patron.decide.eligibility import OFFER_RULES, REASONS
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import MISSING, Formats
from patron.interfaces.i18n.refusal_texts import rejection_text
from patron.interfaces.i18n.translations import choose_locale, readable, words
from patron.predict import category_needs, contract_churn, message_response
from patron.predict.backtest import COVERAGE
from patron.predict.feature_matrix import ORDER_PROBABILITY
from patron.predict.learners import LEARNERS
from patron.predict.value.btyd_inputs import EXPECTED, INPUTS
from patron.recommenders.lists.exclusions import EXCLUSIONS
from patron.schema.data.dead_letter_reasons import REASONS as REJECTED_REASONS
from patron.schema.models.questions import TARGETS
from patron.schema.models.reason_codes import REASON_CODES
from patron.schema.outreach.message_states import MESSAGE_REASONS
from patron.schema.recommendation_reasons import RECOMMENDATION_REASONS
from patron.schema.tables import NEED_REASONS, RESPONSE_KINDS
from patron.service.recommendation_preview import NOT_IN_RUN
from patron.storage.offers.policy import Policy
from patron.storage.recommendations.recommendation_policy import SCENARIOS
from patron.understand.facts.cleaning import cleaning
from patron.understand.facts.interactions import KINDS
from patron.understand.facts.usable_events import Scope
from patron.understand.features import FEATURES
from patron.understand.persona_traits import TASTES
from patron.understand.persona_traits import TRAITS as PERSONA_TRAITS

POLICY = "storage/defaults/policy.toml"
SOURCE = Path(patron.__file__).parent / "interfaces"
OF_PARTS = (clickstream.LEARNERS, message_response.LEARNERS, contract_churn.LEARNERS)
ALL_LEARNERS = (*LEARNERS.values(), *OF_PARTS, *category_needs.LEARNERS.values())
CODES = {
    "feature": [
        *(feature.__name__ for feature in FEATURES),
        *INPUTS,
        *EXPECTED,
        ORDER_PROBABILITY,
    ],
    "kind": sorted(set(KINDS.values())),
    "message": list(MESSAGE_REASONS),
    "rejected": list(REJECTED_REASONS),
    "decision": list(REASONS | OFFER_RULES),
    "question": [target.name for target in TARGETS],
    "question_help": [target.name for target in TARGETS],
    "learner": [learner.name for learners in ALL_LEARNERS for learner in learners],
    "learner_help": [learner.name for learners in ALL_LEARNERS for learner in learners],
    "need": list(NEED_REASONS),
    "response": list(RESPONSE_KINDS),
    "metric": [COVERAGE, *(metric.name for target in TARGETS for metric in target.all_metrics)],
    "stage": ["new", "active", "at_risk", "lapsed", "reactivated"],
    "check": re.findall(r"'(\w+)' as check_code", cleaning(Scope(datetime(2017, 10, 1, tzinfo=UTC)))),
    "persona": [*TASTES, *(code for trait in PERSONA_TRAITS for code in (trait.high, trait.low) if code)],
    "persona_fact": [*TASTES, *(trait.feature for trait in PERSONA_TRAITS)],
    "exclusion": [*EXCLUSIONS, NOT_IN_RUN],
    "scenario": list(SCENARIOS),
    "recommendation": list(RECOMMENDATION_REASONS),
    "recommendation_shopper": list(RECOMMENDATION_REASONS),
    "stability": [code for _, code in STABILITY_LEVELS],
    "effect_source": ["assumed", "measured"],
    "churn_reason": [code.code for code in REASON_CODES],
    "churn_driver": [*(code.code for code in REASON_CODES), "none"],
    "churn_help": sorted({code.help for code in REASON_CODES}),
}


def used_keys() -> set[str]:
    """Keys written out in templates and code; the beginning of one, to which a template adds a code, is none."""
    pattern = re.compile(r"""\b(?:t|words|texts)\(\s*["']([a-z_]+\.[a-z_.0-9]+)["'](?!\s*~)""")
    files = [*SOURCE.rglob("*.html"), *SOURCE.rglob("*.py")]
    return {key for path in files for key in pattern.findall(path.read_text(encoding="utf-8"))}


SENTENCES = ("refusal.", "finding.", "rejection.", "doctor.")
"""Families of sentences whose English stands in the code: catalogues have translations only."""


def test_every_language_has_the_same_keys():
    chinese = {key for key in words("zh_CN").texts if not key.startswith(SENTENCES)}
    assert words("en").texts.keys() == chinese


@pytest.mark.parametrize(("locale", "name"), [("en", "Average of up to four models"), ("zh_CN", "最多四个模型的平均")])
def test_an_average_of_what_can_be_fitted_does_not_claim_all_four_models(locale, name):
    assert words(locale).code("learner", "averaged") == name


@pytest.mark.parametrize("locale", LOCALES)
def test_every_key_that_a_page_uses_has_a_text(locale):
    keys = used_keys()
    assert len(keys) > 100
    assert keys - words(locale).texts.keys() == set()


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("family", sorted(CODES))
def test_every_code_of_the_stages_has_a_name(locale, family):
    missing = [code for code in CODES[family] if f"{family}.{code}" not in words(locale).texts]
    assert missing == []


def test_both_languages_fill_in_the_same_values():
    def names(text):
        return [sorted(set(re.findall(r"{(\w+)}", form))) for form in ((text,) if isinstance(text, str) else text)]

    english, chinese = words("en").texts, words("zh_CN").texts
    assert [key for key in english if names(english[key])[-1] != names(chinese[key])[-1]] == []


def test_a_code_nobody_translated_is_made_readable():
    assert words("zh_CN").code("feature", "some_new_feature") == "Some new feature"
    assert readable("e-mail_cost") == "E mail cost"


def test_plurals_follow_the_language():
    assert words("en")("timeline.lines", n=1) == "1 line"
    assert words("en")("timeline.lines", n=2) == "2 lines"
    assert words("zh_CN")("timeline.lines", n=1) == "1 行明细"


@pytest.mark.parametrize(
    ("requested", "accepted", "chosen"),
    [("zh_CN", None, "zh_CN"), (None, "zh-TW,en;q=0.5", "zh_CN"), ("xx", "fr", "en"), (None, None, "en")],
)
def test_the_language_is_the_requested_or_accepted_one_or_english(requested, accepted, chosen):
    assert choose_locale(requested, accepted) == chosen


def test_money_is_written_in_the_shops_currency_and_the_readers_language():
    assert Formats("en", "EUR", "UTC").money(123456) == "€1,234.56"
    assert Formats("zh_CN", "CNY", "UTC").whole_money(123456) == "¥1,235"
    assert Formats("en", "USD", "UTC").whole_money(-123456) == "-$1,235"
    assert Formats("en", "USD", "UTC").money(None) == MISSING


@pytest.mark.parametrize("locale", LOCALES)
def test_a_level_of_a_feature_keeps_its_value_and_translates_its_name(locale):
    text = words(locale).feature("declared_household_size=2")
    assert words(locale).code("feature", "declared_household_size") in text
    assert text.endswith("2")
    assert "=" not in text
    assert words(locale).code("trait_value", "Homeowner") in words(locale).feature("declared_home_ownership=Homeowner")


@pytest.mark.parametrize("locale", LOCALES)
def test_every_part_of_a_segment_has_a_name(locale):
    text = words(locale).stratum("lapsed/deals_low/value_high")
    assert text.count(words(locale)("list.joint")) == 2
    assert "_" not in text
    assert "/" not in text


def test_large_amounts_are_short_in_the_readers_own_units():
    english, chinese = Formats("en", "USD", "UTC"), Formats("zh_CN", "USD", "UTC")
    assert [english.short_money(cents) for cents in (123_400, 121_234_500)] == ["$1.2K", "$1.2M"]
    assert english.short_money(67_392.85078424713) == "$674", "no digits of a float"
    assert [chinese.short_money(cents) for cents in (123_400, 121_234_500)] == ["US$1,234", "US$121.2万"]


@pytest.mark.parametrize(
    ("cents", "text"), [(311_096.644, "US$3,111"), (999_999.4, "US$10,000"), (481_867.65, "US$4,819")]
)
def test_an_amount_that_chinese_does_not_shorten_has_no_digits_of_a_float(cents, text):
    assert Formats("zh_CN", "USD", "UTC").short_money(cents) == text


def test_what_rounds_to_zero_has_no_minus():
    assert Formats("en", "USD", "UTC").number(-0.0001, 3) == "0.000"
    assert Formats("en", "USD", "UTC").share(-0.0001) == "0.0%"
    assert Formats("en", "USD", "UTC").money(-0.4) == "$0.00"
    assert Formats("en", "USD", "UTC").money(-0.6) == "-$0.01"
    assert Formats("en", "JPY", "UTC").money(-40) == "¥0"


def test_who_is_likely_to_leave_is_called_the_same_everywhere():
    assert [words("en").code("stage", code) for code in ("at_risk", "lapsed")] == ["At risk", "Lapsed"]
    assert [words("zh_CN").code("stage", code) for code in ("at_risk", "lapsed")] == ["有流失风险", "已流失"]
    for key in (*(f"summary.risk_{end}" for end in ("same", "more", "fewer", "alone")), "kpi.at_risk"):
        for locale, name in (("en", "at risk"), ("zh_CN", "有流失风险")):
            text = words(locale).texts[key]
            forms = (text,) if isinstance(text, str) else text
            assert [form for form in forms if name not in form] == [], key


def test_who_is_overdue_by_their_rhythm_alone_is_not_called_lost():
    for locale, leaving in (("en", ("at risk", "leav", "lapsed")), ("zh_CN", ("已流失", "流失风险"))):
        assert [form for form in words(locale).texts["summary.overdue"] for word in leaving if word in form] == []


@pytest.mark.parametrize("reason", [reason for reason in REJECTED_REASONS if reason != "bad_event"])
def test_the_message_of_a_rejected_row_is_in_the_readers_language(reason):
    _, message = problem_message(f"{reason}:XXX")
    assert unescape(rejection_text(reason, message, words("en"))) == message
    chinese = rejection_text(reason, message, words("zh_CN"))
    assert chinese != message
    assert ("XXX" in chinese) == ("XXX" in message)


def test_an_offer_that_the_shop_did_not_name_has_a_name_in_every_language():
    packaged = {offer.id: offer.name for offer in Policy.load(Path(patron.__file__).parent / POLICY).offers}
    assert [words("en").offer(one, packaged) for one in packaged] == list(packaged.values())
    assert [words("zh_CN").offer(one, packaged) for one in packaged] == ["下单享 9 折", "下单享 8 折"]
    assert words("zh_CN").offer("ten_percent", {"ten_percent": "Zehn Prozent"}) == "Zehn Prozent"
