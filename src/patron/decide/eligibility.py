"""Which offers each candidate may get: consent, holdout and caps first, then the rules of the catalogue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.decide.expected_value import reasons_for_leaving
from patron.schema.models.questions import VALUE
from patron.schema.numbers import Numbers, float_column
from patron.storage.offers.offer_policy import Offer
from patron.storage.offers.policy import Policy

Codes = npt.NDArray[np.str_]
Flags = npt.NDArray[np.bool_]

REASONS = {
    "no_consent": "the customer may not be contacted",
    "holdout": "in the control group, so that effects can be measured",
    "cap_reached": "had as many offers lately as the policy allows",
    "no_offer": "the policy names no offer",
    "not_eligible": "no offer of the policy is for this customer",
    "ordinary_offer": "refused personal offers: the ordinary offer, the same for all who did, or none",
    "exploring": "randomised, so that effects can be measured",
    "best_net_value": "the offer with the best expected net value",
    "over_budget": "worth an offer, but others are worth more and the budget ends",
    "net_value_below_zero": "every offer is expected to cost more than it earns",
    "unfair": "the run decides no offers, because groups of customers would be treated too differently",
}
EXCLUSIONS = ("no_consent", "no_offer", "holdout", "cap_reached", "not_eligible", "ordinary_offer")
"""Reasons why a customer could get no offer at all, or none that is chosen for them."""
OFFER_RULES = {
    "not_available": "the offer is not given on this day",
    "other_channel": "the offer goes by another channel",
    "no_margin": "the offer takes all of the margin",
    "out_of_stock": "the period's stock of the offer is used up",
    "other_stage": "the offer is for customers of another lifecycle stage",
    "too_few_orders": "the offer is for customers with more orders",
    "too_little_value": "the offer is for customers who are expected to spend more",
    "other_reasons": "the offer is for customers with another reason for leaving",
    "other_price": "another discount is better for all of this stage and taste; value does not decide its size",
    "personal_refused": "the customer refused personal offers",
}
"""Rules that forbid one offer to a customer, besides the exclusions."""


@dataclass(frozen=True)
class Supply:
    """What offers there are on the day of the run."""

    day: date | None = None
    """By the shop's clock; None where no offer is bound to days."""
    issued: Mapping[str, int] = field(default_factory=dict)
    """How many of each offer the period has had already."""

    def left(self, offer: Offer) -> float:
        """How many of an offer the period may still give; infinite without a limit."""
        return np.inf if offer.stock is None else max(offer.stock - self.issued.get(offer.id, 0), 0)


def may_contact(rows: pa.Table, policy: Policy) -> Flags:
    """Whether each candidate may be contacted: their latest consent, or what the policy assumes without one."""
    return np.array(
        [policy.consent.allows(is_granted=granted) for granted in rows["is_consent_granted"].to_pylist()], dtype=bool
    )


def refuses_personal_offers(rows: pa.Table) -> Flags:
    """Whether each candidate withdrew the consent to personal offers."""
    return np.array(rows["is_personal_refused"].to_pylist(), dtype=np.bool_)


def exclusion_reasons(rows: pa.Table, is_held_out: Flags, policy: Policy) -> Codes:
    """Why a candidate cannot get an offer that is chosen for them, or ''. Who refuses these is in no control group."""
    capped = float_column(rows, "offer_count", np.nan) >= policy.caps.offers_per_customer
    tests = [
        (~may_contact(rows, policy), "no_consent"),
        (np.full(rows.num_rows, not policy.offers), "no_offer"),
        (is_held_out & ~refuses_personal_offers(rows), "holdout"),
        (capped, "cap_reached"),
        (refuses_personal_offers(rows), "ordinary_offer"),
    ]
    return np.select([test for test, _ in tests], [name for _, name in tests], default="").astype("<U20")


def forbidden_offers(
    rows: pa.Table, spend_per_day: Numbers, policy: Policy, *, supply: Supply, margin_share: float
) -> Codes:
    """Code of the catalogue's rule that forbids each offer to each candidate, or ''; shape (candidates, offers)."""
    forbidden = np.full((rows.num_rows, len(policy.offers)), "", dtype="<U20")
    stage = np.array(rows["lifecycle_stage"].to_pylist(), dtype=np.str_)
    orders, value = float_column(rows, "order_count", np.nan), spend_per_day * VALUE.horizon_days
    reasons = reasons_for_leaving(rows)
    for at, offer in enumerate(policy.offers):
        of_customer = [
            (bool(offer.lifecycle_stages) & ~np.isin(stage, offer.lifecycle_stages), "other_stage"),
            (orders < offer.least_orders, "too_few_orders"),
            (value < offer.least_value_cents, "too_little_value"),
            (bool(offer.reasons) & ~np.isin(reasons, offer.reasons).any(axis=1), "other_reasons"),
        ]
        forbidden[:, at] = np.select([test for test, _ in of_customer], [name for _, name in of_customer], "")
    closed = closed_offers(policy, supply=supply, margin_share=margin_share)
    return np.where(closed != "", closed, forbidden)


def closed_offers(policy: Policy, *, supply: Supply, margin_share: float) -> Codes:
    """Code of the rule that forbids each offer to everybody, or ''."""
    codes = [next(_closed(offer, policy, supply, margin_share), "") for offer in policy.offers]
    return np.array(codes, dtype="<U20")


def _closed(offer: Offer, policy: Policy, supply: Supply, margin_share: float) -> Iterator[str]:
    if supply.day is not None and not offer.is_available(supply.day):
        yield "not_available"
    if offer.channels and policy.channel.name not in offer.channels:
        yield "other_channel"
    if offer.takes_all_margin(margin_share):
        yield "no_margin"
    if supply.left(offer) < 1:
        yield "out_of_stock"
