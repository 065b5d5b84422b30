"""What the brief says of effects, decisions and forecasts, each part from rows by hand."""

from dataclasses import replace
from datetime import timedelta

import pytest

from patron.answers.insight.brief import (
    MAX_LINES,
    brief,
    brief_of,
    changes,
    changes_by_value,
    latest_forecasts,
    offer_earnings,
    open_questions,
    wrong_forecasts,
)
from patron.answers.models.forecast_ledger import HORIZONS, ForecastEntry
from patron.answers.offers.offer_results import Effect, decision_summary
from patron.storage.offers.deliveries import Delivery, DeliveryState, write_delivery

OFFER, CONTACT = "ten_percent", 5


def effect(now, value, reach=100.0, **columns):
    base = {
        "offer": OFFER,
        "stratum": "all",
        "treated_count": 200,
        "control_count": 100,
        "effect_cents": value,
        "low": value - reach,
        "high": value + reach,
        "standard_error": reach / 1.96,
        "is_placebo": False,
        "decided_from": now - timedelta(days=60),
        "decided_until": now - timedelta(days=30),
        "net_cents": value - CONTACT,
    }
    return Effect(**base | columns)


def forecast(now, question, bias, *, reach=0.02, days=100, worst=(3, 0.1)):
    scored_at = now - timedelta(days=days)
    return ForecastEntry(
        question,
        scored_at,
        scored_at + timedelta(days=HORIZONS[question]),
        100,
        100.0 * (1 + bias),
        100.0,
        bias,
        bias - reach,
        bias + reach,
        1.0,
        1.0,
        None,
        *worst,
    )


@pytest.fixture
def view_of(snapshot_of, this_run):
    """Decisions as (action, reason, other columns), and what the best offer was expected to net the customer."""

    def view(*rows, net=300.0, forbidden=None, **tables):
        same = {
            "run_id": this_run.run_id,
            "as_of": this_run.as_of,
            "effect_cents": 0.0,
            "propensity": 1.0,
            "stratum": "at_risk/deals_low/value_low",
            "effect_source": "measured",
            "policy_version": "p",
            "is_holdout": False,
            "consent_basis": "consent",
        }
        decisions, alternatives = [], []
        for place, (action, reason, columns) in enumerate(rows):
            key = {"decision_id": f"d{place}", "customer_id": f"c{place}"}
            money = {"expected_net_value_cents": net if action != "none" else 0.0, "cost_cents": 40.0}
            decisions.append(same | key | {"action": action, "reason": reason} | money | columns)
            for offer, worth, rule in ((OFFER, net, forbidden), ("twenty_percent", 2 * net, "other_price")):
                costs = {"expected_net_value_cents": worth, "cost_cents": 40.0, "forbidden_by": rule}
                named = {"action": offer, "effect_cents": worth + 40.0}
                of_run = {name: same[name] for name in ("run_id", "as_of")} | {"propensity": 0.0}
                alternatives.append(of_run | key | named | costs)
        found = snapshot_of(decisions=decisions, alternatives=alternatives, **tables)
        with found.store.begin() as connection:
            write_delivery(connection, Delivery(this_run.run_id, DeliveryState.RESERVED, this_run.as_of))
        return found

    return view


def codes(view, measured=()):
    return {change.code: change for change in changes(view, decision_summary(view), measured)}


def test_the_brief_of_a_shop_has_at_most_three_points_a_part(made_shop):
    whole = brief(made_shop)
    assert whole.earnings.is_placebo
    assert whole.checked_count == 2
    for part in (whole.changes, whole.open_questions, whole.wrong_forecasts):
        assert len(part) <= MAX_LINES
    assert [question.net_cents for question in whole.open_questions] == [None] * len(whole.open_questions)


def test_a_run_without_anything_has_a_brief(snapshot_of):
    whole = brief_of(snapshot_of())
    assert (whole.earnings, whole.exploration, whole.changes, whole.wrong_forecasts) == (None, None, (), ())
    assert whole.checked_count == 0


def test_what_was_earned_is_after_every_cost(this_run):
    found = offer_earnings((effect(this_run.as_of, 50.0, offer="any", net_cents=-30.0), effect(this_run.as_of, 9.0)))
    assert (found.offer_count, found.net_cents, found.total_cents) == (200, -30.0, -6_000.0)
    assert (found.total_low, found.total_high) == (-26_000.0, 14_000.0)
    assert offer_earnings((effect(this_run.as_of, 9.0),)) is None


def test_offers_that_were_never_sent_cost_nothing(this_run):
    found = offer_earnings((effect(this_run.as_of, 50.0, offer="any", net_cents=-30.0, is_placebo=True),))
    assert (found.is_placebo, found.net_cents) == (True, 50.0)


def test_exploration_costs_what_randomising_gives_up(view_of):
    rows = [("none", "exploring", {"exploration_cost_cents": 7.0}), (OFFER, "exploring", {})]
    rows += [(OFFER, "best_net_value", {"exploration_cost_cents": 3.0})]
    found = decision_summary(view_of(*rows)).exploration
    assert (found.customer_count, found.offer_count, found.given_up_cents) == (2, 1, 10.0)
    assert decision_summary(view_of(*rows[2:])).exploration is None


def test_offers_that_are_not_sent_are_the_first_thing_to_send(view_of):
    found = codes(view_of((OFFER, "best_net_value", {}), ("none", "net_value_below_zero", {})))
    assert set(found) == {"send_offers"}
    assert (found["send_offers"].count, found["send_offers"].value_cents) == (1, 300.0)
    assert not found["send_offers"].is_assumed


def test_offers_that_were_withdrawn_are_not_to_be_sent(view_of):
    view = view_of((OFFER, "best_net_value", {}), ("none", "net_value_below_zero", {}))
    withdrawn = Delivery(view.run.run_id, DeliveryState.WITHDRAWN, changed_at=view.run.as_of, changed_by="A. Lee")
    decided = replace(decision_summary(view), delivery=withdrawn)
    assert [*changes(view, decided, ())] == []


def test_more_budget_pays_only_where_the_budget_was_the_limit(view_of):
    rows = [("none", "over_budget", {"budget_price": 0.4})] * 3
    found = codes(view_of(*rows))["raise_budget"]
    assert (found.count, found.value_cents, found.cost_cents) == (3, 900.0, 120.0)  # not the forbidden 600 each
    assert codes(view_of(*[("none", "over_budget", {"budget_price": 0.0})] * 3)) == {}
    assert codes(view_of(*rows, net=-1.0)) == {}
    assert codes(view_of(*rows, forbidden="out_of_stock")) == {}


def test_consent_is_worth_what_offers_to_those_without_it_would_net(view_of):
    found = codes(view_of(*[("none", "no_consent", {})] * 2, forbidden="no_consent"))
    assert (found["ask_consent"].count, found["ask_consent"].value_cents) == (2, 600.0)
    assert codes(view_of(("none", "no_consent", {}), forbidden="no_consent", net=99.0)) == {}, "$0 is no reason"
    assert codes(view_of(("none", "no_consent", {}), forbidden="no_consent", net=100.0)).keys() == {"ask_consent"}


def test_no_offer_pays_where_none_was_decided_and_none_but_for_its_cost(view_of):
    losing = [("none", "net_value_below_zero", {})] * 4
    outside = [("none", reason, {}) for reason in ("holdout", "no_consent", "cap_reached")]
    assert codes(view_of(*losing, *outside, net=-5.0))["no_offer_pays"].count == 4
    for other in ((OFFER, "best_net_value", {}), ("none", "over_budget", {}), (OFFER, "exploring", {})):
        assert "no_offer_pays" not in codes(view_of(*losing, other, net=-5.0))


def test_an_offer_is_stopped_where_it_lost_after_every_cost_and_is_still_decided(view_of, this_run):
    view, now = view_of(*[(OFFER, "best_net_value", {})] * 3), this_run.as_of
    losing = effect(now, -150.0)
    found = codes(view, (losing,))["stop_offer"]
    assert (found.offer, found.count, found.value_cents) == (OFFER, 3, 3 * 155.0)
    dear = effect(now, 150.0, net_cents=-450.0)  # its orders cost 600 besides, and its margin shows none of it
    assert codes(view, (dear,))["stop_offer"].value_cents == 3 * 450.0
    old = replace(losing, net_cents=None)
    assert codes(view, (old,))["stop_offer"].value_cents == 3 * 155.0
    for one in (effect(now, -50.0), replace(losing, is_placebo=True), replace(losing, stratum="lapsed")):
        assert "stop_offer" not in codes(view, (one,))
    assert "stop_offer" not in codes(view_of(("none", "holdout", {})), (losing,))


def test_only_alarms_about_the_data_are_about_the_data(view_of, this_run):
    def alarm(kind):
        return {"run_id": this_run.run_id, "kind": kind, "subject": "orders", "part": "mean", "value": 2.0,
                "allowed": 1.0, "since": this_run.as_of, "customer_count": 9, "related": ()}  # fmt: skip

    rows = (("none", "holdout", {}),)
    assert codes(view_of(*rows, model_alarms=[alarm("calibration")])) == {}
    found = codes(view_of(*rows, model_alarms=[alarm("data"), alarm("calibration")]))["data_alarm"]
    assert (found.count, found.value_cents) == (1, None)


def test_alarms_come_first_and_what_has_no_value_last(view_of):
    view = view_of((OFFER, "best_net_value", {}))
    one = codes(view)["send_offers"]
    kinds = [("watch_list", None), ("send_offers", 5.0), ("raise_budget", 9.0), ("data_alarm", None)]
    every = [replace(one, code=code, value_cents=value) for code, value in kinds]
    assert [change.code for change in changes_by_value(iter(every))] == [
        "data_alarm",
        "raise_budget",
        "send_offers",
        "watch_list",
    ]


def test_an_offer_is_an_open_question_while_its_interval_holds_its_cost(snapshot_of, this_run):
    now = this_run.as_of
    view = snapshot_of()

    def of_ten(*measured):
        return next((question for question in open_questions(view, measured) if question.offer == OFFER), None)

    assert of_ten().net_cents is None
    assert of_ten(effect(now, 50.0, is_placebo=True)).net_cents is None
    found = of_ten(effect(now, 50.0))
    assert (found.net_cents, found.low, found.high, found.decision_count) == (45.0, -55.0, 145.0, 300)
    assert found.needed_count == round(300 * (2.8 * 100 / 1.96 / 45) ** 2)
    assert found.days == round((found.needed_count - 300) * 60 / 300)
    assert of_ten(effect(now, 6.0)).days is None
    assert of_ten(effect(now, 5.0)).needed_count is None
    assert of_ten(effect(now, 150.0)) is None
    assert of_ten(effect(now, 150.0, net_cents=20.0)).net_cents == 20.0
    assert of_ten(effect(now, 120.0, low=4.0, standard_error=20.0)).days == 1  # skewed, and as good as known


def test_a_forecast_was_wrong_where_it_missed_by_more_than_chance_and_more_than_a_little(this_run):
    now = this_run.as_of
    for bias, reach, count in ((0.2, 0.05, 1), (-0.2, 0.05, 1), (0.2, 0.3, 0), (0.04, 0.01, 0)):
        latest = latest_forecasts((forecast(now, "purchase", bias, reach=reach),))
        assert len(list(wrong_forecasts(latest, has_data_alarm=False))) == count


def test_only_the_latest_forecast_of_a_question_that_has_a_bias_counts(this_run):
    now = this_run.as_of
    new, old = forecast(now, "purchase", 0.01, days=40), forecast(now, "purchase", 0.5, days=90)
    nothing_came = replace(forecast(now, "prospects", 0.0), bias_share=None, bias_low=None, bias_high=None)
    assert latest_forecasts((new, old, nothing_came)) == {"purchase": new}


@pytest.mark.parametrize(
    ("value", "churn", "causes"),
    [
        (0.2, -0.2, ("fewer_customers",)),
        (-0.2, 0.2, ("more_customers",)),
        (0.2, 0.0, ("smaller_orders",)),
        (-0.2, 0.0, ("larger_orders",)),
        (0.2, 0.2, ()),
        (0.2, None, ()),
    ],
)
def test_a_wrong_value_is_explained_by_who_ordered_in_the_same_days(this_run, value, churn, causes):
    now = this_run.as_of
    entries = [forecast(now, "value", value)] + ([forecast(now, "churn", churn)] if churn is not None else [])
    found = list(wrong_forecasts(latest_forecasts(tuple(entries)), has_data_alarm=False))
    assert found[0].causes == causes
    if churn is not None:
        other = [entries[0], forecast(now, "churn", churn, days=130)]
        assert next(wrong_forecasts(latest_forecasts(tuple(other)), has_data_alarm=False)).causes == ()


def test_the_highest_forecasts_and_changed_data_go_with_a_wrong_forecast(this_run):
    now = this_run.as_of
    same, opposite = (forecast(now, "purchase", 0.2, worst=(10, bias)) for bias in (0.4, -0.4))
    assert next(wrong_forecasts({"purchase": same}, has_data_alarm=True)).causes == ("top_decile", "data_changed")
    assert next(wrong_forecasts({"purchase": opposite}, has_data_alarm=False)).causes == ()
