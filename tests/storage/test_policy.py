from importlib import resources

import pytest

from patron.schema.errors import SettingsError
from patron.storage.policy import Policy


def load(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return Policy.load(path)


def test_the_default_policy_loads_and_refuses_unknown_consent():
    with resources.as_file(resources.files("patron.storage.defaults") / "policy.toml") as path:
        policy = Policy.load(path)
    assert policy.consent.unknown == "refuse"
    assert policy.holdout.share == 0.10
    assert [offer.id for offer in policy.offers] == ["ten_percent", "twenty_percent"]


def test_the_version_follows_the_content_not_the_comments(tmp_path):
    plain = load(tmp_path, "[budget]\ncents_per_run = 5\n")
    commented = load(tmp_path, "# spending\n[budget]\n  cents_per_run   = 5 # cents\n")
    richer = load(tmp_path, "[budget]\ncents_per_run = 6\n")
    assert plain.version == commented.version
    assert plain.version != richer.version


def test_a_number_written_as_default_has_the_version_of_the_default(tmp_path):
    assert load(tmp_path, "").version == load(tmp_path, "[holdout]\nshare = 0.1\n").version


OFFER = '[[offers]]\nid = "x"\ndiscount_share = 0.1\nassumed_purchase_uplift = 0.1\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[holdout]\nshare = 2\n", "holdout.share"),
        ("[holdout]\nshares = 0.1\n", "holdout.shares"),
        ("[spending]\n", "spending"),
        ('[consent]\nunknown = "maybe"\n', "consent.unknown"),
        ('[at_risk]\nlifecycle_stages = ["gone"]\n', "at_risk.lifecycle_stages"),
        (OFFER + OFFER, "each id once"),
        (OFFER.replace('"x"', '"none"'), "neither 'none' nor 'any'"),
        (OFFER.replace("0.1\nassumed", "1.5\nassumed"), "offers.0.discount_share"),
        ("[budget\n", "is not valid TOML"),
    ],
)
def test_a_broken_policy_says_file_key_and_what_to_do(tmp_path, text, reason):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, text)
    assert reason in str(error.value)
    assert "policy.toml" in error.value.where
    assert error.value.todo


def test_a_missing_policy_is_an_error_with_its_path(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        Policy.load(tmp_path / "policy.toml")
