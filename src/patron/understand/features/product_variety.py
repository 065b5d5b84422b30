"""Variety: how many different products, and how often the same again. Refunds are left out."""

from patron.understand.features.feature_family import Family, how_many, known_before


def rows(_zone: str) -> str:
    """Lines sold and known by the cutoff; `nth_time` numbers the customer's purchases of a product as they came."""
    facts = """
        select customer_id, occurred_at, known_at, product_id, row_number() over (
            partition by customer_id, product_id order by known_at, line_id) as nth_time
        from order_lines where is_identified and not is_refund and product_id is not null"""
    return known_before(facts, columns="occurred_at, product_id, nth_time")


def product_count_lifetime() -> str:
    """Different products bought ever."""
    return how_many("nth_time = 1")


def product_count_90_days() -> str:
    """Different products bought in the last 90 days."""
    return "count(distinct case when occurred_at >= from_90_days then product_id end)"


def repeat_line_share() -> str:
    """Share of lines with a product the customer had bought before, 0 to 1."""
    return f"{how_many('nth_time > 1')} / nullif(count(product_id), 0)"


def new_line_share_90_days() -> str:
    """Share of the last 90 days' lines with a product that was new to the customer, 0 to 1."""
    return f"{how_many('nth_time = 1', 90)} / nullif({how_many('product_id is not null', 90)}, 0)"


FAMILY = Family(
    "products", rows, (product_count_lifetime, product_count_90_days, repeat_line_share, new_line_share_90_days)
)
FEATURES = FAMILY.features
