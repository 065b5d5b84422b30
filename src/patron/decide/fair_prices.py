"""One price for all of a stage and taste for deals: the size of a discount never follows from a customer's value."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patron.decide.expected_value import ExpectedValue
from patron.schema.numbers import Numbers


@dataclass(frozen=True)
class FairPrices:
    """Of the offers that change the price, one for each group of customers; arrays are (customers, offers)."""

    is_other: npt.NDArray[np.bool_]
    """Offers that another one is better than in the customer's group."""
    ratio: Numbers
    """By how much, in standard errors; the same for all of the group."""
    is_price: npt.NDArray[np.bool_]
    """Which offers change the price."""

    def is_price_of(self, action: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each action is an offer that changes the price."""
        return (action >= 0) & np.append(self.is_price, False)[action]


def fair_prices(
    expectation: ExpectedValue,
    group: npt.NDArray[np.str_],
    is_allowed: npt.NDArray[np.bool_],
    is_price: npt.NDArray[np.bool_],
    *,
    budget_cents: float = np.inf,
    budget_price: float = 0.0,
) -> FairPrices:
    """Choose the price offer of each group: the one with the best mean net value where it is above zero.

    Net value is less what others would earn with the budget that it takes: `budget_price` for each cent. One that
    nobody of the group can have within the budget closes no other.
    """
    is_in_reach = is_allowed & (expectation.cost <= budget_cents)
    is_other, ratio = np.zeros_like(is_allowed), np.full(is_allowed.shape, np.inf)
    priced, worth = np.flatnonzero(is_price), expectation.net - budget_price * expectation.cost
    for name in np.unique(group):
        members = group == name
        possible = [at for at in priced if is_in_reach[members, at].any()]
        if len(possible) < 2:
            continue
        count = is_allowed[members][:, possible].sum(axis=0)
        net, error = (
            np.where(is_allowed[members][:, possible], values[members][:, possible], 0.0)
            for values in (worth, expectation.standard_error)
        )
        gain = np.maximum(net, 0.0).sum(axis=0) / count
        # why: where no offer pays for anybody, the one that loses least is the one to try
        best = int(np.lexsort((-net.sum(axis=0) / count, -gain))[0])
        mean_error = error.sum(axis=0) / count
        loss = (gain[best] - gain) / np.maximum(np.hypot(mean_error, mean_error[best]), 1e-9)
        for place, at in enumerate(possible):
            if place != best:
                is_other[members, at], ratio[members, at] = is_allowed[members, at], loss[place]
    return FairPrices(is_other, ratio, is_price)


def price_groups(stratum: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """The strata without their level of value."""
    names, position = np.unique(stratum, return_inverse=True)
    return np.array([name.rpartition("/value_")[0] or name for name in names], dtype=np.str_)[position]
