"""Select an action for each candidate: who may get what first, then the best within all limits, then exploration."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.allocation import Allocation, allocate
from patron.decide.eligibility import (
    EXCLUSIONS,
    Supply,
    closed_offers,
    exclusion_reasons,
    forbidden_offers,
    refuses_personal_offers,
)
from patron.decide.evidence import Evidence
from patron.decide.expected_value import ALL, ASSUMED, MEASURED, ExpectedValue, expected_values, spend_per_day
from patron.decide.exploration import Alternatives, explore
from patron.decide.fair_prices import fair_prices, price_groups
from patron.decide.ordinary_offer import impersonal, ordinary_offer
from patron.decide.randomisation import NOTHING, SLOTS, Codes, Wheel, certain_counts, draw_slots
from patron.decide.strata import strata
from patron.schema.numbers import Numbers
from patron.storage.offers.policy import Policy

NONE = "none"
EVERYTHING = Supply()
ROUNDING = 1e-9
"""By which share sums of cents may be off."""


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
    supply: Supply = EVERYTHING,
) -> OfferSelection:
    """Select an action for each candidate, whatever their order.

    Spend and offers stay within budget and stock whatever the random numbers are, and the expected net value that
    randomising gives up within `regret_cents`.
    """
    draft = _Draft.of(rows, is_held_out, policy, evidence, supply)
    refusing = np.flatnonzero(draft.refuses & (draft.reason == "ordinary_offer"))
    ordinary = ordinary_offer(policy, draft.expected.cost[refusing], draft.closed, supply, budget_cents=budget_cents)
    draft.give(refusing, ordinary.action)
    eligible = np.flatnonzero(draft.reason == "")
    eligible = eligible[np.argsort(rows["customer_id"].to_numpy(zero_copy_only=False)[eligible], kind="stable")]
    price = 0.0
    if len(eligible):
        left = np.array([supply.left(offer) for offer in policy.offers])
        if ordinary.action != NOTHING:
            left[ordinary.action] -= len(refusing)
        limits = _Limits(budget_cents - ordinary.cost_cents, left)
        price = _select_eligible(draft, eligible, policy, limits, regret_cents=regret_cents, rng=rng)
    return draft.selection(price)


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


@dataclass(frozen=True)
class _Limits:
    """What all offers of the run may use."""

    budget_cents: float
    left: Numbers
    """How many of each offer there are; infinite without a limit."""

    def best(self, expectation: ExpectedValue, is_allowed: npt.NDArray[np.bool_]) -> Allocation:
        """The most net value within the limits."""
        stock = [None if np.isinf(count) else int(count) for count in self.left]
        is_limited = any(count is not None for count in stock)
        return allocate(
            expectation.net,
            expectation.cost,
            self.budget_cents,
            stock=stock if is_limited else None,
            eligible=is_allowed,
        )

    def of_prices(self, expectation: ExpectedValue, is_allowed: npt.NDArray[np.bool_]) -> dict[str, float]:
        """The budget, and what its last unit earns where everybody may have their best price."""
        free = allocate(expectation.net, expectation.cost, self.budget_cents, eligible=is_allowed)
        return {"budget_cents": self.budget_cents * (1 + ROUNDING), "budget_price": float(free.prices["budget"])}

    def hold(self, wheel: Wheel, cost: Numbers) -> bool:
        """Whether every position of a wheel is within the limits."""
        if wheel.peak_use(cost) > self.budget_cents * (1 + ROUNDING):
            return False
        ones = np.eye(cost.shape[1])
        return all(
            wheel.peak_use(np.broadcast_to(ones[at], cost.shape)) <= self.left[at] * (1 + ROUNDING)
            for at in np.flatnonzero(np.isfinite(self.left))
        )


@dataclass
class _Draft:
    """A selection while it is made."""

    stratum: npt.NDArray[np.str_]
    expected: ExpectedValue
    refuses: npt.NDArray[np.bool_]
    closed: npt.NDArray[np.str_]
    forbidden: npt.NDArray[np.str_]
    reason: npt.NDArray[np.str_]
    counts: Codes
    action: Codes
    best: Codes

    @classmethod
    def of(
        cls, rows: pa.Table, is_held_out: npt.NDArray[np.bool_], policy: Policy, evidence: Evidence, supply: Supply
    ) -> "_Draft":
        """Nothing for anybody yet; who can get nothing has the reason."""
        spend = spend_per_day(rows)
        refuses = refuses_personal_offers(rows)
        margin = evidence.margin_share
        stratum = np.where(refuses, ALL, strata(rows, spend))
        expected = expected_values(rows, stratum, policy.offers, evidence)
        reason = exclusion_reasons(rows, is_held_out, policy)
        forbidden = forbidden_offers(rows, spend, policy, supply=supply, margin_share=margin)
        reason[(reason == "") & (forbidden != "").all(axis=1)] = "not_eligible"
        is_personal = reason == "ordinary_offer"
        forbidden[is_personal] = "personal_refused"
        whole = ~is_personal & (reason != "") & (reason != "not_eligible")
        forbidden[whole] = reason[whole, None]
        nothing = np.full(rows.num_rows, NOTHING, dtype=np.int64)
        closed = closed_offers(policy, supply=supply, margin_share=margin)
        counts = certain_counts(nothing, len(policy.offers))
        expected = impersonal(expected, refuses)
        return cls(stratum, expected, refuses, closed, forbidden, reason, counts, nothing, nothing.copy())

    def give(self, customers: npt.NDArray[np.intp], action: int) -> None:
        """Give customers an action that nothing else can replace."""
        self.action[customers] = self.best[customers] = action
        self.counts[customers] = certain_counts(self.action[customers], self.expected.cost.shape[1])
        if action != NOTHING:
            self.forbidden[customers, action] = ""

    def selection(self, price: float) -> OfferSelection:
        """The finished selection."""
        return OfferSelection(
            self.action,
            self.best,
            reason=self.reason,
            stratum=self.stratum,
            expected=self.expected,
            propensities_by_action=self.counts / SLOTS,
            forbidden=self.forbidden,
            budget_price=price,
        )


def _select_eligible(
    draft: _Draft,
    eligible: npt.NDArray[np.intp],
    policy: Policy,
    limits: _Limits,
    *,
    regret_cents: float,
    rng: np.random.Generator,
) -> float:
    """Select the action of each customer who may get an offer; returns the budget's price."""
    expected, stratum = draft.expected.rows(eligible), draft.stratum[eligible]
    is_allowed = draft.forbidden[eligible] == ""
    is_price = np.array([offer.is_price and not policy.fairness.price_from_value for offer in policy.offers])
    prices = fair_prices(
        expected, price_groups(stratum), is_allowed, is_price, **limits.of_prices(expected, is_allowed)
    )
    allocation = limits.best(expected, is_allowed & ~prices.is_other)
    best, slot = allocation.choice, draw_slots(stratum, expected.cost, rng=rng)
    counts = explore(
        Alternatives.of(expected, best, is_allowed, prices),
        regret_cents=regret_cents if limits.budget_cents > 0 else 0.0,
        fits=lambda counts: limits.hold(Wheel(slot, counts), expected.cost),
    )
    wheel = Wheel(slot, counts)
    action = wheel.turn(rng)
    possible = is_allowed & ~prices.is_other
    unoffered = np.where(((expected.net > 0) & possible).any(axis=1), "over_budget", "net_value_below_zero")
    of_best = np.where(best >= 0, "best_net_value", unoffered)
    draft.reason[eligible] = np.where(action != best, "exploring", of_best)
    draft.best[eligible] = best
    draft.action[eligible] = action
    draft.counts[eligible] = counts
    is_closed = prices.is_other & (counts[:, :-1] == 0)
    draft.forbidden[eligible] = np.where(is_closed, "other_price", draft.forbidden[eligible])
    return float(allocation.prices["budget"])


def effect_source(choice: OfferSelection) -> npt.NDArray[np.str_]:
    """Whether the effect of each row was measured or assumed; for 'none' that of the offers compared with it."""
    known = choice.expected.is_measured
    chosen = np.maximum(choice.action, 0)
    of_action = known[np.arange(len(known)), chosen] if known.shape[1] else np.zeros(len(known), np.bool_)
    return np.where(of_action, MEASURED, ASSUMED)
