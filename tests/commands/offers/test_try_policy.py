"""A policy judged before it is switched on: by the log, by a simulated shop, and in sentences."""

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from patron.commands.data.simulated_loop import ingest_events, run_until, seeded_workspace, write_rules
from patron.commands.offers.check_policy import check_policy
from patron.commands.offers.dry_run_policy import DryRun, DryRuns, dry_run, simulated_offer
from patron.commands.offers.logged_policy_value import LoggedValue, logged_value
from patron.commands.offers.try_policy import PolicyTrial
from patron.interfaces.cli.app import app
from patron.interfaces.cli.offers.render_policy import show_trial
from patron.run import run_loop
from patron.schema.progress import silent
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.master_key import keys_folder
from patron.storage.offers.policy import Offer, Policy
from patron.storage.shop import POLICY_FILE, Shop

pytestmark = pytest.mark.xdist_group("try policy")
SMALL = replace(DEFAULT_SHOP, customers=450, visits_per_day=0.0)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A simulated shop after a month in which offers were sent, measured by a second run."""
    home = tmp_path_factory.mktemp("tried")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        seeded_workspace(home / "w", 2, {"currency": "USD", "time_zone": "UTC"}).close()
        write_rules(home / "w", SMALL, budget_cents=50_000)
        shop, world = Shop.open(home / "w"), ShopSimulator(SMALL, seed=2)
        ingest_events(shop, world.history(75), received_at=world.now)
        run_until(shop, world, world.now + timedelta(days=30))
        run_loop(shop, world.now)
        yield shop
        shop.close()


def changed(policy, **sections):
    """The policy with other sections."""
    return Policy.model_validate(policy.model_dump(exclude_unset=True) | sections)


def test_the_policy_that_made_the_log_is_judged_by_all_of_it(shop):
    judged = logged_value(shop, shop.policy)
    assert judged.decision_count >= 100
    assert judged.unsupported_share == 0
    assert judged.candidate == judged.today
    assert judged.today.effective_sample_size == pytest.approx(judged.decision_count)
    assert judged.today.low < judged.today.value_cents < judged.today.high


def test_a_policy_without_offers_gives_none(shop):
    judged = logged_value(shop, changed(shop.policy, offers=()))
    assert judged.candidate.offer_share == 0 < judged.today.offer_share
    assert judged.candidate.effective_sample_size < judged.decision_count
    gain, today = judged.candidate.gain, judged.today
    assert gain.low < gain.value < gain.high
    assert gain.value == pytest.approx(judged.candidate.value_cents - today.value_cents + today.gain.value)


def test_an_offer_that_was_never_made_cannot_be_judged(shop):
    new = Offer(id="HALF", discount_share=0.4, contact_cost_cents=1, assumed_purchase_uplift=0.9)
    judged = logged_value(shop, changed(shop.policy, offers=(new.model_dump(exclude_unset=True),)))
    assert judged.never_tried == ("HALF",)
    assert judged.unsupported_share > 0.1
    assert judged.candidate is None or judged.candidate.offer_share == 0


def test_an_empty_log_says_nothing(w):
    young = Shop.open(w)
    assert logged_value(young, young.policy).why_not == "nothing_logged"
    young.close()


def test_a_dry_run_leaves_nothing_behind_and_no_offers_gain_nothing(shop, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    nothing = changed(shop.policy, offers=())
    runs = dry_run(
        nothing, shop.policy, margin_share=0.45, months=1, seed=1, progress=silent, customers=40, history_days=45
    )
    assert runs.candidate == DryRun(0, 0.0, 0.0)
    assert runs.today.offer_count > 0
    assert runs.today.spent_cents > 0
    assert runs.today.gain_cents != 0
    assert list(keys_folder().glob("*")) == []


def test_simulated_customers_answer_an_offer_by_its_terms():
    common = {"contact_cost_cents": 7, "assumed_purchase_uplift": 0.1}
    discount = simulated_offer(Offer(id="TEN", discount_share=0.1, **common))
    free = simulated_offer(Offer(id="FREE", discount_share=0.0, cost_per_order_cents=495, **common))
    reminder = simulated_offer(Offer(id="HELLO", discount_share=0.0, **common))
    assert (discount.discount_share, discount.attention_share, discount.contact_cents) == (0.1, 0.0, 7)
    assert free.is_free_shipping
    assert not reminder.has_code
    assert reminder.attention_share > 0
    coupon = simulated_offer(Offer(id="OFF", kind="coupon", amount_off=10.0, least_order=80.0, **common))
    small = simulated_offer(Offer(id="OFF", kind="coupon", amount_off=3.0, **common))
    assert (coupon.discount_share, coupon.attention_share, small.discount_share) == (0.125, 0.0, 0.05)


def test_a_file_is_checked_against_the_policy_in_force(shop, tmp_path):
    path = tmp_path / "new.toml"
    shutil.copy(shop.folder / POLICY_FILE, path)
    assert check_policy(shop, path).changed_sections == ()
    text = path.read_text(encoding="utf-8").replace("share = 0.1\n", "share = 0.2\n", 1)
    path.write_text(text.replace("discount_share = 0.2\n", "discount_share = 0.5\n"), encoding="utf-8")
    checked = check_policy(shop, path)
    assert checked.changed_sections == ("holdout", "offers")
    assert checked.losing_offers == ("SAVE20",)


def test_show_and_check_speak_both_languages_and_refuse_what_is_not_valid(w):
    invoke = CliRunner().invoke
    shown = [invoke(app, ["policy", "show", "-w", str(w), "--locale", one]).stdout for one in ("en", "zh_CN")]
    assert "control group" in shown[0]
    assert "对照组" in shown[1]
    checked = invoke(app, ["policy", "check", str(w / POLICY_FILE), "-w", str(w), "--json"])
    assert '"changed_sections": []' in checked.stdout
    (w / "bad.toml").write_text("[holdout]\nshare = 3\n", encoding="utf-8")
    refused = invoke(app, ["policy", "check", str(w / "bad.toml"), "-w", str(w)])
    assert refused.exit_code == 1
    assert "holdout.share" in str(refused.exception)


@pytest.mark.parametrize(("locale", "words"), [("en", "Policy in force"), ("zh_CN", "当前策略")])
def test_a_trial_is_shown_in_sentences(shop, capsys, locale, words):
    judged = logged_value(shop, shop.policy)
    runs = DryRuns(3, 0, 600, 60, DryRun(5, 900.0, 12_345.0), DryRun(9, 1_800.0, -250.0))
    show_trial(PolicyTrial(shop.policy, shop.policy, judged, runs), shop.settings.shop, locale, json=False)
    printed = capsys.readouterr().out
    assert printed.count(words) == 2
    assert "123.45" in printed
    nothing = LoggedValue(0, 0, 0.0, None, None, ("TEN",), (), "nothing_logged")
    show_trial(PolicyTrial(shop.policy, shop.policy, nothing, runs), shop.settings.shop, locale, json=True)
    assert '"why_not": "nothing_logged"' in capsys.readouterr().out
    show_trial(PolicyTrial(shop.policy, shop.policy, nothing, runs), shop.settings.shop, locale, json=False)
    assert "TEN" not in capsys.readouterr().out
