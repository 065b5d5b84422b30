"""Why a product is recommended, as tables, lists and texts name it."""

from typing import Literal, get_args

RecommendationReason = Literal[
    "buy_again",
    "goes_with_history",
    "goes_with_page",
    "goes_with_visit",
    "replaces",
    "viewed",
    "popular_in_category",
    "on_offer",
    "popular",
    "new",
]
"""buy_again: the customer buys it at intervals; goes_with_history: with something they bought; goes_with_page: with the
product of the page or in the cart; goes_with_visit: with something they looked at; replaces: the shop says
that it replaces what they look at; viewed: they looked at it; popular_in_category: a best seller of a category that
they are interested in; on_offer: its price is cut, or will be within a week; popular: it sells now."""
RECOMMENDATION_REASONS: tuple[RecommendationReason, ...] = get_args(RecommendationReason)
