"""The policy's form: every key of policy.toml is in it, and what a changed field becomes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patron.interfaces.console.offers.policy_form import KEPT, policy_form, requested_changes
from patron.interfaces.console.offers.policy_notation import read_value, write_value
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.translations import words
from patron.storage.offers.offer_policy import Offer
from patron.storage.offers.policy import Policy
from patron.storage.toml_edit import set_values
from patron.storage.workspace.workspace_files import POLICY_FILE

DELIVERY = {"id": "ship", "kind": "free_delivery", "cost_per_order_cents": 450, "assumed_purchase_uplift": 0.1}
REMINDER = {"id": "nudge", "kind": "reminder", "assumed_purchase_uplift": 0.1}
OF_EVERY_KIND = (
    *({"id": "cut", "discount_share": 0.1}, {"id": "coupon", "kind": "coupon", "amount_off": 5}),
    *(
        {"id": "points", "kind": "points", "points_share": 0.1},
        {"id": "call", "kind": "call", "contact_cost_cents": 300},
    ),
)
WHOLE = Policy.model_validate(
    {
        "offers": [DELIVERY, REMINDER, *(one | {"assumed_purchase_uplift": 0.1} for one in OF_EVERY_KIND)],
        "consent": {"names": {"C0002": "analytics"}},
        "tasks": {"playbooks": {"overdue": "write"}},
        "recommendations": {"scenarios": {"cart": {"count": 4}}},
    }
)
TEXT = (Path(__file__).parents[4] / "src/patron/storage/defaults" / POLICY_FILE).read_text(encoding="utf-8")


def shown(policy):
    return {field.name: field.value for field in policy_form(policy).fields}


def test_every_key_of_the_policy_is_in_the_form_and_has_a_name_in_both_languages():
    places = [field.place for field in policy_form(WHOLE).fields]
    assert len(places) == len(set(places))
    sections = {name: type(getattr(WHOLE, name)) for name in Policy.model_fields if name not in {"topics", "offers"}}
    keys = {(section, key) for section, model in sections.items() for key in model.model_fields}
    assert keys <= set(places)
    assert {("topics", name) for name in WHOLE.topics} <= set(places)
    of_offers = {place[-1] for place in places if place[0] == "offers"}
    assert of_offers == Offer.model_fields.keys() - set(KEPT)
    texts = {f"policy_key.{section}.{key}" for section, key in keys} | {f"policy_key.offers.{key}" for key in of_offers}
    texts |= {f"policy_section.{name}" for name, _ in (*policy_form(WHOLE).sections, *policy_form(WHOLE).others)}
    for locale in LOCALES:
        assert sorted(texts - words(locale).texts.keys()) == []


def test_a_form_that_nobody_changed_changes_nothing():
    for policy in (WHOLE, Policy.parse(TEXT)):
        assert requested_changes(policy, shown(policy)) == ({}, {})
        assert requested_changes(policy, {}) == ({}, {})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("at_risk.lifecycle_stages", "lapsed", ["lapsed"]),
        ("at_risk.lifecycle_stages", "", []),
        ("at_risk.at_risk_from", "62,5", 0.625),
        ("messages.quiet_hours", "21:00-24:00, 00:00-07:00", ["21:00-24:00", "00:00-07:00"]),
        ("messages.caps", "3 / 7\r\n8/30", [{"most": 3, "within_days": 7}, {"most": 8, "within_days": 30}]),
        ("messages.soft_bounces", "5 / 30", {"most": 5, "within_days": 30}),
        ("consent.names", 'C0002 = analytics\nC0004 = "marketing"', {"C0002": "analytics", "C0004": "marketing"}),
        ("tasks.playbooks", "", {}),
        ("topics.news", "en = Letters", {"en": "Letters"}),
        ("recommendations.least_margin_share", "10", 0.1),
        ("recommendations.in_stock", "", False),
        ("recommendations.bought_within_days", "2.5", 2.5),
        ("recommendations.scenarios", "cart = { count = 5 }", {"cart": {"count": 5}}),
        ("channel.confirm", "automatic", "automatic"),
        ("offers.0.delivery_free_from", "45.50", 45.5),
        ("offers.2.reasons", "overdue, returns", ["overdue", "returns"]),
        ("offers.2.margin_share", "30", 0.3),
        ("recommendations.blocked", '"A,1", B', ["A,1", "B"]),
        ("consent.names", '"a=b" = analytics', {"a=b": "analytics"}),
        ("topics.news", 'en = News for "VIPs"', {"en": 'News for "VIPs"'}),
    ],
)
def test_a_changed_field_becomes_the_value_of_the_file(name, text, value):
    changes, problems = requested_changes(WHOLE, shown(WHOLE) | {name: text})
    assert (list(changes.values()), problems) == ([value], {})


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("offers.0.delivery_free_from", "soon", "not_money"),
        ("at_risk.at_risk_from", "half", "not_share"),
        ("recommendations.bought_within_days", "two weeks", "not_number"),
        ("messages.caps", "3 a week", "not_limits"),
        ("budget.amount", "1,500", "not_money"),
        ("recommendations.blocked", '"A,1', "not_list"),
        ("messages.soft_bounces", "", "not_limit"),
        ("consent.names", "C0002", "not_pairs"),
        ("recommendations.scenarios", "cart = 4 =", "not_toml"),
        ("offers.0.available_from", "spring", "not_optional_day"),
    ],
)
def test_a_text_that_is_no_value_is_refused_at_its_field_in_both_languages(name, text, problem):
    assert requested_changes(WHOLE, shown(WHOLE) | {name: text}) == ({}, {name: problem})
    for locale in LOCALES:
        assert f"offers.{problem}" in words(locale).texts


def test_free_delivery_alone_has_the_size_from_which_orders_are_delivered_free_anyway():
    places = {field.place: field for field in policy_form(WHOLE).fields}
    assert places["offers", 0, "delivery_free_from"].value == "0.00"
    assert ("offers", 1, "delivery_free_from") not in places


TEXTS = st.text(st.characters(exclude_categories=["C"]), min_size=1)


@given(st.lists(TEXTS), st.dictionaries(TEXTS, TEXTS))
def test_names_are_read_as_they_are_written_whatever_they_hold(names, pairs):
    listed = [one for one in names if one.strip()]
    assert read_value("list", write_value("list", listed)) == listed
    assert read_value("pairs", write_value("pairs", pairs)) == pairs
    assert read_value("toml", write_value("toml", {name: {"count": 4} for name in pairs})).keys() == pairs.keys()


@given(st.data())
def test_what_the_form_changes_is_what_the_file_has_afterwards(data):
    policy = Policy.parse(TEXT)
    numbers = [one for one in policy_form(policy).fields if one.kind in {"share", "count"} and one.place[0] != "offers"]
    chosen = data.draw(st.lists(st.sampled_from(numbers), unique_by=lambda one: one.name, max_size=5))
    values = {one.name: str(data.draw(st.integers(0, 60))) for one in chosen}
    changes, problems = requested_changes(policy, shown(policy) | values)
    assert problems == {}
    edited = set_values(TEXT, changes)
    assert requested_changes(policy, shown(policy) | values)[0].items() <= changes.items()
    for place, value in changes.items():
        assert edited.count(f"{place[1]} = {value}") >= 1
