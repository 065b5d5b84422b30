"""How regular the days with orders are, and when the next is due."""

from patron.understand.features.feature_family import Family, known_before

MEAN_GAP = "sum(gap_days) / nullif(count(gap_days), 0)"


def rows(_zone: str) -> str:
    """Days with an order known by the cutoff, each with the days since the one before."""
    paired = known_before("select * from orders where is_identified", columns="local_day")
    return f"""
        select d.*, local_day - lag(local_day) over (partition by customer_id, as_of order by local_day) as gap_days,
            row_number() over (partition by customer_id, as_of order by local_day desc) as place_from_last
        from (select distinct customer_id, as_of, moment_day, local_day from ({paired}) p) d"""


def mean_days_between_orders() -> str:
    """Days between consecutive days with an order, mean; NULL with fewer than two."""
    return MEAN_GAP


def std_days_between_orders() -> str:
    """Days between consecutive days with an order, sample standard deviation; NULL with fewer than three."""
    squares = "sum(gap_days * gap_days) - sum(gap_days) * (sum(gap_days) / nullif(cast(count(gap_days) as double), 0))"
    return f"case when count(gap_days) > 1 then sqrt(greatest({squares}, 0) / (count(gap_days) - 1)) end"


def variation_of_days_between_orders() -> str:
    """Standard deviation of the days between orders over their mean: 0 is clockwork, 1 is chance."""
    return f"{std_days_between_orders()} / nullif({MEAN_GAP}, 0)"


def max_days_between_orders() -> str:
    """Longest pause between two orders so far, days."""
    return "max(gap_days)"


def days_between_last_two_orders() -> str:
    """Days between the last two days with an order."""
    return "max(case when place_from_last = 1 then gap_days end)"


def overdue_ratio() -> str:
    """Days since the last order over the mean days between orders; above 1 is later than usual."""
    return f"(max(moment_day) - max(local_day)) / nullif({MEAN_GAP}, 0)"


def days_until_expected_order() -> str:
    """Days until the next order at the usual pace; below zero is overdue."""
    return f"{MEAN_GAP} - (max(moment_day) - max(local_day))"


FAMILY = Family(
    "regularity",
    rows,
    (
        mean_days_between_orders,
        std_days_between_orders,
        variation_of_days_between_orders,
        max_days_between_orders,
        days_between_last_two_orders,
        overdue_ratio,
        days_until_expected_order,
    ),
)
FEATURES = FAMILY.features
