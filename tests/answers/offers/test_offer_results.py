"""What was decided adds up by action and by reason, and effects are those of the run."""

from dataclasses import replace
from datetime import timedelta

import pytest

from patron.answers.offers.offer_results import assignment_alarms, decision_summary, effects
from patron.storage.offers.deliveries import Deliveries
from patron.storage.runs.runs import Run


def decision(run, who, **columns):
    base = {
        "run_id": run.run_id,
        "decision_id": f"{run.run_id}/{who}",
        "customer_id": who,
        "as_of": run.as_of,
        "action": "none",
        "expected_net_value_cents": 0.0,
        "effect_cents": 0.0,
        "cost_cents": 0.0,
        "propensity": 1.0,
        "reason": "over_budget",
        "stratum": "at_risk/deals_low/value_low",
        "effect_source": "assumed",
        "policy_version": "some other",
        "is_holdout": False,
        "consent_basis": "consent",
    }
    return base | columns


@pytest.fixture(scope="module")
def decisions(rows_of_last):
    return rows_of_last("decisions")


@pytest.fixture(scope="module")
def summary(last):
    return decision_summary(last)


def test_every_decision_of_the_run_counts_once_by_action_and_once_by_reason(summary, decisions):
    assert summary.customer_count == len(decisions) > 50
    assert sum(action.customer_count for action in summary.actions) == len(decisions)
    assert sum(reason.customer_count for reason in summary.reasons) == len(decisions)
    assert summary.holdout_count == sum(row["is_holdout"] for row in decisions) > 0


def test_only_offers_cost_and_bring(summary, decisions):
    offers = [row for row in decisions if row["action"] != "none"]
    assert summary.offered_count == len(offers)
    assert summary.cost_cents == pytest.approx(sum(row["cost_cents"] for row in offers))
    assert summary.expected_net_cents == pytest.approx(sum(row["expected_net_value_cents"] for row in offers))
    assert summary.effect_sources == tuple(sorted({row["effect_source"] for row in offers}))


def test_each_action_and_reason_has_its_own_decisions(summary, decisions):
    for action in summary.actions:
        same = [row for row in decisions if row["action"] == action.action]
        assert (action.customer_count, action.cost_cents) == (
            len(same),
            pytest.approx(sum(row["cost_cents"] for row in same)),
        )
    for reason in summary.reasons:
        same = [
            row for row in decisions if (row["reason"], row["action"] != "none") == (reason.reason, reason.is_offer)
        ]
        assert (reason.customer_count, reason.cost_cents) == (
            len(same),
            pytest.approx(sum(row["cost_cents"] for row in same)),
        )


def test_exploration_is_of_those_whose_action_was_drawn(snapshot_of, this_run):
    rows = [
        decision(this_run, "a", action="ten_percent", reason="exploring", cost_cents=50.0),
        decision(this_run, "b", action="none", reason="exploring"),
        decision(this_run, "c", action="twenty_percent", reason="best_net_value", cost_cents=90.0),
    ]
    drawn = decision_summary(snapshot_of(decisions=rows)).exploration
    assert (drawn.customer_count, drawn.offer_count, drawn.offer_cost_cents) == (2, 1, 50.0)
    assert decision_summary(snapshot_of(decisions=rows[2:])).exploration is None


def test_the_budget_is_shown_only_while_the_policy_is_that_of_the_run(snapshot_of, this_run):
    changed = snapshot_of(decisions=[decision(this_run, "a")])
    assert decision_summary(changed).budget_cents is None
    policy = changed.policy
    same = decision_summary(snapshot_of(decisions=[decision(this_run, "a", policy_version=policy.version)]))
    assert same.budget_cents == policy.budget.cents
    assert same.policy_version == policy.version


def test_what_is_left_of_the_period_counts_every_run_of_it_and_no_withdrawn_offer(snapshot_of, this_run):
    version = snapshot_of().policy.version
    earlier, before = Run.at(this_run.as_of + timedelta(days=3)), Run.at(this_run.as_of - timedelta(days=1))
    rows = [
        decision(run, who, action="ten_percent", cost_cents=cost, policy_version=version)
        for run, who, cost in ((this_run, "a", 500.0), (earlier, "b", 2_000.0), (before, "c", 40_000.0))
    ]
    view = snapshot_of(decisions=rows)
    summary = decision_summary(view)
    assert (summary.budget_cents, summary.left_cents, summary.amount_cents) == (98_000, 97_500, 100_000)
    assert (summary.period, summary.delivery) == ("month", None)
    other = decision_summary(replace(view, deliveries=Deliveries(withdrawn=(earlier.run_id,))))
    assert (other.budget_cents, other.left_cents) == (100_000, 99_500)


def test_the_control_group_is_of_customers_whom_an_offer_could_reach(snapshot_of, this_run):
    refused = [decision(this_run, who, reason="no_consent", is_holdout=who == "a") for who in "ab"]
    nobody = decision_summary(snapshot_of(decisions=refused))
    assert (nobody.holdout_count, nobody.refused_count, nobody.is_nobody_contactable) == (0, 2, True)
    held = decision(this_run, "c", reason="holdout", is_holdout=True)
    some = decision_summary(snapshot_of(decisions=[*refused, held]))
    assert (some.holdout_count, some.refused_count, some.is_nobody_contactable) == (1, 2, False)
    assert not decision_summary(snapshot_of()).is_nobody_contactable


def test_a_run_that_decided_nothing_has_an_empty_summary(snapshot_of):
    summary = decision_summary(snapshot_of())
    assert (summary.customer_count, summary.offered_count, summary.holdout_count) == (0, 0, 0)
    assert (summary.cost_cents, summary.expected_net_cents) == (0, 0)
    assert (summary.actions, summary.reasons, summary.effect_sources) == ((), (), ())
    assert (summary.budget_cents, summary.policy_version, summary.exploration) == (None, None, None)
    assert effects(snapshot_of()) == ()


def test_effects_are_those_of_the_run_with_everybody_first(last, rows_of_last, snapshot_of):
    measured = rows_of_last("effects")
    found = effects(last)
    assert {(one.offer, one.stratum, one.effect_cents, one.raw_cents) for one in found} == {
        (
            row["offer"],
            row["stratum"],
            row["effect_cents" if row["adjusted_cents"] is None else "adjusted_cents"],
            row["raw_cents"],
        )
        for row in measured
    }
    assert all(one.low < one.effect_cents < one.high for one in found)
    mixed = [
        measured[0] | {"offer": offer, "stratum": stratum}
        for offer, stratum in (("ten", "lapsed"), ("ten", "all"), ("any", "lapsed"), ("any", "all"), ("five", "all"))
    ]
    order = [(effect.offer, effect.stratum) for effect in effects(snapshot_of(last.run, effects=mixed))]
    assert order == [("any", "all"), ("any", "lapsed"), ("five", "all"), ("ten", "all"), ("ten", "lapsed")]


def test_an_alarm_names_the_arm_that_is_furthest_off(snapshot_of, this_run):
    arms = (("holdout", "holdout", 60, 100.0), ("holdout", "reachable", 940, 900.0), ("actions", "ten", 9, 10.0))
    rows = [
        {
            "run_id": this_run.run_id,
            "assignment": assignment,
            "arm": arm,
            "decision_count": count,
            "expected_decisions": expected,
            "p_value": 1e-5,
            "is_alarm": assignment == "holdout",
        }
        for assignment, arm, count, expected in arms
    ]
    found = assignment_alarms(snapshot_of(this_run, assignment_checks=rows))
    assert [(one.assignment, one.arm, one.decision_count) for one in found] == [("holdout", "holdout", 60)]
    assert assignment_alarms(snapshot_of()) == ()
