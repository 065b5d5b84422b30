import tomllib
from datetime import date
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.schema.errors import SettingsError
from patron.storage.offers.policy import Policy
from patron.storage.offers.policy_changes import PolicyChange, policy_changes
from patron.storage.toml_edit import line_of, set_values

DEFAULT = (resources.files("patron.storage") / "defaults" / "policy.toml").read_text(encoding="utf-8")
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20)


def test_a_value_changes_and_its_comment_stays():
    edited = set_values(DEFAULT, {("budget", "amount"): 2000.0, ("offers", 1, "name"): 'A "new" # name'})
    assert "amount = 2000.0" in edited
    assert "# expected cost of the offers of all runs in a period" in edited
    assert Policy.parse(edited).offers[1].name == 'A "new" # name'
    changed = [line for line in edited.splitlines() if line not in DEFAULT.splitlines()]
    assert len(changed) == 2


def test_a_key_is_added_to_its_section_and_taken_away_again():
    key = ("offers", 0, "available_until")
    edited = set_values(DEFAULT, {key: date(2026, 12, 24)})
    assert Policy.parse(edited).offers[0].available_until == date(2026, 12, 24)
    assert set_values(edited, {key: None}) == DEFAULT


def test_an_offer_is_added_at_the_end():
    place = ("offers", 2)
    values = {(*place, "id"): "hello", (*place, "kind"): "reminder", (*place, "assumed_purchase_uplift"): 0.02}
    policy = Policy.parse(set_values(DEFAULT, values))
    assert [offer.id for offer in policy.offers] == ["ten_percent", "twenty_percent", "hello"]


def test_a_layout_that_is_not_understood_is_refused_and_nothing_else_is_changed():
    inline = "budget = { amount = 10.0 }\n"
    with pytest.raises(SettingsError, match="laid out in a way"):
        set_values(inline, {("budget", "amount"): 20.0})


@settings(max_examples=40, deadline=None)
@given(TEXTS, st.floats(0, 1e9), st.integers(0, 10**6))
def test_whatever_is_written_is_read_again_and_all_else_is_as_before(name, amount, stock):
    places = {("offers", 0, "name"): name, ("budget", "amount"): amount, ("offers", 1, "stock"): stock}
    before, after = tomllib.loads(DEFAULT), tomllib.loads(set_values(DEFAULT, places))
    before["offers"][0]["name"], before["offers"][1]["stock"] = name, stock
    before["budget"]["amount"] = amount
    assert after == before


def test_lines_of_values_are_found():
    number = line_of(DEFAULT, ("offers", 1, "discount_share"))
    assert number is not None
    assert DEFAULT.splitlines()[number - 1].startswith("discount_share = 0.20")
    assert line_of(DEFAULT, ("offers", 7, "discount_share")) is None


def test_changes_name_each_value_and_whole_offers():
    edited = set_values(DEFAULT, {("caps", "within_days"): 7, ("offers", 0, "id"): "other"})
    changes = policy_changes(Policy.parse(DEFAULT), Policy.parse(edited))
    assert changes[0] == PolicyChange("caps", "", "within_days", 28, 7)
    assert [(change.offer, change.old is None, change.new is None) for change in changes[1:]] == [
        ("ten_percent", False, True),
        ("other", True, False),
    ]
