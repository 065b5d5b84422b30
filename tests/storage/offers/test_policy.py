from importlib import resources

import pytest

from patron.schema.errors import SettingsError
from patron.storage.offers.policy import AtRisk, Policy, policy_notice


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
    plain = load(tmp_path, "[budget]\namount = 5\n")
    commented = load(tmp_path, "# spending\n[budget]\n  amount   = 5.00 # euros\n")
    richer = load(tmp_path, "[budget]\namount = 6\n")
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
        ("[budget]\namount = inf\n", "budget.amount must be"),
        ("[budget]\namount = nan\n", "budget.amount must be a finite number"),
        ("[budget]\namount = -1\n", "budget.amount must be at least 0 (got -1)"),
        ('[budget]\nperiod = "fortnight"\n', "budget.period must be one of"),
        ("[budget]\ncents_per_run = -5\n", "budget.cents_per_run must be a whole number of at least 0 (got -5)"),
        ('[consent]\nunknown = "maybe"\n', "consent.unknown"),
        ('[at_risk]\nlifecycle_stages = ["gone"]\n', "at_risk.lifecycle_stages"),
        ("[at_risk]\nat_risk_from = -1\n", "at_risk.at_risk_from"),
        ("[at_risk]\nat_risk_from = 0.95\n", "lapsed_from (0.8) to be at least at_risk_from (0.95)"),
        (
            '[at_risk]\nchurn_probability = "high"\n',
            "at_risk.churn_probability must be a number from 0 to 1 (got 'high')",
        ),
        ("[at_risk]\nchurn_probability = 1.7\n", "at_risk.churn_probability must be a number from 0 to 1 (got 1.7)"),
        ("[at_risk]\nchurn_probability = true\n", "at_risk.churn_probability must be a number"),
        ('[messages]\nquiet_hours = ["9-17"]\n', "messages.quiet_hours must be hours such as 21:00-08:00 (got '9-17')"),
        ('[messages]\nquiet_hours = ["08:00-20:00", "20:00-08:00"]\n', "must leave a part of the day"),
        ("[messages]\ncaps = [{ most = 0, within_days = 7 }]\n", "messages.caps.0.most must be at least 1 (got 0)"),
        ("[messages]\nsoft_bounces = { most = 3 }\n", "messages.soft_bounces.within_days is missing"),
        (OFFER + OFFER, "each id once"),
        (OFFER.replace('"x"', '"none"'), "neither 'none' nor 'any'"),
        (OFFER.replace("0.1\nassumed", "1.5\nassumed"), "offers.0.discount_share"),
        ('[fairness]\nsensitive_traits = ["gender", "E-Mail"]\n', "e_mail identifies single persons"),
        ("[fairness]\nwarn_ratio = 0.4\n", "needs refuse_ratio to be at most warn_ratio"),
        ("[fairness]\nwarn_true_positive_gap = 0.3\n", "needs refuse_true_positive_gap to be at least"),
        ("[fairness]\nfewest_customers = 3\n", "fairness.fewest_customers must be at least 20"),
        ('[fairness]\nmitigation = "reweight"\n', "fairness.mitigation must be one of"),
        ("[budget\n", "is not valid TOML"),
    ],
)
def test_a_broken_policy_says_file_key_and_what_to_do(tmp_path, text, reason):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, text)
    assert reason in str(error.value)
    assert "policy.toml" in error.value.where
    assert error.value.todo


def test_sensitive_traits_are_written_the_catalogues_way_and_each_counts_once(tmp_path):
    policy = load(tmp_path, '[fairness]\nsensitive_traits = ["Home Ownership", "homeOwnership", "gender"]\n')
    assert policy.fairness.sensitive_traits == ("home_ownership", "gender")


def test_a_missing_policy_is_an_error_with_its_path(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        Policy.load(tmp_path / "policy.toml")


@pytest.mark.parametrize(
    ("text", "today", "notice"),
    [
        ("", AtRisk(), ""),
        ("at_risk_from = 0.3", AtRisk(at_risk_from=0.3), ""),
        ("churn_probability = 0.5", AtRisk(),
         'churn_probability = 0.5 is read as lifecycle_stages = ["at_risk", "lapsed"], at_risk_from = 0.5'),
        ('lifecycle_stages = ["lapsed"]\nchurn_probability = 0.95',
         AtRisk(at_risk_from=0.95, lapsed_from=0.95, lifecycle_stages=("lapsed", "at_risk")),
         'is read as lifecycle_stages = ["lapsed", "at_risk"], at_risk_from = 0.95, lapsed_from = 0.95'),
        ("churn_probability = 0", AtRisk(at_risk_from=0), "churn_probability = 0 is read as"),
        ("churn_probability = 0.9\nat_risk_from = 0.3", AtRisk(at_risk_from=0.3), "no longer has any effect"),
        ('lifecycle_stages = ["new"]\nchurn_probability = 1.0', AtRisk(lifecycle_stages=("new",)),
         "churn_probability = 1.0 no longer has any effect"),
    ],
)  # fmt: skip
def test_the_key_of_an_older_policy_is_translated_with_a_notice(tmp_path, text, today, notice):
    assert load(tmp_path, f"[at_risk]\n{text}\n").at_risk == today
    written = policy_notice(tmp_path / "policy.toml")
    assert notice in written
    assert bool(written) == bool(notice)
    assert policy_notice(tmp_path / "policy.toml") == written
    if written and "is read as" in written:
        todays = (
            written.partition("is read as ")[2]
            .replace(", lapsed_from", "\nlapsed_from")
            .replace(", at_risk_from", "\nat_risk_from")
        )
        assert load(tmp_path, f"[at_risk]\n{todays}\n").at_risk == today, "what the notice says can be written"


@pytest.mark.parametrize(
    ("text", "share", "notice"),
    [
        ("share = 0.1", 0.1, ""),
        ("first_days = 30\noffer_share = 0.5\nlater_share = 0.2", 0.05,
         "[exploration] first_days, offer_share and later_share are read as share = 0.05"),
        ("first_days = 0\nlater_share = 0", 0.0, "first_days and later_share are read as share = 0.0"),
        ("later_share = 0.2\nshare = 0.02", 0.02, "later_share is read as share = 0.02"),
    ],
)  # fmt: skip
def test_shares_of_an_older_policy_become_a_regret_with_a_notice(tmp_path, text, share, notice):
    assert load(tmp_path, f"[exploration]\n{text}\n").exploration.share == share
    written = policy_notice(tmp_path / "policy.toml")
    assert notice in written
    assert bool(written) == bool(notice)


@pytest.mark.parametrize(
    ("text", "cents", "period", "notice"),
    [
        ("", 100_000, "month", ""),
        ("amount = 0.29", 29, "month", ""),
        ("amount = 10.999", 1_099, "month", ""),
        ("cents_per_run = 20050", 20_050, "month", 'is read as amount = 200.50, period = "month"'),
        ('cents_per_run = 7\nperiod = "day"', 7, "day", 'is read as amount = 0.07, period = "day"'),
        ("cents_per_run = 7\namount = 3", 300, "month", "no longer has any effect"),
    ],
)
def test_the_budget_is_whole_cents_of_a_period_and_one_of_a_run_is_read_as_that_of_a_month(
    tmp_path, text, cents, period, notice
):
    budget = load(tmp_path, f"[budget]\n{text}\n").budget
    assert (budget.cents, budget.period) == (cents, period)
    written = policy_notice(tmp_path / "policy.toml")
    assert notice in written
    assert bool(written) == bool(notice)
