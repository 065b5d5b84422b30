"""A run whose offers are withdrawn: they leave the outbox, count nowhere, and stay on record."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from workspace_copies import copy_workspace

from patron import decide, measure
from patron.answers.customers.customer_profile import customer_card
from patron.answers.offers.offer_results import decision_summary
from patron.answers.privacy.customer_explanation import customer_explanation
from patron.commands.data.doctor import doctor
from patron.commands.offers.withdraw_offers import withdraw_offers
from patron.decide.budget_period import remaining
from patron.engage.outbox_offers import SENT, has_offers, hold_back_offers
from patron.govern.access import audit_log
from patron.run import require_open, run_loop, stage_view
from patron.schema.errors import NotFound, SettingsError, WorkspaceError
from patron.storage.offers.deliveries import Delivery, DeliveryState, write_delivery
from patron.storage.runs.last_run import last_run
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron_command import run_patron

pytestmark = pytest.mark.xdist_group("one run")  # with others that go on from the same workspace
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def opened(shop_after_one_run, tmp_path, monkeypatch):
    """A shop whose one run made offers, and the name of the run."""
    monkeypatch.setenv("PATRON_MASTER_KEY", shop_after_one_run.key)
    with closing(Shop.open(copy_workspace(shop_after_one_run.folder, tmp_path / "w"))) as shop:
        yield shop, last_run(shop).run


def other_view(shop, run, stage=decide, **later):
    return stage_view(shop, stage, run=Run.at(run.as_of + timedelta(**(later or {"hours": 1}))))


def test_withdrawn_offers_count_nowhere_and_stay_on_record(opened):
    shop, run = opened
    folder = shop.folder / "outbox" / run.run_id
    assert 0 < remaining(other_view(shop, run)).budget_cents < 20_000
    assert other_view(shop, run, measure).read("decisions").num_rows > 0
    offered = other_view(shop, run, days=1).read("exposures").num_rows
    assert offered > 0
    command = ("decisions", "withdraw", run.run_id, "--as", "Ann", "--reason", "wrong month", "-w", shop.folder)
    assert "are withdrawn" in run_patron(*command).out
    assert [path.name for path in sorted(folder.iterdir())] == ["recommendations_file.csv"]
    assert remaining(other_view(shop, run)).budget_cents == 20_000
    assert other_view(shop, run, days=1).read("exposures").num_rows == 0
    assert other_view(shop, run, measure).read("decisions").num_rows == 0
    view = last_run(shop)
    assert view.read("exposures").num_rows == 0
    summary = decision_summary(view)
    assert summary.offered_count == offered
    someone = view.query("select customer_id from decisions where action <> 'none' limit 1")["customer_id"][0].as_py()
    explained = customer_explanation(view, [], someone)
    assert (explained.is_sent, explained.is_withdrawn) == (False, True)
    card = customer_card(shop, someone)
    assert card.decisions[0].is_withdrawn
    assert not [one for one in card.timeline if one.kind == "offer"]
    assert (summary.delivery.changed_by, summary.delivery.reason) == ("Ann", "wrong month")
    assert audit_log.entries(shop.store)[-1].action == "offers withdrawn"
    assert [
        finding for finding in doctor(shop.folder) if finding.check == "outbox" and finding.level == "problem"
    ] == []
    listed = run_patron("decisions", "list", "--json", "-w", shop.folder)
    assert json.loads(listed.out)["delivery"]["changed_by"] == "Ann"
    with pytest.raises(WorkspaceError, match="were withdrawn by Ann"):
        run_loop(shop, run.as_of)


def test_a_withdrawal_that_was_cut_off_anywhere_is_finished_by_the_next(opened):
    shop, run = opened
    folder = shop.folder / "outbox" / run.run_id
    left = remaining(other_view(shop, run)).budget_cents
    hold_back_offers(folder)  # killed before the record
    assert not any(folder.glob("offers_*.csv"))
    assert remaining(other_view(shop, run)).budget_cents == left
    with shop.store.begin() as connection:  # killed after the record, before the files were deleted
        withdrawn = Delivery(run.run_id, DeliveryState.WITHDRAWN, changed_at=NOW, changed_by="Ann")
        write_delivery(connection, withdrawn)
    assert has_offers(folder)
    assert withdraw_offers(shop, run.run_id, name="Bea", now=NOW).changed_by == "Ann"
    assert not has_offers(folder)
    assert remaining(other_view(shop, run)).budget_cents == 20_000


def test_offers_held_back_are_withdrawn_by_the_next_call(opened):
    shop, run = opened
    folder = shop.folder / "outbox" / run.run_id
    hold_back_offers(folder)
    withdraw_offers(shop, run.run_id, name="Ann", now=NOW)
    assert not has_offers(folder)
    assert decision_summary(last_run(shop)).delivery.changed_at == NOW


def test_offers_that_were_sent_or_may_have_been_are_not_withdrawn(opened):
    shop, run = opened
    folder = shop.folder / "outbox" / run.run_id
    for name, error in (("", SettingsError), ("x" * 301, SettingsError)):
        with pytest.raises(error, match="printable characters"):
            withdraw_offers(shop, run.run_id, name=name, now=NOW)
    with pytest.raises(NotFound, match="has decided anything"):
        withdraw_offers(shop, "2011-01-01", name="Ann", now=NOW)
    (folder / SENT).touch()
    with pytest.raises(WorkspaceError, match="were sent: the mail system left a file named sent"):
        withdraw_offers(shop, run.run_id, name="Ann", now=NOW)
    assert any(folder.glob("offers_*.csv"))
    with pytest.raises(WorkspaceError, match="were sent, so that it cannot decide again"):
        run_loop(shop, run.as_of)
    (folder / SENT).unlink()
    next(folder.glob("offers_*.csv")).rename(shop.folder.parent / "taken.csv")
    with pytest.raises(WorkspaceError, match="may have been sent"):
        withdraw_offers(shop, run.run_id, name="Ann", now=NOW)
    assert decision_summary(last_run(shop)).delivery.state is DeliveryState.CONFIRMED
    with pytest.raises(WorkspaceError, match="may have been sent, so that it cannot decide again"):
        run_loop(shop, run.as_of)
    (folder / "offers_file.csv").touch()
    require_open(shop, Run.at(run.as_of))


def test_a_customer_is_shown_by_the_shops_own_id_with_every_offer_considered(opened):
    shop, run = opened
    listed = json.loads(run_patron("decisions", "list", "--json", "-w", shop.folder).out)
    offers = (shop.folder / "outbox" / run.run_id / "offers_file.csv").read_text().splitlines()
    decision, user, *_ = offers[1].split(",")
    shown = json.loads(run_patron("decisions", "show", user, "--json", "-w", shop.folder).out)
    assert shown == json.loads(run_patron("decisions", "show", decision, "--json", "-w", shop.folder).out)
    assert shown["decision_id"] == decision in {row["decision_id"] for row in listed["rows"]}
    assert {alternative["action"] for alternative in shown["alternatives"]} == {
        offer.id for offer in shop.policy.offers
    }
    chosen = next(alternative for alternative in shown["alternatives"] if alternative["action"] == shown["action"])
    assert chosen["cost_cents"] == pytest.approx(shown["cost_cents"])
    assert shown["budget_price"] >= 0
    assert "Offers that were considered" in run_patron("decisions", "show", user, "-w", shop.folder).out
    assert run_patron("decisions", "show", "nobody at all", "-w", shop.folder).code == 1
