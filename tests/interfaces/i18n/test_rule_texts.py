"""Rules, plans and findings in the reader's words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.commands.outreach.campaigns.plan_campaign import REASONS_LEFT_OUT
from patron.commands.outreach.journeys.journey_examples import EXAMPLES
from patron.commands.outreach.journeys.plan_journey import NO_HISTORY, NOBODY, NOT_REPLAYED, TOO_FEW
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.engagement_texts import EngagementTexts
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.rule_texts import RuleTexts
from patron.interfaces.i18n.translations import words
from patron.segments.segment_fields import FIELDS
from patron.segments.segment_parser import parse_rule
from patron.segments.segment_rules import rule_content
from patron.storage.outreach.versioned_drafts import STATES, STEPS

UNITS = {name: one.unit for name, one in FIELDS.items() if one.unit}
CONDITIONS = [
    {"field": "value", "op": "between", "value": [10_000, 50_000]},
    {"field": "churn_probability", "op": ">=", "value": 0.4},
    {"field": "lifecycle_stage", "op": "in", "value": ["at_risk", "lapsed"]},
    {"field": "is_order_due", "op": "==", "value": True},
    {"trait": "loyalty_tier", "op": "is_null", "value": False},
    {"consent": "marketing", "is": "granted"},
    {"bought": {"category": ["Tea", "Coffee"]}, "within_days": 180, "least": 2},
    {"event": "Product Viewed", "within_days": 1},
    {"tag": ["VIP", "press"]},
    {"segment": "others"},
]
RULES = st.recursive(
    st.sampled_from(CONDITIONS),
    lambda part: st.one_of(
        st.lists(part, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(part, max_size=3).map(lambda parts: {"any": parts}),
        part.map(lambda inside: {"not": inside}),
    ),
    max_leaves=6,
)


def writer(locale: str) -> RuleTexts:
    return RuleTexts(words(locale), Formats(locale, "USD", "UTC"), UNITS)


def test_conditions_read_as_sentences():
    english = [writer("en").sentence(one) for one in CONDITIONS]
    assert english[:3] == [
        "Expected revenue, 90 days is between $100.00 and $500.00",
        "Churn probability, 90 days is at least 40%",
        "Lifecycle stage is one of: At risk, Lapsed",
    ]
    assert english[6] == "Bought category Tea or Coffee, at least 2 times, in the last 180 days"
    assert english[8] == "Has the tag VIP or press"
    assert writer("zh_CN").sentence({"tag": "VIP"}) == "有标签 VIP"
    assert writer("zh_CN").sentence(CONDITIONS[1]) == "未来 90 天流失概率不低于 40%"
    assert writer("en").sentence({"not": {"any": CONDITIONS[:2]}}).startswith("None of these holds: ")


@settings(max_examples=60, deadline=None)
@given(RULES, RULES)
def test_a_rule_has_changes_if_and_only_if_it_reads_differently(before, after):
    for rule in (before, after):
        assert rule_content(parse_rule(rule)) == rule
    for locale in LOCALES:
        write = writer(locale)
        changes = write.changes(before, after)
        assert write.changes(before, before) == ()
        if write.sentence(before) != write.sentence(after):
            assert changes
        for _, old, new in changes:
            assert old != new


@pytest.mark.parametrize("locale", LOCALES)
def test_codes_of_campaigns_and_journeys_have_names(locale):
    texts = words(locale).texts
    keys = [*(f"segment_field.{one}" for one in FIELDS), *(f"state.{one}" for one in STATES)]
    keys += [*(f"step.{one}" for one in STEPS), *(f"left_out.{one}" for one in REASONS_LEFT_OUT)]
    keys += [f"{family}.{one}" for one in EXAMPLES for family in ("journey_example", "journey_about")]
    assert [key for key in keys if key not in texts] == []


@pytest.mark.parametrize(
    "sentence",
    [
        NOT_REPLAYED,
        NOBODY,
        NO_HISTORY,
        TOO_FEW.format(30),
        "12 customers do not count yet: the days in which their orders count are not over.",
        "The budget ends after 40% of a month's messages: they are expected to cost 1,200.00 USD.",
        "Nothing can be sent yet: email: no SMTP server is configured",
    ],
)
def test_a_finding_is_in_the_readers_language(sentence):
    english, chinese = (EngagementTexts(words(one), Formats(one, "USD", "UTC")) for one in ("en", "zh_CN"))
    assert english.finding(sentence) == sentence
    assert chinese.finding(sentence) != sentence
    assert chinese.finding("Some other finding.") == "Some other finding."


def test_a_finding_translates_what_the_channel_refused_too():
    refused = "email: no SMTP server is configured. `patron channels --example` prints the section [channels.email] "
    chinese = EngagementTexts(words("zh_CN"), Formats("zh_CN", "USD", "UTC"))
    assert "尚未配置 SMTP" in chinese.finding(f"Nothing can be sent yet: {refused}for patron.toml.")
