"""Days on which the customer did something, and how often such a day ends in an order."""

from patron.storage.engine import sql_list
from patron.understand.facts.interactions import DONE_TO_CUSTOMERS
from patron.understand.features.feature_family import Family, known_before


def rows(_zone: str) -> str:
    """Days by what was done on them, known as soon as the first such thing is."""
    facts = f"""
        select customer_id, local_day, what, min(known_at) as known_at
        from (
            select customer_id, local_day, known_at,
                case when kind in ('view', 'cart_add') then kind else 'other' end as what
            from interactions where is_identified and kind not in {sql_list(DONE_TO_CUSTOMERS)}
            union all
            select customer_id, local_day, known_at, 'order' as what from orders where is_identified
        ) s
        group by customer_id, local_day, what"""
    return known_before(facts, columns="local_day, what")


def _days(condition: str, days: int) -> str:
    return f"count(distinct case when {condition} and local_day >= day_from_{days}_days then local_day end)"


def active_day_count_30_days() -> str:
    """Different days with any sign of life in the last 30 days."""
    return _days("true", 30)


def active_day_count_90_days() -> str:
    """Different days with any sign of life in the last 90 days."""
    return _days("true", 90)


def active_day_count_lifetime() -> str:
    """Different days with any sign of life, ever."""
    return "count(distinct local_day)"


def days_since_last_activity() -> str:
    """Calendar days from the last sign of life to the cutoff."""
    return "max(moment_day) - max(local_day)"


def days_since_first_activity() -> str:
    """Calendar days from the first sign of life to the cutoff: how long the customer is known."""
    return "max(moment_day) - min(local_day)"


def days_from_first_activity_to_first_order() -> str:
    """Days from the first sign of life to the first order."""
    return "min(case when what = 'order' then local_day end) - min(local_day)"


def days_since_last_view() -> str:
    """Calendar days from the last product view to the cutoff; NULL without one."""
    return "max(moment_day) - max(case when what = 'view' then local_day end)"


def order_days_per_view_day_90_days() -> str:
    """Days with an order per day with a product view, last 90 days."""
    return f"{_days('''what = 'order' ''', 90)} / nullif({_days('''what = 'view' ''', 90)}, 0)"


def order_days_per_cart_day_90_days() -> str:
    """Days with an order per day with something put into the cart, last 90 days."""
    return f"{_days('''what = 'order' ''', 90)} / nullif({_days('''what = 'cart_add' ''', 90)}, 0)"


def order_days_per_active_day_lifetime() -> str:
    """Days with an order per active day, ever, 0 to 1."""
    return "count(distinct case when what = 'order' then local_day end) / nullif(count(distinct local_day), 0)"


FAMILY = Family(
    "visits",
    rows,
    (
        active_day_count_30_days,
        active_day_count_90_days,
        active_day_count_lifetime,
        days_since_last_activity,
        days_since_first_activity,
        days_from_first_activity_to_first_order,
        days_since_last_view,
        order_days_per_view_day_90_days,
        order_days_per_cart_day_90_days,
        order_days_per_active_day_lifetime,
    ),
)
FEATURES = FAMILY.features
