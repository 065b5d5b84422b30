"""Select the offer of a campaign for each customer of its audience: the most of its goal within its budget.

Costs, effects, consent, caps, rules of the catalogue, stock and one price for all of a stage and taste are those of the
nightly run. Nothing is randomised but the holdout, which the campaign draws: its customers are selected as the others
are, so that the two stay alike, and use no budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.allocation import allocate
from patron.decide.eligibility import (
    Supply,
    closed_offers,
    exclusion_reasons,
    forbidden_offers,
    refuses_personal_offers,
)
from patron.decide.evidence import Evidence
from patron.decide.expected_value import ExpectedValue, expected_values, order_cents, spend_per_day
from patron.decide.fair_prices import fair_prices, price_groups
from patron.decide.ordinary_offer import impersonal
from patron.decide.selection import ROUNDING
from patron.decide.strata import strata
from patron.schema.numbers import Numbers
from patron.storage.offers.offer_policy import Offer
from patron.storage.offers.policy import Policy

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]
MESSAGE = "message"
"""Id that stands for a message without an offer."""
NOTHING = -1
TRIES = 6
"""Budgets tried for all customers, so that those outside the holdout use theirs."""
LAPSED = "lapsed"
NO_CAP = "cap_reached"
ORDERS_PER_CENT = 1e-9
"""Orders that a cent is worth where orders are the goal: of two offers that bring as many, the cheaper one."""


@dataclass(frozen=True)
class CampaignTerms:
    """What a campaign is to bring, and what it may use."""

    goal: str
    """profit, orders or reactivated."""
    budget_cents: float
    message_cents: float = 0.0
    """Cost of a message without an offer."""
    gain_factor: float = 1.0
    """What earlier campaigns make of the expected gains."""


@dataclass(frozen=True)
class CampaignSelection:
    """One row per customer of the audience: the action, and what it is expected to bring; cents."""

    offers: tuple[str, ...]
    """Ids of the offers that `action` is a place in; the last one is the message alone."""
    action: Codes
    """-1: no message."""
    reason: npt.NDArray[np.str_]
    """Why there is no message; '' where there is one."""
    gain: Numbers
    """Extra margin before costs, as expected before earlier campaigns correct it."""
    cost: Numbers
    sending: Numbers
    """The part of the cost that is spent at once."""
    standard_error: Numbers
    """Of the gain."""
    added_orders: Numbers
    """As expected before earlier campaigns correct it."""
    valid_days: Numbers
    spend_per_day: Numbers
    """Without the campaign, cents."""
    order_cents: Numbers
    """Size of an order, cents."""

    @property
    def is_selected(self) -> Flags:
        """Whether the customer is written to, but for the holdout."""
        return self.action != NOTHING

    @property
    def prior_error(self) -> float:
        """Standard error of all gains as a share of them: one assumption for all, so that errors do not cancel out."""
        gain = float(np.abs(self.gain).sum())
        return float(self.standard_error.sum()) / gain if gain > 0 else 1.0

    def rows(self, which: npt.NDArray[np.intp]) -> "CampaignSelection":
        """Some of the customers."""
        arrays = (field_.name for field_ in fields(self) if field_.name != "offers")
        return replace(self, **{name: getattr(self, name)[which] for name in arrays})


def message_alone(policy: Policy, days: int) -> Offer:
    """The message without an offer, as the catalogue would have it."""
    return Offer(
        id=MESSAGE,
        kind="reminder",
        assumed_purchase_uplift=policy.campaigns.message_uplift,
        valid_days=min(max(days, 1), 365),
    )


def select_campaign_offers(
    rows: pa.Table, is_held_out: Flags, policy: Policy, evidence: Evidence, terms: CampaignTerms, supply: Supply
) -> CampaignSelection:
    """Select an action for each customer, in the order of `rows`, which is that of their ids.

    The last of the policy's offers is the message alone: for all where it is the only one,
    and else for those who refuse personal offers and have no ordinary one. What customers outside the holdout are
    expected to cost is within the budget.
    """
    spend = spend_per_day(rows)
    refuses = refuses_personal_offers(rows)
    margin = evidence.margin_share
    stratum, plain = values_of_offers(rows, policy.offers, evidence)
    cost = plain.cost.copy()
    cost[:, -1] += terms.message_cents
    plain = impersonal(replace(plain, cost=cost), refuses)
    expected = replace(plain, effect=plain.effect * terms.gain_factor)
    added = _added_orders(plain, rows, margin)
    is_message_only = len(policy.offers) == 1
    reason = exclusion_reasons(rows, np.zeros(rows.num_rows, np.bool_), policy)
    if is_message_only:
        reason[reason == NO_CAP] = np.where(refuses[reason == NO_CAP], "ordinary_offer", "")
    forbidden = forbidden_offers(rows, spend, policy, supply=supply, margin_share=margin)
    worth = _worth(terms, expected, added, rows)
    stock = np.array([supply.left(offer) for offer in policy.offers])
    is_charged = ~is_held_out
    action = _impersonal_actions(reason, forbidden, expected.cost * is_charged[:, None], stock, policy, terms)
    impersonally = np.flatnonzero((action != NOTHING) & is_charged)
    left = terms.budget_cents - float(expected.cost[impersonally, action[impersonally]].sum())
    personal = reason == ""
    is_allowed = personal[:, None] & (forbidden == "")
    if not is_message_only:
        is_allowed[:, -1] = False
    stock -= np.bincount(action[action != NOTHING], minlength=len(policy.offers))
    valued = replace(expected, effect=worth + expected.cost)
    is_allowed &= ~_other_prices(valued, stratum, is_allowed, policy, left)
    choice = _within_budget(valued, is_allowed, is_charged, stock, left)
    action = np.where(personal, choice, action)
    reason = np.where(action != NOTHING, "", _reasons(reason, is_allowed, forbidden, worth))
    contact = np.array([*(float(offer.contact_cost_cents) for offer in policy.offers[:-1]), terms.message_cents])
    return selection_of(policy.offers, rows, action, plain, contact, margin_share=margin, reason=reason)


def select_decided_offers(
    rows: pa.Table, decided: Sequence[str], policy: Policy, evidence: Evidence, supply: Supply
) -> CampaignSelection:
    """The offer that a run decided on for each customer, but for those who may not get it by now; `rows` as above."""
    number = {offer.id: at for at, offer in enumerate(policy.offers)}
    action = np.array([number[name] for name in decided], dtype=np.int64)
    _, plain = values_of_offers(rows, policy.offers, evidence)
    plain = impersonal(plain, refuses_personal_offers(rows))
    reason = exclusion_reasons(rows, np.zeros(rows.num_rows, np.bool_), policy)
    is_ordinary = np.array([offer.is_ordinary for offer in policy.offers])[action]
    reason[is_ordinary & (reason == "ordinary_offer")] = ""
    is_closed = closed_offers(policy, supply=supply, margin_share=evidence.margin_share)[action] != ""
    reason = np.where((reason == "") & is_closed, "not_eligible", reason)
    reason = np.where(reason == "ordinary_offer", "not_eligible", reason)
    for at, offer in enumerate(policy.offers):
        if np.isfinite(left := supply.left(offer)):
            reason[np.flatnonzero((action == at) & (reason == ""))[int(left) :]] = "not_eligible"
    action = np.where(reason == "", action, NOTHING)
    contact = np.array([float(offer.contact_cost_cents) for offer in policy.offers])
    parts = (policy.offers, rows, action, plain, contact)
    return selection_of(*parts, margin_share=evidence.margin_share, reason=reason)


def values_of_offers(
    rows: pa.Table, offers: Sequence[Offer], evidence: Evidence
) -> tuple[npt.NDArray[np.str_], ExpectedValue]:
    """Stratum of each customer (who refuses personal offers is in "all"), and what each offer is expected to bring."""
    stratum = np.where(refuses_personal_offers(rows), "all", strata(rows, spend_per_day(rows)))
    return stratum, expected_values(rows, stratum, offers, evidence)


def _worth(terms: CampaignTerms, expected: ExpectedValue, added: Numbers, rows: pa.Table) -> Numbers:
    """What is maximised: net value in cents, or added orders."""
    if terms.goal == "profit":
        return expected.net
    orders = added * max(terms.gain_factor, 0.0)
    if terms.goal == "reactivated":
        stage = np.array(rows["lifecycle_stage"].to_pylist(), dtype=np.str_)
        orders = orders * (stage == LAPSED)[:, None]
    return np.where(orders > 0, orders - ORDERS_PER_CENT * expected.cost, 0.0)


def _impersonal_actions(
    reason: npt.NDArray[np.str_],
    forbidden: npt.NDArray[np.str_],
    charged: Numbers,
    stock: Numbers,
    policy: Policy,
    terms: CampaignTerms,
) -> Codes:
    """The ordinary offer, or the message alone, for all who refuse personal offers; nothing where the budget ends."""
    action = np.full(len(reason), NOTHING, dtype=np.int64)
    refusing = np.flatnonzero(reason == "ordinary_offer")
    last = len(policy.offers) - 1
    for at in (next((at for at, one in enumerate(policy.offers) if one.is_ordinary), last), last):
        is_open = (forbidden[refusing, at] == "").all() and len(refusing) <= stock[at]
        if is_open and charged[refusing, at].sum() <= terms.budget_cents:
            action[refusing] = at
            break
    return action


def _other_prices(
    valued: ExpectedValue, stratum: npt.NDArray[np.str_], is_allowed: Flags, policy: Policy, budget_cents: float
) -> Flags:
    """Offers that change the price where another one is the price of the stage and taste."""
    is_price = np.array([offer.is_price and not policy.fairness.price_from_value for offer in policy.offers])
    if is_price.sum() < 2 or not is_allowed.any():
        return np.zeros_like(is_allowed)
    free = allocate(valued.net, valued.cost, max(budget_cents, 0.0), eligible=is_allowed)
    price = float(free.prices["budget"])
    return fair_prices(
        valued, price_groups(stratum), is_allowed, is_price, budget_cents=budget_cents, budget_price=price
    ).is_other


def _within_budget(
    valued: ExpectedValue, is_allowed: Flags, is_charged: Flags, stock: Numbers, budget_cents: float
) -> Codes:
    """The best action of everybody, at a budget of all with which those who are charged for stay within theirs.

    So the holdout is selected at the same price of the budget as the others. Stock counts for both.
    """
    nobody = np.full(len(is_charged), NOTHING, dtype=np.int64)
    if budget_cents < 0 or not is_allowed.any():
        return nobody
    limits = [None if np.isinf(one) else max(int(one), 0) for one in stock] if np.isfinite(stock).any() else None
    first = allocate(valued.net, valued.cost, budget_cents, stock=limits, eligible=is_allowed)
    if is_charged.all() or not first.prices["budget"]:
        return first.choice
    of_all = budget_cents / max(float(is_charged.mean()), 1e-9)
    for _ in range(TRIES):
        choice = allocate(valued.net, valued.cost, of_all, stock=limits, eligible=is_allowed).choice
        charged = np.flatnonzero((choice != NOTHING) & is_charged)
        spent = float(valued.cost[charged, choice[charged]].sum())
        if spent <= budget_cents * (1 + ROUNDING):
            return choice
        of_all *= budget_cents / spent * (1 - 1e-4)
    return first.choice


def _reasons(
    reason: npt.NDArray[np.str_], is_allowed: Flags, forbidden: npt.NDArray[np.str_], worth: Numbers
) -> npt.NDArray[np.str_]:
    """Why each customer without an action has none."""
    is_worth = ((worth > 0) & is_allowed).any(axis=1)
    personal = np.where(is_worth, "over_budget", "net_value_below_zero")
    personal = np.where((forbidden[:, :-1] != "").all(axis=1) & ~is_allowed.any(axis=1), "not_eligible", personal)
    return np.where(reason == "", personal, np.where(reason == "ordinary_offer", "over_budget", reason))


def selection_of(  # noqa: PLR0913 - the parts of a selection
    offers: Sequence[Offer],
    rows: pa.Table,
    action: Codes,
    plain: ExpectedValue,
    contact: Numbers,
    *,
    margin_share: float,
    reason: npt.NDArray[np.str_] | None = None,
) -> CampaignSelection:
    """What the action of each customer is expected to bring; `contact` is what sending each offer costs."""
    chosen = np.maximum(action, 0)
    at = np.arange(len(action))
    is_one = action != NOTHING

    def of_action(values: Numbers) -> Numbers:
        return np.where(is_one, values[at, chosen], 0.0)

    return CampaignSelection(
        offers=tuple(offer.id for offer in offers),
        action=action,
        reason=np.full(len(action), "") if reason is None else reason,
        gain=of_action(plain.effect),
        cost=of_action(plain.cost),
        sending=np.where(is_one, contact[chosen], 0.0),
        standard_error=of_action(plain.standard_error),
        added_orders=of_action(_added_orders(plain, rows, margin_share)),
        valid_days=np.array([float(offer.valid_days) for offer in offers])[chosen],
        spend_per_day=spend_per_day(rows),
        order_cents=order_cents(rows),
    )


def _added_orders(plain: ExpectedValue, rows: pa.Table, margin_share: float) -> Numbers:
    return plain.effect / np.maximum(margin_share * order_cents(rows), 1.0)[:, None]
