"""Why a product is not in a list: names for people, numbers for kernels."""

from typing import Literal, get_args

Exclusion = Literal[
    "blocked",
    "hidden",
    "on_page",
    "not_with_page",
    "returned",
    "bought_recently",
    "out_of_stock",
    "low_margin",
    "low_relevance",
    "same_style",
    "category_full",
    "lower_rank",
    "no_candidate",
]
"""Of several filters, which are those up to low_relevance, the first in this order is the reason.

blocked: by the shop; hidden: by the customer; on_page: the page shows it, or the cart holds it;
not_with_page: it must not stand next to what the page shows or the cart holds; same_style: another variant is in the
list; category_full: its category has all its places there; lower_rank: others are ahead, or have a
place of the long tail; no_candidate: no recommender proposed it.
"""
EXCLUSIONS: tuple[Exclusion, ...] = get_args(Exclusion)
"""Names of the exclusions, by number."""
(
    BLOCKED,
    HIDDEN,
    ON_PAGE,
    NOT_WITH_PAGE,
    RETURNED,
    BOUGHT_RECENTLY,
    OUT_OF_STOCK,
    LOW_MARGIN,
    LOW_RELEVANCE,
    SAME_STYLE,
    CATEGORY_FULL,
    LOWER_RANK,
    NO_CANDIDATE,
) = range(len(EXCLUSIONS))
LISTED = -1
"""Of a candidate that is in the list."""
NO_RULE = -1
"""Of a product that no rule excludes."""
