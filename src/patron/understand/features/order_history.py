"""Recency, frequency and baskets, from orders before refunds."""

from patron.understand.features.feature_family import Family, distinct, known_before

COLUMNS = """order_id, occurred_at, local_day, line_count, product_count, gross_cents, discount_cents, paid_cents,
    has_coupon"""


def rows(_zone: str) -> str:
    """Orders known by the cutoff."""
    return known_before("select * from orders where is_identified", columns=COLUMNS)


def days_since_last_order() -> str:
    """Calendar days from the last order to the cutoff, in the shop's time zone."""
    return "max(moment_day) - max(local_day)"


def days_since_first_order() -> str:
    """Calendar days from the first order to the cutoff, in the shop's time zone."""
    return "max(moment_day) - min(local_day)"


def days_from_first_to_last_order() -> str:
    """Calendar days between the first and the last day with an order."""
    return "max(local_day) - min(local_day)"


def order_count_7_days() -> str:
    """Orders in the last 7 days."""
    return distinct("order_id", 7)


def order_count_30_days() -> str:
    """Orders in the last 30 days."""
    return distinct("order_id", 30)


def order_count_90_days() -> str:
    """Orders in the last 90 days."""
    return distinct("order_id", 90)


def order_count_365_days() -> str:
    """Orders in the last 365 days."""
    return distinct("order_id", 365)


def order_count_lifetime() -> str:
    """Orders ever."""
    return "count(distinct order_id)"


def order_day_count_90_days() -> str:
    """Different days with an order in the last 90 days."""
    return distinct("local_day", 90)


def order_day_count_365_days() -> str:
    """Different days with an order in the last 365 days."""
    return distinct("local_day", 365)


def order_day_count_lifetime() -> str:
    """Different days with an order, ever."""
    return "count(distinct local_day)"


def order_count_change_30_days() -> str:
    """Orders in the last 30 days less those in the 30 days before."""
    return f"2 * {distinct('order_id', 30)} - {distinct('order_id', 60)}"


def order_count_change_90_days() -> str:
    """Orders in the last 90 days less those in the 90 days before."""
    return f"2 * {distinct('order_id', 90)} - {distinct('order_id', 180)}"


def mean_line_count_per_order() -> str:
    """Lines per order, mean."""
    return f"sum(line_count) / nullif({order_count_lifetime()}, 0)"


def mean_product_count_per_order() -> str:
    """Different products per order, mean."""
    return f"sum(product_count) / nullif({order_count_lifetime()}, 0)"


def mean_gross_cents_per_order() -> str:
    """Value of an order before discounts and refunds, mean, cents."""
    return f"sum(gross_cents) / nullif({order_count_lifetime()}, 0)"


def max_paid_cents_of_an_order() -> str:
    """Largest amount paid for one order before refunds, cents."""
    return "max(paid_cents)"


def mean_paid_cents_per_line() -> str:
    """Paid per line before refunds, mean, cents."""
    return "sum(paid_cents) / nullif(sum(line_count), 0)"


def discount_share_lifetime() -> str:
    """Share of the value of all orders that discounts took off, 0 to 1."""
    return "sum(discount_cents) / nullif(sum(gross_cents), 0)"


def discount_share_90_days() -> str:
    """Share of the value of the last 90 days' orders that discounts took off, 0 to 1."""
    recent = "sum(case when occurred_at >= from_90_days then {0} end)"
    return f"{recent.format('discount_cents')} / nullif({recent.format('gross_cents')}, 0)"


def discounted_order_share() -> str:
    """Share of orders with a discount, 0 to 1."""
    return f"count(distinct case when discount_cents > 0 then order_id end) / nullif({order_count_lifetime()}, 0)"


def coupon_order_share() -> str:
    """Share of orders with a coupon, 0 to 1."""
    return f"count(distinct case when has_coupon then order_id end) / nullif({order_count_lifetime()}, 0)"


def coupon_order_count_90_days() -> str:
    """Orders with a coupon in the last 90 days."""
    return distinct("case when has_coupon then order_id end", 90)


FAMILY = Family(
    "orders",
    rows,
    (
        days_since_last_order,
        days_since_first_order,
        days_from_first_to_last_order,
        order_count_7_days,
        order_count_30_days,
        order_count_90_days,
        order_count_365_days,
        order_count_lifetime,
        order_day_count_90_days,
        order_day_count_365_days,
        order_day_count_lifetime,
        order_count_change_30_days,
        order_count_change_90_days,
        mean_line_count_per_order,
        mean_product_count_per_order,
        mean_gross_cents_per_order,
        max_paid_cents_of_an_order,
        mean_paid_cents_per_line,
        discount_share_lifetime,
        discount_share_90_days,
        discounted_order_share,
        coupon_order_share,
        coupon_order_count_90_days,
    ),
)
FEATURES = FAMILY.features
