"""Select an action for each candidate: consent, holdout and caps first, then randomisation, then the best in budget."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.allocation import allocate
from patron.decide.expected_value import ASSUMED, MEASURED, Effects, ExpectedValue, expected_values, spend_per_day
from patron.decide.randomisation import (
    BEST,
    NOTHING,
    Codes,
    Placement,
    Wheel,
    actions,
    affordable_wheel,
    draw_arms,
    draw_slots,
    max_cost,
    propensities,
)
from patron.decide.strata import strata
from patron.schema.numbers import float_column
from patron.storage.policy import Policy

NONE = "none"
ALLOTMENTS = 12
"""Sizes tried between the whole budget and the part that is surely free."""

REASONS = {
    "no_consent": "the customer may not be contacted",
    "holdout": "in the control group, so that effects can be measured",
    "cap_reached": "had as many offers lately as the policy allows",
    "no_offer": "the policy names no offer",
    "exploring": "randomised, so that effects can be measured",
    "best_net_value": "the offer with the best expected net value",
    "over_budget": "worth an offer, but others are worth more and the budget ends",
    "net_value_below_zero": "every offer is expected to cost more than it earns",
    "unfair": "the run decides no offers, because groups of customers would be treated too differently",
}
EXCLUSIONS = ("no_consent", "no_offer", "holdout", "cap_reached")
"""Reasons why a customer could get no offer at all."""


@dataclass(frozen=True)
class Evidence:
    """What earlier runs have shown."""

    effects: Effects
    is_exploring: bool
    """Whether offers are still given at random."""
    margin_share: float
    """Margin before discounts as a share of the price, 0 to 1."""


@dataclass(frozen=True)
class OfferSelection:
    """The selected actions, one row per candidate; `action` is the offer's number or -1."""

    action: Codes
    propensity: npt.NDArray[np.float64]
    reason: npt.NDArray[np.str_]
    stratum: npt.NDArray[np.str_]
    expected: ExpectedValue
    propensities_by_action: npt.NDArray[np.float64]
    """Probability of each offer and, last, of none."""
    forbidden: npt.NDArray[np.str_]
    """Code of the rule that forbids each offer to each candidate, or ''; shape (candidates, offers)."""
    budget_price: float = 0.0
    """Net value that the next unit of budget would add; 0 where the budget does not bind."""


def is_first_month(as_of: datetime, first_at: datetime | None, first_days: int) -> bool:
    """Whether offers are still given at random: until `first_days` after the first one."""
    return first_at is None or as_of < first_at + timedelta(days=first_days)


def select_offers(
    rows: pa.Table,
    is_held_out: npt.NDArray[np.bool_],
    policy: Policy,
    evidence: Evidence,
    *,
    budget_cents: float,
    rng: np.random.Generator,
) -> OfferSelection:
    """Select an action for each candidate. Spend stays within the budget whatever the random numbers are."""
    stratum = strata(rows, spend_per_day(rows))
    expectation = expected_values(
        rows, stratum, policy.offers, effects=evidence.effects, margin_share=evidence.margin_share
    )
    reason = exclusion_reasons(rows, is_held_out, policy)
    eligible = np.flatnonzero(reason == "")
    action = np.full(rows.num_rows, NOTHING, dtype=np.int64)
    probability = np.zeros((rows.num_rows, len(policy.offers) + 1))
    probability[:, -1] = 1.0
    forbidden = np.repeat(reason[:, None], len(policy.offers), axis=1)
    price = 0.0
    if len(eligible):
        action[eligible], probability[eligible], reason[eligible], price = _select_actions(
            stratum[eligible],
            _rows(expectation, eligible),
            policy,
            is_exploring=evidence.is_exploring,
            budget=budget_cents,
            rng=rng,
        )
    propensity = probability[np.arange(rows.num_rows), action]
    return OfferSelection(action, propensity, reason, stratum, expectation, probability, forbidden, price)


def withhold_offers(choice: OfferSelection) -> OfferSelection:
    """The same customers without any offer: who could have had one has none because it would be unfair."""
    nothing = np.full(len(choice.action), NOTHING, dtype=np.int64)
    probability = np.zeros_like(choice.propensities_by_action)
    probability[:, -1] = 1.0
    reason = np.where(could_have_offer(choice), "unfair", choice.reason)
    return replace(
        choice, action=nothing, propensity=np.ones(len(nothing)), reason=reason, propensities_by_action=probability
    )


def could_have_offer(choice: OfferSelection) -> npt.NDArray[np.bool_]:
    """Whether nothing kept each customer from an offer but the choice itself."""
    return ~np.isin(choice.reason, EXCLUSIONS)


def expected_gain_cents(choice: OfferSelection) -> float:
    """Expected net value of all actions, over the random numbers they are drawn by, cents."""
    return float((choice.propensities_by_action[:, :-1] * choice.expected.net).sum())


def may_contact(rows: pa.Table, policy: Policy) -> npt.NDArray[np.bool_]:
    """Whether each candidate may be contacted: their latest consent, or what the policy assumes without one."""
    return np.array(
        [policy.consent.allows(is_granted=one) for one in rows["is_consent_granted"].to_pylist()], dtype=bool
    )


def exclusion_reasons(rows: pa.Table, is_held_out: npt.NDArray[np.bool_], policy: Policy) -> npt.NDArray[np.str_]:
    """Why a candidate cannot get an offer, or ''."""
    capped = float_column(rows, "offer_count", np.nan) >= policy.caps.offers_per_customer
    tests = [
        (~may_contact(rows, policy), "no_consent"),
        (np.full(rows.num_rows, not policy.offers), "no_offer"),
        (is_held_out, "holdout"),
        (capped, "cap_reached"),
    ]
    return np.select([test for test, _ in tests], [name for _, name in tests], default="").astype("<U20")


def _select_actions(
    stratum: npt.NDArray[np.str_],
    expectation: ExpectedValue,
    policy: Policy,
    *,
    is_exploring: bool,
    budget: float,
    rng: np.random.Generator,
) -> tuple[Codes, npt.NDArray[np.float64], npt.NDArray[np.str_], float]:
    share = 1.0 if is_exploring else policy.exploration.later_share
    is_open = np.where(is_exploring, True, expectation.optimistic_net > 0)
    placement = Placement(draw_slots(stratum, expectation.cost, rng=rng), expectation.cost, is_open)
    wheel = affordable_wheel(
        placement, share=share, offer_share=policy.exploration.offer_share, budget_cents=share * budget
    )
    best, price = _best_within(expectation, placement, wheel, share=share, budget=budget)
    arm = draw_arms(wheel, placement.slot, rng=rng)
    unoffered = np.where((expectation.net > 0).any(axis=1), "over_budget", "net_value_below_zero")
    reason = np.where(arm != BEST, "exploring", np.where(best >= 0, "best_net_value", unoffered))
    return actions(arm, best, is_open), propensities(wheel, best, is_open), reason.astype("<U20"), price


def _best_within(
    expectation: ExpectedValue, placement: Placement, wheel: Wheel, *, share: float, budget: float
) -> tuple[Codes, float]:
    """The best offers for as much as no position of the wheel lets the run exceed its budget, and the budget's price.

    Randomised customers do not get the best offer, so more can be allotted than will be spent.
    """
    for part in np.linspace(1.0, 1.0 - share, ALLOTMENTS):
        allocation = allocate(expectation.net, expectation.cost, part * budget)
        if max_cost(wheel, placement, allocation.choice) <= budget:
            return allocation.choice, float(allocation.prices["budget"])
    return np.full(len(expectation.cost), NOTHING, dtype=np.int64), 0.0


def _rows(expectation: ExpectedValue, which: npt.NDArray[np.intp]) -> ExpectedValue:
    return ExpectedValue(
        expectation.effect[which],
        expectation.cost[which],
        expectation.optimistic_net[which],
        expectation.is_measured[which],
    )


def effect_source(choice: OfferSelection) -> npt.NDArray[np.str_]:
    """Whether the effect of each row was measured or assumed; for 'none' that of the offers compared with it."""
    known = choice.expected.is_measured
    chosen = np.maximum(choice.action, 0)
    of_action = known[np.arange(len(known)), chosen] if known.shape[1] else np.zeros(len(known), np.bool_)
    return np.where(of_action, MEASURED, ASSUMED)
