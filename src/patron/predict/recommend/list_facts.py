"""The facts behind listed products: when the customer last bought each, and how often they do."""

from dataclasses import dataclass

import numpy as np

from patron.predict.recommend.codes import Codes
from patron.schema.numbers import Numbers


@dataclass(frozen=True)
class ListFacts:
    """One value per listed product; NaN where the customer never bought it, or not often enough."""

    days_since: Numbers
    """Days since the customer's last purchase of it."""
    usual_days: Numbers
    """Mean days between the days on which the customer bought it; of two such days or more."""


def list_facts(
    user: Codes, product: Codes, days: Numbers, list_user: Codes, list_product: Codes, product_count: int
) -> ListFacts:
    """Facts of listed pairs from purchases (user, product, days before the origin)."""
    is_known = product >= 0
    if not is_known.any():
        nothing = np.full(len(list_user), np.nan)
        return ListFacts(nothing, nothing)
    pair = user[is_known] * product_count + product[is_known]
    exact = days[is_known]
    order = np.lexsort((exact, pair))
    pair, exact = pair[order], exact[order]
    day = np.floor(exact)
    is_first = np.diff(pair, prepend=-1) != 0
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(pair)) - 1
    is_new_day = is_first | (np.diff(day, prepend=-1) != 0)
    gaps = np.add.reduceat(is_new_day, first) - 1
    usual = np.where(gaps > 0, (day[last] - day[first]) / np.maximum(gaps, 1), np.nan)
    known, listed = pair[first], list_user * product_count + list_product
    at = np.minimum(np.searchsorted(known, listed), len(known) - 1)
    is_repeat = known[at] == listed
    return ListFacts(np.where(is_repeat, exact[first][at], np.nan), np.where(is_repeat, usual[at], np.nan))
