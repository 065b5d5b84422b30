"""Select an action for each candidate: consent, holdout and caps first, then randomisation, then the best in budget."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.allocation import allocate
from patron.decide.expected_value import ASSUMED, MEASURED, Effects, ExpectedValue, expected_values, spend_per_day
from patron.decide.exploration import Alternatives, explore
from patron.decide.randomisation import NOTHING, SLOTS, Codes, Wheel, certain_counts, draw_slots
from patron.decide.strata import strata
from patron.schema.numbers import Numbers, float_column
from patron.storage.policy import Policy

NONE = "none"

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
    margin_share: float
    """Margin before discounts as a share of the price, 0 to 1."""


@dataclass(frozen=True)
class OfferSelection:
    """The selected actions, one row per candidate; `action` is the offer's number or -1."""

    action: Codes
    best: Codes
    """The action without randomising."""
    reason: npt.NDArray[np.str_]
    stratum: npt.NDArray[np.str_]
    expected: ExpectedValue
    propensities_by_action: npt.NDArray[np.float64]
    """Probability of each offer and, last, of none."""
    forbidden: npt.NDArray[np.str_]
    """Code of the rule that forbids each offer to each candidate, or ''; shape (candidates, offers)."""
    budget_price: float = 0.0
    """Net value that the next unit of budget would add; 0 where the budget does not bind."""

    @property
    def propensity(self) -> Numbers:
        """Probability of each selected action."""
        return self.propensities_by_action[np.arange(len(self.action)), self.action]

    @property
    def exploration_cost_cents(self) -> Numbers:
        """Expected net value that randomising gives up for each candidate, cents."""
        net = np.column_stack([self.expected.net, np.zeros(len(self.action))])
        return net[np.arange(len(self.best)), self.best] - (self.propensities_by_action * net).sum(axis=1)


def select_offers(  # noqa: PLR0913 - two limits in money
    rows: pa.Table,
    is_held_out: npt.NDArray[np.bool_],
    policy: Policy,
    evidence: Evidence,
    *,
    budget_cents: float,
    regret_cents: float,
    rng: np.random.Generator,
) -> OfferSelection:
    """Select an action for each candidate, whatever their order.

    Spend stays within the budget whatever the random numbers are, and the expected net value that randomising gives up
    within `regret_cents`.
    """
    stratum = strata(rows, spend_per_day(rows))
    expectation = expected_values(
        rows, stratum, policy.offers, effects=evidence.effects, margin_share=evidence.margin_share
    )
    reason = exclusion_reasons(rows, is_held_out, policy)
    forbidden = np.repeat(reason[:, None], len(policy.offers), axis=1)
    counts = certain_counts(np.full(rows.num_rows, NOTHING, dtype=np.int64), len(policy.offers))
    action, best = np.full((2, rows.num_rows), NOTHING, dtype=np.int64)
    price = 0.0
    customers = rows["customer_id"].to_numpy(zero_copy_only=False)
    eligible = np.flatnonzero(reason == "")
    eligible = eligible[np.argsort(customers[eligible], kind="stable")]
    if len(eligible):
        some, is_allowed = expectation.rows(eligible), forbidden[eligible] == ""
        best[eligible], price = _best_actions(some, is_allowed, budget_cents=budget_cents)
        wheel = _explored_wheel(
            stratum[eligible],
            some,
            Alternatives.of(some, best[eligible], is_allowed),
            budget_cents=budget_cents,
            regret_cents=regret_cents,
            rng=rng,
        )
        counts[eligible], action[eligible] = wheel.counts, wheel.turn(rng)
        unoffered = np.where((some.net > 0).any(axis=1), "over_budget", "net_value_below_zero")
        of_best = np.where(best[eligible] >= 0, "best_net_value", unoffered)
        reason[eligible] = np.where(action[eligible] != best[eligible], "exploring", of_best)
    return OfferSelection(action, best, reason, stratum, expectation, counts / SLOTS, forbidden, price)


def withhold_offers(choice: OfferSelection) -> OfferSelection:
    """The same customers without any offer: who could have had one has none because it would be unfair."""
    nothing = np.full(len(choice.action), NOTHING, dtype=np.int64)
    probability = np.zeros_like(choice.propensities_by_action)
    probability[:, -1] = 1.0
    reason = np.where(could_have_offer(choice), "unfair", choice.reason)
    return replace(choice, action=nothing, best=nothing, reason=reason, propensities_by_action=probability)


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


def _best_actions(
    expectation: ExpectedValue, is_allowed: npt.NDArray[np.bool_], *, budget_cents: float
) -> tuple[Codes, float]:
    """The best action of each customer within the budget, and the budget's price."""
    allocation = allocate(expectation.net, expectation.cost, budget_cents, eligible=is_allowed)
    return allocation.choice, float(allocation.prices["budget"])


def _explored_wheel(
    stratum: npt.NDArray[np.str_],
    expectation: ExpectedValue,
    alternatives: Alternatives,
    *,
    budget_cents: float,
    regret_cents: float,
    rng: np.random.Generator,
) -> Wheel:
    """The wheel of as much exploration as regret and budget allow."""
    slot = draw_slots(stratum, expectation.cost, rng=rng)

    def fits(counts: Codes) -> bool:
        return Wheel(slot, counts).most_used(expectation.cost) <= budget_cents

    return Wheel(slot, explore(alternatives, regret_cents=regret_cents, fits=fits))


def effect_source(choice: OfferSelection) -> npt.NDArray[np.str_]:
    """Whether the effect of each row was measured or assumed; for 'none' that of the offers compared with it."""
    known = choice.expected.is_measured
    chosen = np.maximum(choice.action, 0)
    of_action = known[np.arange(len(known)), chosen] if known.shape[1] else np.zeros(len(known), np.bool_)
    return np.where(of_action, MEASURED, ASSUMED)
