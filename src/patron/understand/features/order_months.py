"""In which months of the year the customer orders, in the shop's time zone: what tells the shop's season."""

from collections.abc import Callable

from patron.schema.models.month_columns import MONTHS, ORDER_DAYS_BY_MONTH
from patron.understand.features.feature_family import Family, known_before


def rows(zone: str) -> str:
    """Order days known by the cutoff, with their months."""
    facts = f"""
        select customer_id, local_day, min(occurred_at) as occurred_at, min(known_at) as known_at,
            min(local_month(occurred_at, {zone})) as local_month
        from orders where is_identified group by customer_id, local_day"""
    return known_before(facts, columns="local_day, local_month")


def first_order_month() -> str:
    """Month of the first order in the shop's time zone, 1 to 12."""
    return "min(local_day * 16 + local_month) % 16"


def _in_month(number: int) -> Callable[[], str]:
    def feature() -> str:
        return f"count(case when local_month = {number} then 1 end)"

    feature.__name__ = ORDER_DAYS_BY_MONTH[number - 1]
    feature.__doc__ = f"Days with an order in {MONTHS[number - 1].capitalize()}, of any year."
    return feature


FAMILY = Family("months", rows, (first_order_month, *(_in_month(number) for number in range(1, 13))))
FEATURES = FAMILY.features
