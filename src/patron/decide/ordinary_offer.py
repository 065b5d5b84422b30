"""What customers get who refuse personal offers: one offer for all of them, without a look at their data."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.decide.eligibility import Supply
from patron.decide.expected_value import ExpectedValue
from patron.decide.randomisation import NOTHING
from patron.storage.offers.policy import Policy


@dataclass(frozen=True)
class OrdinaryOffer:
    """The action of all who refuse personal offers, and what it takes of the budget."""

    action: int
    """The offer's number, or -1."""
    cost_cents: float


def impersonal(expectation: ExpectedValue, refuses: npt.NDArray[np.bool_]) -> ExpectedValue:
    """The expectations with those of customers who refuse personal offers replaced by the mean of all others.

    Where there are no others it is that of themselves: what they cost must not be 0.
    """
    if not refuses.any():
        return expectation

    def averaged(values: np.ndarray) -> np.ndarray:
        others = values if refuses.all() else values[~refuses]
        return np.where(refuses[:, None], others.mean(axis=0), values)

    return ExpectedValue(
        averaged(expectation.effect),
        averaged(expectation.cost),
        averaged(expectation.standard_error),
        expectation.is_measured & ~refuses[:, None],
    )


def ordinary_offer(
    policy: Policy, cost: npt.NDArray[np.float64], closed: npt.NDArray[np.str_], supply: Supply, *, budget_cents: float
) -> OrdinaryOffer:
    """Give all of these customers the ordinary offer, or none of them where budget or stock is too small for all.

    `cost` has a row for each of them; `closed` is the rule that forbids each offer to everybody, or ''.
    """
    offer = policy.ordinary_offer
    if offer is None or not len(cost):
        return OrdinaryOffer(NOTHING, 0.0)
    at = policy.offers.index(offer)
    total = float(cost[:, at].sum())
    if closed[at] or total > budget_cents or len(cost) > supply.left(offer):
        return OrdinaryOffer(NOTHING, 0.0)
    return OrdinaryOffer(at, total)
