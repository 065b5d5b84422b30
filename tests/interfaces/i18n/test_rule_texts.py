"""Rules, plans and findings in the reader's words."""

import json
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.commands.outreach.campaigns.plan_campaign import REASONS_LEFT_OUT
from patron.commands.outreach.journeys.journey_examples import EXAMPLES
from patron.commands.outreach.journeys.measure_journey import STILL_OPEN
from patron.commands.outreach.journeys.plan_journey import (
    BUDGET_ENDS,
    NO_HISTORY,
    NOBODY,
    NOT_REPLAYED,
    NOT_SET_UP,
    TOO_FEW,
)
from patron.engage.channels.email import SMTP_NOT_CONFIGURED
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.engagement_texts import EngagementTexts
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.rule_texts import RuleTexts
from patron.interfaces.i18n.translations import words
from patron.schema.common_sentences import CHANNEL_EXAMPLE
from patron.schema.errors import ChannelUnavailable
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
    english = [writer("en").sentence(condition) for condition in CONDITIONS]
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
    keys = [*(f"segment_field.{field_}" for field_ in FIELDS), *(f"state.{state}" for state in STATES)]
    keys += [*(f"step.{step}" for step in STEPS), *(f"left_out.{one}" for one in REASONS_LEFT_OUT)]
    keys += [f"{family}.{example}" for example in EXAMPLES for family in ("journey_example", "journey_about")]
    assert [key for key in keys if key not in texts] == []


FINDINGS = [
    NOT_REPLAYED,
    NOBODY,
    NO_HISTORY,
    TOO_FEW(days=30),
    STILL_OPEN(count=12),
    BUDGET_ENDS(share=0.4, cost=1_200, currency="USD"),
    NOT_SET_UP(
        what=ChannelUnavailable(SMTP_NOT_CONFIGURED, where="email", todo=CHANNEL_EXAMPLE(section="channels.email")).said
    ),
]


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda one: one.code)
def test_a_finding_is_in_the_readers_language(finding):
    english, chinese = (EngagementTexts(words(one), Formats(one, "USD", "UTC")) for one in ("en", "zh_CN"))
    kept = json.loads(json.dumps({"findings": [finding], "finding_texts": [finding.plain()]}))
    assert [unescape(one) for one in english.findings(kept)] == [finding]
    (shown,) = chinese.findings(kept)
    assert shown != finding
    assert "lang=" not in shown


def test_a_finding_that_was_kept_without_its_code_is_english_and_says_so():
    chinese = EngagementTexts(words("zh_CN"), Formats("zh_CN", "USD", "UTC"))
    assert chinese.findings({"findings": ["An old one."]}) == ['<span lang="en">An old one.</span>']
    assert chinese.findings({"findings": ["An old one."]}, "An old one.") == []


def test_a_finding_translates_what_the_channel_refused_too():
    chinese = EngagementTexts(words("zh_CN"), Formats("zh_CN", "USD", "UTC"))
    assert FINDINGS[-1].startswith("Nothing can be sent yet: email: no SMTP server is configured. `patron channels")
    assert "未配置 SMTP" in chinese.findings({"findings": [], "finding_texts": [FINDINGS[-1].plain()]})[0]
