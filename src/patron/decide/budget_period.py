"""What a run may spend: the budget of its period, less what other runs of the period decided."""

from dataclasses import dataclass

from patron.storage.offers.budget_period import Period, budget_period
from patron.storage.offers.offer_usage import runs_spent_cents, spent_cents
from patron.storage.runs.stage_view import StageView


@dataclass(frozen=True)
class Remaining:
    """What a run may spend, and the period that it is a part of; amounts in cents."""

    budget_cents: float
    """Expected cost that the run's offers may have; never below 0."""
    regret_cents: float
    """Expected net value that the run may give up to learn effects; never below 0."""
    period: Period
    spent_cents: float
    """Expected cost of the decisions of the other runs, and of what campaigns sent or plan to send."""
    exploration_cost_cents: float
    """Expected net value that the other runs gave up to learn effects."""


def remaining(view: StageView) -> Remaining:
    """What is left for this run of its period's budget.

    Every other run of the period counts, whether its cutoff is earlier or later and whether it finished: its offers may
    have gone out. Runs whose offers reached nobody do not, and a run that is run again replaces its own decisions.
    """
    policy, run = view.policy, view.run
    period = budget_period(run.as_of, policy.budget.period, view.settings.shop.time_zone)

    spent = spent_cents(view, view.declared_store, period, without_run=run.run_id)
    explored = runs_spent_cents(view, period, without_run=run.run_id, cost="exploration_cost_cents")
    regret = policy.exploration.share * policy.budget.cents
    return Remaining(
        max(policy.budget.cents - spent, 0.0),
        max(regret - max(explored, 0.0), 0.0),
        period=period,
        spent_cents=spent,
        exploration_cost_cents=explored,
    )
