from importlib import resources

import pytest

from patron.schema.errors import SettingsError
from patron.storage.offers.offer_policy import Offer
from patron.storage.offers.offer_rules import OfferRules
from patron.storage.offers.policy import Policy
from patron.storage.shop import Shop

CALL = Offer(id="call_back", kind="call", contact_cost_cents=300, assumed_purchase_uplift=0.1)
TEN = Offer(id="ten", discount_share=0.1, assumed_purchase_uplift=0.1)


def load(tmp_path, text):
    path = tmp_path / "offer_rules.toml"
    path.write_text(text, encoding="utf-8")
    return OfferRules.load(path, [CALL, TEN])


def test_the_default_rules_load_and_a_workspace_without_them_has_none(tmp_path):
    shop = Shop.create(tmp_path / "shop")
    path = shop.folder / "offer_rules.toml"
    default = (resources.files("patron.storage.defaults") / "offer_rules.toml").read_bytes()
    assert path.read_bytes() == default
    assert OfferRules.load(path, shop.policy.offers).factor(["bad_review"], CALL) == 2.0
    path.unlink()
    assert OfferRules.load(path, shop.policy.offers) == OfferRules()
    shop.close()
    Shop.open(tmp_path / "shop").close()


def test_the_strongest_reason_with_a_rule_counts_and_an_id_before_a_kind(tmp_path):
    rules = load(tmp_path, "[returns]\ncall = 1.5\ncall_back = 3\n[overdue]\ncall = 0\ndiscount = 2\n")
    assert rules.factor(["returns", "overdue"], CALL) == 3.0
    assert rules.factor(["overdue", "returns"], CALL) == 0.0
    assert rules.factor(["one_order", "overdue"], TEN) == 2.0
    assert rules.factor(["one_order", ""], TEN) == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[return]\ncall = 1\n", "[return] is not a reason for leaving. Did you mean returns?"),
        ("[returns]\ncal = 1\n", "returns.cal is neither a kind nor the id of an offer. Did you mean call"),
        ("[returns]\ncall = -1\n", "returns.call must be a number from 0 to 10 (got -1)"),
        ("[returns]\ncall = true\n", "returns.call must be a number"),
        ("returns = 3\n", "returns must be a section of factors"),
        ("[gender]\ncall = 1\n", "[gender] is not a reason for leaving"),
        ("[returns\n", "is not valid TOML"),
    ],
)
def test_a_broken_rule_says_what_is_wrong(tmp_path, text, words):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, text)
    assert words in str(error.value)
    assert "offer_rules.toml" in error.value.where


def test_the_default_rules_name_no_offers_of_one_shop():
    with resources.as_file(resources.files("patron.storage.defaults") / "offer_rules.toml") as path:
        assert OfferRules.load(path, Policy().offers).factors
