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
OFFER_DAYS = 7.0
"""A promotion is a reason from so many days before it starts until it is over."""


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
    offer_starts_day: float | None = None
    """When its promotion starts, days since 1970; none once it runs."""
    offer_ends_day: float | None = None
    """When it is over."""


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
    return _reason_for_everybody(index, product, day)


def _reason_for_everybody(index: RecommendationIndex, product: int, day: float) -> Reason:
    """Its promotion; else that it is new, or sells."""
    starts, ends = float(index.offer_starts_day[product]), float(index.offer_ends_day[product])
    if starts - OFFER_DAYS <= day < ends:
        return Reason("on_offer", offer_starts_day=starts if starts > day else None, offer_ends_day=ends)
    is_new = 0 <= day - index.known_since[product] <= NEW_DAYS
    return Reason("new" if is_new and index.popularity[product] <= 0 else "popular")
