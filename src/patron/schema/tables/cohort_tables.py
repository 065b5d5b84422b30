"""Customers by the month of their first order: how many there are, and what they did month by month."""

from patron.schema.table_definition import INT, NUMBER, TEXT, Column, Table
from patron.schema.tables.shared_columns import RUN, of

COHORT_GROUPINGS = ("month", "channel", "category", "country")
"""Traits that cohorts are split by; `month` is no trait."""
COHORT = (
    RUN,
    Column("split_by", TEXT, "trait that cohorts are split by; month for none", choices=COHORT_GROUPINGS),
    of("group_code", TEXT, "value of the trait; empty where it is not known, and without a trait"),
    of("first_month", TEXT, "month of the first order, YYYY-MM by the shop's clock"),
)
COHORTS = Table(
    "cohorts",
    "one row per run, trait, value of it, and month of the first order",
    ("run_id", "split_by", "group_code", "first_month"),
    (
        *COHORT,
        of("customer_count", INT, "identified customers whose first order was in the month"),
        of("scored_count", INT, "those of them with a forecast of value"),
        of("expected_cents", NUMBER, "sum of these forecasts", "cents"),
        of("squared_widths", NUMBER, "sum of the squares of how wide their 80 % intervals are"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
COHORT_MONTHS = Table(
    "cohort_months",
    "one row per cohort and month since the first order in which any of its customers ordered or returned something",
    ("run_id", "split_by", "group_code", "first_month", "age_months"),
    (
        *COHORT,
        of("age_months", INT, "calendar months since that of the first order", "months"),
        of("active_count", INT, "customers who ordered in the month"),
        of("paid_cents", INT, "paid on orders of the month, net of refunds", "cents"),
        of("margin_cents", NUMBER, "margin of the same orders", "cents"),
        of("paid_squares", NUMBER, "by how much the sum of squares of what each customer has paid so far grew"),
        of("margin_squares", NUMBER, "the same of margins"),
    ),
    partition_by="run_id",
    checks=("age_months >= 0",),
    is_for_people=True,
)
