"""Rules from files: what is read back is what was written, and everything wrong is named at once."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.shops.segment_shop import NESTED

from patron.schema.errors import BadSegment
from patron.segments.segment_fields import FIELDS
from patron.segments.segment_parser import MAX_CONDITIONS, MAX_DEPTH, parse_rule
from patron.segments.segment_rules import KnownNames, TagRule, rule_content

KNOWN = KnownNames(FIELDS, frozenset({"income"}), frozenset({"Order Completed"}), frozenset({"buyers"}))


@given(rule=NESTED)
def test_a_rule_survives_json(rule):
    assert parse_rule(json.loads(json.dumps(rule_content(rule)))) == rule


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["all", "any", "not", "field", "op", "value", "trait", "consent", "is", "bought", "event", "tag"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=10,
)


@given(content=JSON)
def test_any_content_is_a_rule_or_refused(content):
    with suppress(BadSegment):
        rule = parse_rule(content, KNOWN)
        assert parse_rule(rule_content(rule), KNOWN) == rule


WRONG = {
    "field": [{"field": "value_decil", "op": ">", "value": 3}, "no field 'value_decil'. Did you mean value_decile?"],
    "choice": [{"field": "lifecycle_stage", "op": "==", "value": "laps"}, "lifecycle_stage is never 'laps'"],
    "kind": [{"evnt": "x"}, "evnt is not a valid condition. Did you mean event?"],
    "op": [{"field": "value", "op": "~", "value": 1}, "op must be one of"],
    "text": [{"field": "value", "op": "==", "value": "high"}, "value is a number (got 'high')"],
    "order": [{"field": "persona", "op": "<", "value": "x"}, "< compares numbers"],
    "ends": [{"field": "value", "op": "between", "value": [1]}, "must be its two ends"],
    "infinite": [{"field": "value", "op": ">", "value": float("inf")}, "must be a finite number"],
    "window": [{"event": "Order Completed", "within_days": 0}, "within_days must be a whole number from 1"],
    "event": [{"event": "Order Complete"}, "Did you mean Order Completed?"],
    "trait": [{"trait": "incom", "op": "==", "value": "1"}, "Did you mean income?"],
    "bought": [{"bought": {"categry": "x"}}, "Did you mean category?"],
    "consent": [{"consent": "marketing", "is": "yes"}, "is must be one of granted, withdrawn, unknown"],
    "segment": [{"segment": "buyer"}, "Did you mean buyers?"],
    "tag": [{"tag": []}, "must be a text, or a list of 1 to"],
    "blank": [{"tag": ["VIP", "  "]}, "a tag is not blank"],
    "two": [{"all": [], "any": []}, "has all and any"],
    "key": [{"segment": "buyers", "least": 2}, "segment takes no least"],
}


def test_a_tag_is_read_as_it_is_kept_whether_it_is_in_use_or_not():
    """Staff write a tag with blanks or in decomposed characters; both are the tag of the list."""
    assert parse_rule({"tag": " caf\u0065\u0301   club"}, KNOWN) == TagRule(("caf\u00e9 club",))
    assert rule_content(parse_rule({"tag": ["VIP", "press", "VIP "]}, KNOWN)) == {"tag": ["VIP", "press"]}


def test_values_that_no_database_takes_are_refused():
    for value in (10**400, -(10**400), float("nan"), "\ud800", "a\0b"):
        with pytest.raises(BadSegment):
            parse_rule({"trait": "city", "op": "==", "value": value})
    with pytest.raises(BadSegment):
        parse_rule({"event": "\udfff"})


def test_all_problems_are_named_at_once_each_with_its_place():
    with pytest.raises(BadSegment) as refusal:
        parse_rule({"all": [content for content, _ in WRONG.values()]}, KNOWN)
    for place, (_, problem) in enumerate(WRONG.values(), 1):
        assert problem in refusal.value.what
        assert f"rule.all[{place}]" in refusal.value.what


def test_depth_and_size_are_bounded():
    deep = {"all": []}
    for _ in range(MAX_DEPTH):
        deep = {"not": deep}
    with pytest.raises(BadSegment, match=f"at most {MAX_DEPTH} deep"):
        parse_rule(deep)
    with pytest.raises(BadSegment, match=f"at most {MAX_CONDITIONS} conditions") as refusal:
        parse_rule({"all": [{"all": []}] * 100_000})
    assert refusal.value.what.count(";") == 0
