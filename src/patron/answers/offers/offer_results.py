"""What the run decided, what it costs, and what earlier offers caused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from patron.storage.engine import exact_sum, literal
from patron.storage.offers.budget_period import budget_period
from patron.storage.offers.deliveries import Delivery, delivery_of
from patron.storage.offers.offer_usage import runs_spent_cents
from patron.storage.runs.last_run import records
from patron.storage.shop import Snapshot


@dataclass(frozen=True)
class ActionCount:
    """Customers for whom one action was decided."""

    action: str
    customer_count: int
    cost_cents: float
    expected_net_cents: float


@dataclass(frozen=True)
class ReasonCount:
    """Customers whose decision has one reason."""

    reason: str
    is_offer: bool
    customer_count: int
    cost_cents: float


@dataclass(frozen=True)
class Exploration:
    """What the run does to learn what offers cause: customers whose action was randomised."""

    customer_count: int
    offer_count: int
    """Of them, who get an offer."""
    offer_cost_cents: float
    """Expected cost of these offers."""
    given_up_cents: float
    """Expected net value that randomising gives up, against the best action for everybody."""


@dataclass(frozen=True)
class OfferOutlook:
    """What an offer is expected to earn with those whom no rule keeps from it, and what it would have to, cents."""

    offer: str
    candidate_count: int
    """Considered customers whom no rule keeps from it."""
    customer_count: int
    """Of them, who get it."""
    effect_cents: float
    """Mean margin that it is expected to add for each candidate, before its cost."""
    cost_cents: float
    """Mean cost for each candidate: what it has to add to pay."""
    worth_count: int
    """Candidates with whom it is expected to earn more than it costs."""


@dataclass(frozen=True)
class DecisionSummary:
    """Decisions of the run, summed."""

    customer_count: int
    offered_count: int
    holdout_count: int
    """Customers in the control group whom an offer could have reached."""
    refused_count: int
    """Customers who may not be contacted."""
    cost_cents: float
    expected_net_cents: float
    budget_cents: float | None
    """What the run might spend, the budget less what other runs of the period decided; None if the policy changed."""
    left_cents: float | None
    """What is left of the period's budget after the run; None if the policy changed."""
    amount_cents: int | None
    """The budget of the whole period; None if the policy changed."""
    period: str | None
    """Code of the budget's period, such as month; None if the policy changed."""
    effect_sources: tuple[str, ...]
    actions: tuple[ActionCount, ...]
    reasons: tuple[ReasonCount, ...]
    policy_version: str | None
    exploration: Exploration | None = None
    """None where no action was randomised."""
    outlooks: tuple[OfferOutlook, ...] = ()
    """One for each offer that anybody could get, in order of how much it earns with the customers it pays for."""
    delivery: Delivery | None = None
    """What became of the run's offers; None where it handed over none."""

    @property
    def is_nobody_contactable(self) -> bool:
        """Whether customers were considered and none of them may be contacted."""
        return 0 < self.customer_count == self.refused_count


@dataclass(frozen=True)
class Effect:
    """Mean effect of one offer on the margin of those who got it, with 95 % intervals; that of a placebo is really 0.

    The whole is the mean of its parts. What decisions use within strata is shrunk, and is not shown.
    """

    offer: str
    stratum: str
    treated_count: int
    control_count: int
    effect_cents: float
    """Adjusted for what was known at the decision."""
    low: float
    high: float
    """Ends of the interval at a single look."""
    standard_error: float
    """Of the effect that decisions use."""
    is_placebo: bool
    decided_from: datetime
    decided_until: datetime
    raw_cents: float | None = None
    """Not adjusted; None of runs that did not measure it, like the following."""
    raw_low: float | None = None
    raw_high: float | None = None
    sequence_low: float | None = None
    sequence_high: float | None = None
    """Ends of the interval that holds however often one looks."""
    cost_cents: float | None = None
    """Mean cost of an offer: discount, orders with its code, sending."""
    net_cents: float | None = None
    """Effect less the costs that are not in the margin already."""

    @property
    def other_cost_cents(self) -> float | None:
        """Mean cost of an offer that the margin does not contain: sending, and orders with its code."""
        return None if self.net_cents is None else self.effect_cents - self.net_cents


@dataclass(frozen=True)
class AssignmentAlarm:
    """An arm that has not as many decisions as it should: until the cause is known, no effect counts."""

    assignment: str
    """holdout or actions."""
    arm: str
    decision_count: int
    expected_decisions: float
    p_value: float


def decision_summary(view: Snapshot) -> DecisionSummary:
    """Sum the decisions of the run by action and by reason."""
    of_run = "from this_decisions"
    by_action = f"""
select action, count(*) as customer_count, {exact_sum("cost_cents")} as cost_cents,
  {exact_sum("expected_net_value_cents")} as expected_net_cents {of_run}
group by action order by customer_count desc, action"""
    version = f"""
select max(policy_version) as version, coalesce({exact_sum("exploration_cost_cents")}, 0.0) as given_up_cents
{of_run}"""
    sources = f"select distinct effect_source {of_run} where action <> 'none' order by 1"
    actions = tuple(ActionCount(**row) for row in records(view.query(by_action)))
    offered = [action for action in actions if action.action != "none"]
    reasons = reason_counts(view, view.run.run_id)
    whole = records(view.query(version))[0]
    policy_version = whole["version"]
    counts = {row.reason: row.customer_count for row in reasons if not row.is_offer}
    budget = view.policy.budget if policy_version == view.policy.version else None
    delivery = delivery_of(view.store, view.run.run_id, before=view.shop.cutoff)
    cost_cents = sum(action.cost_cents for action in offered)
    available = _available_cents(view) if budget else None
    left = (
        None if available is None else max(available - (cost_cents if delivery is None or delivery.holds else 0.0), 0.0)
    )
    return DecisionSummary(
        customer_count=sum(action.customer_count for action in actions),
        offered_count=sum(action.customer_count for action in offered),
        holdout_count=counts.get("holdout", 0),
        refused_count=counts.get("no_consent", 0),
        cost_cents=cost_cents,
        expected_net_cents=sum(action.expected_net_cents for action in offered),
        budget_cents=available,
        left_cents=left,
        amount_cents=budget.cents if budget else None,
        period=budget.period if budget else None,
        effect_sources=tuple(row["effect_source"] for row in records(view.query(sources))),
        actions=actions,
        reasons=reasons,
        policy_version=policy_version,
        exploration=_exploration(reasons, whole["given_up_cents"]),
        outlooks=offer_outlooks(view),
        delivery=delivery,
    )


def _exploration(reasons: Sequence[ReasonCount], given_up_cents: float) -> Exploration | None:
    drawn = [row for row in reasons if row.reason == "exploring"]
    offers = [row for row in drawn if row.is_offer]
    count, offer_count = (sum(row.customer_count for row in rows) for rows in (drawn, offers))
    cost = sum(row.cost_cents for row in offers)
    return Exploration(count, offer_count, cost, given_up_cents) if count else None


def offer_outlooks(view: Snapshot) -> tuple[OfferOutlook, ...]:
    """What each offer would cost and earn; the control group is a part, as the same holds for it."""
    sql = f"""
select a.action as offer, count(*) as candidate_count,
  count(case when d.action = a.action then 1 end) as customer_count,
  {exact_sum("a.effect_cents")} / count(*) as effect_cents, {exact_sum("a.cost_cents")} / count(*) as cost_cents,
  count(case when a.expected_net_value_cents > 0 then 1 end) as worth_count,
  {exact_sum("greatest(a.expected_net_value_cents, 0)")} as earned
from alternatives a join decisions d on d.decision_id = a.decision_id and d.run_id = a.run_id
where a.run_id = '{view.run.run_id}' and coalesce(a.forbidden_by, 'holdout') in ('holdout', 'other_price')
group by a.action order by 7 desc, 1"""
    rows = records(view.query(sql))
    return tuple(OfferOutlook(**{name: value for name, value in row.items() if name != "earned"}) for row in rows)


def reason_counts(view: Snapshot, run_id: str) -> tuple[ReasonCount, ...]:
    """The decisions of a run by reason, offers first."""
    sql = f"""
select reason, action <> 'none' as is_offer, count(*) as customer_count, {exact_sum("cost_cents")} as cost_cents
from decisions where run_id = {literal(run_id)}
group by 1, 2 order by is_offer desc, customer_count desc, reason"""
    return tuple(ReasonCount(**row) for row in records(view.query(sql)))


def _available_cents(view: Snapshot) -> float:
    """The period's budget less what its other runs decided, cents."""
    budget, run = view.policy.budget, view.run
    period = budget_period(run.as_of, budget.period, view.settings.shop.time_zone)
    return max(budget.cents - runs_spent_cents(view, period, without_run=run.run_id), 0.0)


def effects(view: Snapshot) -> tuple[Effect, ...]:
    """Measured effects of the offers before this run, those over all customers first."""
    sql = """
select offer, stratum, treated_count, control_count, coalesce(adjusted_cents, effect_cents) as effect_cents,
  coalesce(adjusted_low, low) as low, coalesce(adjusted_high, high) as high, standard_error, is_placebo,
  decided_from, decided_until, raw_cents, raw_low, raw_high, sequence_low, sequence_high, cost_cents, net_cents
from this_effects
order by case when offer = 'any' then 0 else 1 end, case when stratum = 'all' then 0 else 1 end, offer, stratum"""
    return tuple(Effect(**row) for row in records(view.query(sql)))


def assignment_alarms(view: Snapshot) -> tuple[AssignmentAlarm, ...]:
    """Of each assignment that cannot be as declared, the arm that is furthest off."""
    sql = """
select assignment, arm, decision_count, expected_decisions, p_value from this_assignment_checks
where is_alarm
order by assignment desc, abs(decision_count - expected_decisions) / (expected_decisions + 1) desc, arm"""
    furthest = {}
    for row in records(view.query(sql)):
        furthest.setdefault(row["assignment"], AssignmentAlarm(**row))
    return tuple(furthest.values())
