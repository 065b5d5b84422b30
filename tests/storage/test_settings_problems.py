"""Wrong settings are named in plain words, with what was probably meant; no phrase of a library reaches a user."""

import pytest

from patron.schema.errors import SettingsError
from patron.storage.offers.policy import Policy
from patron.storage.settings import load_settings

OFFER = '[[offers]]\nid = "TEN"\ndiscount_share = 0.1\nassumed_purchase_uplift = 0.1\n'
LIBRARY = ("Input should", "Extra inputs", "Value error", "pydantic", "Field required", "String should")


def refusal(load, tmp_path, text: str) -> str:
    path = tmp_path / "file.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(path)
    assert not [phrase for phrase in LIBRARY if phrase in str(refused.value)]
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[shp]\n", ["shp is not a known key. Did you mean shop?"]),
        ("[zzzz]\n", ["zzzz is not a known key. Known are access, channels, collect"]),
        ('[shop]\ncurency = "EUR"\n', ["shop.curency is not a known key. Did you mean currency?"]),
        ('[shop]\ncurrency = "dollars"\n', ["shop.currency is not a currency code", "got 'dollars'"]),
        ('[shop]\ntime_zone = "Berlin"\n', ["shop.time_zone is not a time zone", "got 'Berlin'"]),
        (
            '[shop]\nlocale = "zh_cn"\n',
            ["shop.locale must be one of 'en' or 'zh_CN' (got 'zh_cn'). Did you mean zh_CN?"],
        ),
        ('[shop]\nmargin_share = "much"\n', ["shop.margin_share must be a number (got 'much')"]),
        ("[shop]\nmargin_share = 1.5\n", ["shop.margin_share must be at most 1"]),
        ("[engine]\nthreads = 1.5\n", ["engine.threads must be a whole number (got 1.5)"]),
        ("shop = 3\n", ["shop must be a table of keys and values"]),
        ("[rates]\nEUR = 0\n", ["rates needs a rate above 0 for EUR"]),
    ],
)
def test_wrong_settings(tmp_path, text, words):
    said = refusal(load_settings, tmp_path, text)
    assert [word for word in words if word not in said] == [], said
    assert "file.toml" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[holdout]\nshar = 0.1\n", ["holdout.shar is not a known key. Did you mean share?"]),
        ("[holdout]\nshare = 7\n", ["holdout.share must be at most 0.9 (got 7)"]),
        ("[holdot]\n", ["holdot is not a known key. Did you mean holdout?"]),
        ('[consent]\nunknown = "alow"\n', ["consent.unknown must be one of", "Did you mean allow?"]),
        ('[at_risk]\nlifecycle_stages = ["atrisk"]\n', ["at_risk.lifecycle_stages.0", "Did you mean at_risk?"]),
        (OFFER.replace("valid", "x") + "valid_day = 3\n", ["offers.0.valid_day", "Did you mean valid_days?"]),
        ('[[offers]]\nid = "TEN"\n', ["offers.0.assumed_purchase_uplift is missing"]),
        (OFFER.replace("TEN", "T-EN"), ["offers.0.id must be letters, digits and _"]),
        (OFFER * 2, ["offers each id once"]),
        ("[messages]\ncaps = 3\n", ["messages.caps must be a list in [ ]"]),
    ],
)
def test_a_wrong_policy(tmp_path, text, words):
    said = refusal(Policy.load, tmp_path, text)
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PATRON_SHOP__CURRENCY", "euro", ["PATRON_SHOP__CURRENCY: shop.currency is not a currency code"]),
        ("PATRON_SHOP__CURENCY", "EUR", ["PATRON_SHOP__CURENCY: shop.curency is not a known key. Did you mean"]),
        ("PATRON_SHOP", "EUR", ["PATRON_SHOP: is not written as JSON", "PATRON_SHOP__KEY"]),
    ],
)
def test_a_wrong_environment_variable_is_named(tmp_path, monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    said = refusal(load_settings, tmp_path, "")
    assert [word for word in words if word not in said] == [], said
