"""From how many categories the customer buys, lately and before. By lines sold; refunds are left out."""

from patron.understand.features.feature_family import Family, distinct, known_before


def rows(_zone: str) -> str:
    """Categories by when they were bought, counted once the catalogue or the line has them."""
    facts = """
        select distinct customer_id, category, occurred_at, greatest(known_at, category_known_at) as known_at
        from order_lines where is_identified and not is_refund and category is not null"""
    return known_before(facts, columns="category, occurred_at", since="180_days")


def category_count_90_days() -> str:
    """Different categories bought in the last 90 days."""
    return distinct("category", 90)


def category_count_previous_90_days() -> str:
    """Different categories bought in the 90 days before the last 90 days."""
    return "count(distinct case when occurred_at < from_90_days then category end)"


FAMILY = Family("category_changes", rows, (category_count_90_days, category_count_previous_90_days))
FEATURES = FAMILY.features
