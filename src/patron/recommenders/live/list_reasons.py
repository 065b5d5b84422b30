"""Why a product is in a list: the source that adds most to its rate, with the fact behind it."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from patron.recommenders.live.candidate_interests import CONTEXT, PERSONAL, SESSION, TASTE, Candidates
from patron.recommenders.live.recommendation_index import UNKNOWN, RecommendationIndex
from patron.schema.numbers import Numbers
from patron.schema.recommendation_reasons import RecommendationReason

NEW_DAYS = 30.0
"""Age up to which a product is new."""


@dataclass(frozen=True)
class Reason:
    """Why a product is in a list, and its facts; None is not known, or not what the reason is about."""

    code: RecommendationReason
    product: int = UNKNOWN
    """The other product that it is about; -1 where it is about none."""
    days_since: float | None = None
    """Days since the customer last bought the product."""
    usual_days: float | None = None
    """Days between the customer's purchases of it."""


def reason_of(
    index: RecommendationIndex, candidates: Candidates, place: int, shares: Numbers, customer: int, day: float
) -> Reason:
    """The reason of one candidate; `shares` is what each source adds to its rate."""
    product, source = int(candidates.product[place]), int(np.argmax(shares))
    of_visit, of_page = candidates.because[place].tolist()
    if source == PERSONAL:
        wanted, at = index.customers.wanted, int(candidates.wanted_at[place])
        days_since = float(wanted.value("days_since", customer)[at])
        if isfinite(days_since):
            usual = float(wanted.value("usual_days", customer)[at])
            since = days_since + max(day - index.at_day, 0.0)
            return Reason("buy_again", UNKNOWN, since, usual if isfinite(usual) else None)
        because = float(wanted.value("because", customer)[at])
        if because >= 0:
            return Reason("goes_with_history", int(because))
    other = {CONTEXT: of_page, SESSION: of_visit}.get(source, UNKNOWN)
    if other == product:
        return Reason("viewed")
    if other != UNKNOWN:
        replaces = (index.substitutes.row(other) == product).any()
        return Reason("replaces" if replaces else "goes_with_page" if source == CONTEXT else "goes_with_visit", other)
    if source == TASTE:
        return Reason("popular_in_category")
    is_new = 0 <= day - index.known_since[product] <= NEW_DAYS
    return Reason("new" if is_new and index.popularity[product] <= 0 else "popular")
