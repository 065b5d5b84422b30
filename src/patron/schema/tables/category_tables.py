"""What customers need next, by product category."""

from patron.schema.table_definition import INT, NUMBER, TEXT, Column, Table
from patron.schema.tables.shared_columns import CUSTOMER, RUN, maybe, of

NEED_REASONS = ("overdue", "due_soon", "bought_often", "bought_before", "popular_now")
CATEGORY_NEEDS = Table(
    "category_needs",
    "one row per customer and category they are likely to buy next, five at most, and run",
    ("run_id", "customer_id", "rank"),
    (
        RUN,
        CUSTOMER,
        of("rank", INT, "position by the probability, from 1"),
        of("category", TEXT, "product category"),
        of(
            "probability",
            NUMBER,
            "probability of an order line in the category in the next 30 days; never above that of an order",
            "0 to 1",
        ),
        maybe(
            "expected_cents",
            INT,
            "expected net paid in the category in the next 90 days; of all categories together never above the value "
            "forecast; NULL without a forecast of spend",
            "cents",
        ),
        maybe("days_until_due", NUMBER, "days by which half of such customers have bought it; NULL beyond 90", "days"),
        maybe(
            "usual_gap_days",
            NUMBER,
            "mean days between the customer's own purchases of it; NULL with fewer than three",
            "days",
        ),
        Column(
            "reason",
            TEXT,
            "overdue (three purchases or more, the usual gap has passed), due_soon (it passes within 30 days), "
            "bought_often (in half of the months or more), bought_before, or popular_now (never bought)",
            choices=NEED_REASONS,
        ),
        of("model_version", TEXT, "version of the champion of category_purchase: its folder under models/"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
    is_for_people=True,
)
CATEGORY_FORECASTS = Table(
    "category_forecasts",
    "one row per category and run: the forecasts of all customers together",
    ("run_id", "category"),
    (
        RUN,
        of("category", TEXT, "product category"),
        of("expected_customers", NUMBER, "customers expected to buy it in the next 30 days", "customers"),
        of("due_customer_count", INT, "customers who buy it in the next 30 days more likely than not"),
        maybe("expected_cents", INT, "expected net paid in it in the next 90 days", "cents"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
