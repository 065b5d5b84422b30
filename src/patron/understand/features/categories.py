"""Tastes: which categories, and how evenly. By lines sold, since some shops tell no price."""

from patron.understand.features.family import (
    Family,
    diversity,
    first_place,
    known_before,
    ranked,
    share_of_first_place,
)


def rows(_zone: str) -> str:
    """Categories bought and known by the moment; a category counts once the catalogue or the line has told it."""
    facts = """
        select customer_id, category, ordered_at, greatest(known_at, category_known_at) as known_at,
            count(*) as line_count
        from order_lines where is_identified and not is_refund and category is not null
        group by customer_id, category, ordered_at, greatest(known_at, category_known_at)"""
    paired = known_before(facts, columns="category, ordered_at, line_count")
    return ranked(paired, "category", weight="line_count", first="ordered_at")


def category_count() -> str:
    """Different categories bought ever."""
    return "count(value)"


def category_diversity() -> str:
    """Probability that two lines of the customer are of different categories, 0 to 1 (Simpson)."""
    return diversity()


def favourite_category_share() -> str:
    """Share of lines in the favourite category, 0 to 1."""
    return share_of_first_place()


def favourite_category() -> str:
    """The category with the most lines."""
    return first_place()


def first_category() -> str:
    """The category of the first order; of several in it, the first in the alphabet."""
    return "max(case when first_place = 1 then value end)"


FAMILY = Family(
    "categories",
    rows,
    (category_count, category_diversity, favourite_category_share),
    (favourite_category, first_category),
)
FEATURES = FAMILY.features
