"""Which contracts are likely not to be renewed."""

from patron.schema.table_definition import FLAG, NUMBER, TEXT, TIME, Table
from patron.schema.tables.shared_columns import CUSTOMER, RUN, of

CONTRACT_FORECASTS = Table(
    "contract_forecasts",
    "one row per contract that ends in the 30 days after the run, and run",
    ("run_id", "customer_id", "contract_id"),
    (
        RUN,
        CUSTOMER,
        of("contract_id", TEXT, "the shop's contract or subscription"),
        of("ends_at", TIME, "when the running term ends"),
        of("is_cancelled", FLAG, "whether the customer has cancelled it"),
        of("probability", NUMBER, "probability that it is not renewed within 14 days of its end", "0 to 1"),
        of("model_version", TEXT, "version of the champion of contract_churn: its folder under models/"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
    is_for_people=True,
)
