"""What rules of segments may name of each customer, and who was a member of which segment from when to when."""

from patron.schema.table_definition import FLAG, INT, NUMBER, TEXT, TIME, Column, Table
from patron.schema.tables.forecast_tables import LIFECYCLE_STAGES
from patron.schema.tables.shared_columns import AS_OF, CUSTOMER, RUN, maybe, of

DECILE = "from 1, the lowest tenth of the customers, to 10; NULL as the forecast is"
OBJECTION = "; NULL for who objects to profiling"
SEGMENT_FIELDS = Table(
    "segment_fields",
    "one row per customer and run: what rules of segments may name besides features, each customer's in one row",
    ("run_id", "customer_id"),
    (
        RUN,
        CUSTOMER,
        AS_OF,
        maybe("recency_score", INT, f"recency of the last order, 1 (longest ago) to 5{OBJECTION}"),
        maybe("frequency_score", INT, f"number of orders, 1 (fewest) to 5 (most){OBJECTION}"),
        maybe("monetary_score", INT, f"amount paid, 1 (least) to 5 (most){OBJECTION}"),
        maybe("persona_id", INT, f"persona, 0 is the most valuable, or -1 without one{OBJECTION}"),
        maybe("persona", TEXT, "codes of the traits that name the persona, joined by +; NULL without one"),
        Column("lifecycle_stage", TEXT, f"lifecycle stage{OBJECTION}", nullable=True, choices=LIFECYCLE_STAGES),
        maybe("is_order_due", FLAG, f"whether no order came for as long as usual{OBJECTION}"),
        maybe("value", NUMBER, f"net paid in the next 90 days, forecast{OBJECTION} and without a forecast", "cents"),
        maybe("value_low", NUMBER, "lower end of its 80 % interval", "cents"),
        maybe("value_high", NUMBER, "upper end of its 80 % interval", "cents"),
        maybe("value_decile", INT, DECILE),
        maybe("churn_probability", NUMBER, f"probability of no order in the next 90 days{OBJECTION}", "0 to 1"),
        maybe("churn_decile", INT, DECILE),
        maybe("purchase_probability", NUMBER, f"probability of an order in the next 30 days{OBJECTION}", "0 to 1"),
        maybe("purchase_decile", INT, DECILE),
        maybe("purchase_probability_7_days", NUMBER, f"the same in the next 7 days{OBJECTION}", "0 to 1"),
        maybe("purchase_decile_7_days", INT, DECILE),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
    is_for_people=True,
)
SEGMENT_MEMBERS = Table(
    "segment_members",
    "one row per segment, customer and stay, at the resolution of runs",
    ("segment", "customer_id", "entered_at"),
    (
        of("segment", TEXT, "name of the segment"),
        CUSTOMER,
        of("entered_at", TIME, "cutoff of the run that first had the customer in it"),
        maybe("left_at", TIME, "cutoff of the run that no longer had; NULL while the stay lasts"),
    ),
    checks=("left_at is null or left_at > entered_at",),
    sorted_by=("segment", "customer_id"),
    is_for_people=True,
)
TRIGGER_MEMBERS = Table(
    "trigger_members",
    "one row per journey that new members of a segment enter, customer and stay, by the rules that were approved",
    ("journey", "approval", "customer_id", "entered_at"),
    (
        of("journey", TEXT, "name of the journey"),
        of("approval", INT, "step of the journey's life that approved the rules"),
        CUSTOMER,
        of("entered_at", TIME, "cutoff of the run that first had the customer in the segment"),
        maybe("left_at", TIME, "cutoff of the run that no longer had; NULL while the stay lasts"),
    ),
    checks=("left_at is null or left_at > entered_at",),
    sorted_by=("journey", "approval", "customer_id"),
    is_for_people=True,
)
