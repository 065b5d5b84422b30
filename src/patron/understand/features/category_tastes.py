"""Tastes: which categories and brands, and how evenly. By lines sold, since some shops tell no price."""

from patron.understand.features.feature_family import (
    Family,
    Feature,
    diversity,
    first_place,
    known_before,
    ranked,
    share_of_first_place,
)


def taste(what: str, several: str) -> Family:
    """Features of one column of the order lines, which counts once the catalogue or the line has it."""

    def rows(_zone: str) -> str:
        facts = f"""
        select customer_id, {what}, ordered_at, greatest(known_at, category_known_at) as known_at,
            count(*) as line_count
        from order_lines where is_identified and not is_refund and {what} is not null
        group by customer_id, {what}, ordered_at, greatest(known_at, category_known_at)"""
        paired = known_before(facts, columns=f"{what}, ordered_at, line_count")
        return ranked(paired, what, weight="line_count", first="ordered_at")

    different = f"Probability that two lines of the customer are of different {several}, 0 to 1 (Simpson)."
    share = f"Share of lines in the favourite {what}, 0 to 1."
    first = f"The {what} of the first order; of several in it, the first in the alphabet."
    return Family(
        several,
        rows,
        (
            _feature(f"{what}_count", f"Different {several} bought ever.", "count(value)"),
            _feature(f"{what}_diversity", different, diversity()),
            _feature(f"favourite_{what}_share", share, share_of_first_place()),
        ),
        (
            _feature(f"favourite_{what}", f"The {what} with the most lines.", first_place()),
            _feature(f"first_{what}", first, "max(case when first_place = 1 then value end)"),
        ),
    )


def _feature(name: str, meaning: str, expression: str) -> Feature:
    def feature() -> str:
        return expression

    feature.__name__, feature.__doc__ = name, meaning
    return feature


CATEGORIES = taste("category", "categories")
BRANDS = taste("brand", "brands")
