"""Tastes: which brands, and how evenly. By lines sold, since some shops tell no price."""

from patron.understand.features.family import (
    Family,
    diversity,
    first_place,
    known_before,
    ranked,
    share_of_first_place,
)


def rows(_zone: str) -> str:
    """Brands bought and known by the moment; a brand counts once the catalogue or the line has told it."""
    facts = """
        select customer_id, brand, ordered_at, greatest(known_at, category_known_at) as known_at,
            count(*) as line_count
        from order_lines where is_identified and not is_refund and brand is not null
        group by customer_id, brand, ordered_at, greatest(known_at, category_known_at)"""
    paired = known_before(facts, columns="brand, ordered_at, line_count")
    return ranked(paired, "brand", weight="line_count", first="ordered_at")


def brand_count() -> str:
    """Different brands bought ever."""
    return "count(value)"


def brand_diversity() -> str:
    """Probability that two lines of the customer are of different brands, 0 to 1 (Simpson)."""
    return diversity()


def favourite_brand_share() -> str:
    """Share of lines in the favourite brand, 0 to 1."""
    return share_of_first_place()


def favourite_brand() -> str:
    """The brand with the most lines."""
    return first_place()


def first_brand() -> str:
    """The brand of the first order; of several in it, the first in the alphabet."""
    return "max(case when first_place = 1 then value end)"


FAMILY = Family(
    "brands",
    rows,
    (brand_count, brand_diversity, favourite_brand_share),
    (favourite_brand, first_brand),
)
FEATURES = FAMILY.features
