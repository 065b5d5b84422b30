"""What a policy would have earned on the decisions that a workspace has logged, before it is switched on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

import numpy as np
import sqlalchemy as sa

from patron import decide, measure
from patron.decide.offers import select_again
from patron.decide.selection import NONE
from patron.estimators.bootstrap import Interval
from patron.experiments import off_policy
from patron.measure.decision_outcomes import DecisionOutcomes
from patron.measure.effect_measurement import measured_outcomes
from patron.schema.errors import BadLog, NotEnoughData
from patron.schema.numbers import Numbers
from patron.storage.offers.policy import Policy
from patron.storage.runs.runs import Run
from patron.storage.runs.stage_view import VAULT
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

MIN_DECISIONS = 100
"""Fewer decisions, or decisions' worth of weight, say nothing."""
TRIED_SHARE = 0.001
"""An offer that fewer decisions could have had counts as never tried."""
WhyNot = Literal["nothing_logged", "not_delivered", "no_support", "too_few"]


@dataclass(frozen=True)
class ValuePerDecision:
    """What a decision of a policy earns: margin less all costs of the offer within the measured window, cents."""

    value_cents: float
    low: float
    high: float
    """The middle 95 %. Decisions count as independent, also those about one customer."""
    effective_sample_size: float
    """Decisions that would be worth as much if the policy itself had made them."""
    offer_share: float
    """Share of the decisions that give an offer, 0 to 1."""
    gain: Interval
    """How much more it earns than what was decided then, from the same decisions, cents with 95 % interval."""


@dataclass(frozen=True)
class LoggedValue:
    """Today's policy and another one, judged on the same logged decisions about customers outside the holdout."""

    decision_count: int
    """Logged decisions that both policies could be judged on."""
    run_count: int
    unsupported_share: float
    """Share of the decisions that were left out: one of the policies takes an action there that was never tried."""
    candidate: ValuePerDecision | None
    today: ValuePerDecision | None
    never_tried: tuple[str, ...]
    """Offers of the candidate that no logged decision could have had."""
    findings: tuple[str, ...] = ()
    """What is wrong with the log or with the overlap, in sentences."""
    why_not: WhyNot | None = None
    """Why there is no value."""


def logged_value(shop: Shop, candidate: Policy, *, seed: int = 0) -> LoggedValue:
    """Judge a policy on the decisions of earlier runs whose window is over, next to the policy in force."""
    outcomes, is_placebo = _outcomes(shop)
    if outcomes is None or is_placebo:
        why: WhyNot = "nothing_logged" if outcomes is None else "not_delivered"
        return LoggedValue(
            0,
            0,
            unsupported_share=0.0,
            candidate=None,
            today=None,
            never_tried=tuple(offer.id for offer in candidate.offers),
            findings=(),
            why_not=why,
        )
    actions = sorted({*(offer.id for policy in (candidate, shop.policy) for offer in policy.offers), *outcomes.action})
    actions = [*(action for action in actions if action != NONE), NONE]
    logged = _logged_probabilities(outcomes, actions)
    targets = [_target(shop, policy, outcomes, actions) for policy in (candidate, shop.policy)]
    is_supported = np.all([((target > 0) <= (logged > 0)).all(axis=1) for target in targets], axis=0)
    tried = dict(zip(actions, (logged > 0).mean(axis=0), strict=True))
    never = tuple(offer.id for offer in candidate.offers if tried[offer.id] < TRIED_SHARE)
    counts = int(is_supported.sum()), len(set(outcomes.run.tolist())), float(1 - is_supported.mean())
    if counts[0] < MIN_DECISIONS:
        return LoggedValue(*counts, None, None, never, (), "no_support" if counts[2] > 0 else "too_few")
    kept = outcomes.rows(is_supported)
    try:
        of_candidate, findings = _value(kept, logged[is_supported], targets[0][is_supported], actions, seed)
        of_today, _ = _value(kept, logged[is_supported], targets[1][is_supported], actions, seed)
    except (BadLog, NotEnoughData):
        return LoggedValue(*counts, None, None, never, (), "too_few")
    is_worth = of_candidate.effective_sample_size >= MIN_DECISIONS
    return LoggedValue(*counts, of_candidate, of_today, never, findings, None if is_worth else "too_few")


def _outcomes(shop: Shop) -> tuple[DecisionOutcomes | None, bool]:
    """Decisions about customers outside the holdout whose window is over, and whether offers were never sent."""
    snapshot = shop.snapshot()
    if snapshot is None:
        return None, False
    view = shop.view(measure.READS, (), run=snapshot.run, pinned=snapshot.pinned)
    measured = measured_outcomes(view)
    if measured is None:
        return None, False
    return measured.outcomes.rows(~measured.outcomes.is_holdout), measured.is_placebo


def _logged_probabilities(outcomes: DecisionOutcomes, actions: Sequence[str]) -> Numbers:
    """Probability of each action at each decision; 1 for what was not randomised."""
    logged = np.column_stack([outcomes.propensities.get(action, np.zeros(len(outcomes.action))) for action in actions])
    certain = logged.sum(axis=1) == 0
    place = {action: at for at, action in enumerate(actions)}
    logged[certain, [place[action] for action in outcomes.action[certain].tolist()]] = 1.0
    return logged


def _target(shop: Shop, policy: Policy, outcomes: DecisionOutcomes, actions: Sequence[str]) -> Numbers:
    """Probability of each action at each logged decision under a policy; who it does not consider gets nothing."""
    target = np.zeros((len(outcomes.action), len(actions)))
    target[:, -1] = 1.0
    columns = np.array([*(actions.index(offer.id) for offer in policy.offers), len(actions) - 1])
    for run, chosen in _selections(shop, policy, sorted(set(outcomes.run.tolist()))).items():
        rows = np.flatnonzero(outcomes.run == run)
        at = np.array([chosen[0].get(customer, -1) for customer in outcomes.customer[rows].tolist()])
        known = at >= 0
        target[rows[known]] = 0.0
        target[rows[known][:, None], columns] = chosen[1][at[known]]
    return target


def _selections(shop: Shop, policy: Policy, run_ids: Sequence[str]) -> Mapping[str, tuple[dict[str, int], Numbers]]:
    """For each run the rows of its customers, and the probabilities of the policy's offers and, last, of nothing."""
    snapshot = shop.snapshot()
    if snapshot is None:
        return {}
    with shop.store.begin() as connection:
        rows = connection.execute(sa.select(RUNS).where(RUNS.c.run_id.in_(run_ids))).mappings().all()
    reads = [name for name in (*decide.READS, *decide.WRITES) if name != VAULT]
    selections = {}
    for row in rows:
        as_of = row["as_of"] if row["as_of"].tzinfo else row["as_of"].replace(tzinfo=UTC)
        run = Run(row["run_id"], as_of, row["seed"])
        view = shop.view(reads, (), run=run, pinned=snapshot.pinned)
        view.policy = policy
        customers, choice = select_again(view)
        place = {customer: at for at, customer in enumerate(customers["customer_id"].to_pylist())}
        selections[run.run_id] = place, choice.propensities_by_action
    return selections


def _value(
    outcomes: DecisionOutcomes, logged: Numbers, target: Numbers, actions: Sequence[str], seed: int
) -> tuple[ValuePerDecision, tuple[str, ...]]:
    """Value of a policy on decisions whose actions it could have had. Raises BadLog, NotEnoughData."""
    action = np.array([actions.index(one) for one in outcomes.action.tolist()])
    propensity = logged[np.arange(len(action)), action]
    reward = outcomes.margin_cents - outcomes.other_cost_cents
    judged = off_policy(reward, action, propensity, target, context=outcomes.covariates, seed=seed)
    size = judged.row("ips").effective_sample_size
    share = float(1 - target[:, -1].mean())
    return ValuePerDecision(
        judged.value, judged.low, high=judged.high, effective_sample_size=size, offer_share=share, gain=judged.gain
    ), judged.findings
