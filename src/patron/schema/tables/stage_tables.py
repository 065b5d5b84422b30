"""How customers move between lifecycle stages, and what the customers of a stage pay."""

from patron.schema.table_definition import INT, NUMBER, TEXT, Column, Table
from patron.schema.tables.forecast_tables import LIFECYCLE_STAGES
from patron.schema.tables.shared_columns import AS_OF, CUSTOMER, RUN, of

PAST_FORECASTS = Table(
    "past_forecasts",
    "one row per customer, past cutoff and question: what the champion, fitted to what was known there, forecast",
    ("run_id", "customer_id", "question", "as_of"),
    (
        RUN,
        CUSTOMER,
        AS_OF,
        of("question", TEXT, "question of the forecast; only churn is kept"),
        of("value", NUMBER, "the forecast, in the question's unit"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
)
STAGE_TRANSITIONS = Table(
    "stage_transitions",
    "one row per run and pair of lifecycle stages that customers moved between in 30 days",
    ("run_id", "from_stage", "to_stage"),
    (
        RUN,
        Column("from_stage", TEXT, "lifecycle stage at a past cutoff", choices=LIFECYCLE_STAGES),
        Column("to_stage", TEXT, "lifecycle stage 30 days later", choices=LIFECYCLE_STAGES),
        of("customer_count", INT, "customers who moved, or stayed, summed over the pairs of past cutoffs"),
        of("share", NUMBER, "share of the customers of the first stage", "0 to 1"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
STAGE_VALUES = Table(
    "stage_values",
    "one row per run and lifecycle stage that at least 20 customers were seen in at past cutoffs",
    ("run_id", "lifecycle_stage"),
    (
        RUN,
        Column("lifecycle_stage", TEXT, "lifecycle stage", choices=LIFECYCLE_STAGES),
        of("customer_count", INT, "customers who were seen in the stage"),
        of("paid_cents_90_days", NUMBER, "mean paid in the 90 days after being seen, net of refunds", "cents"),
        of("low", NUMBER, "lower end of the 95 % interval of the mean, over customers", "cents"),
        of("high", NUMBER, "upper end of the 95 % interval of the mean, over customers", "cents"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
