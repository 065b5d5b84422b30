"""Who responds to the next message."""

from patron.schema.table_definition import INT, NUMBER, TEXT, Column, Table
from patron.schema.tables.shared_columns import CUSTOMER, RUN, of

RESPONSE_KINDS = ("order", "click")
RESPONSE_FORECASTS = Table(
    "response_forecasts",
    "one row per customer, channel and type of message, and run",
    ("run_id", "customer_id", "channel", "message_type"),
    (
        RUN,
        CUSTOMER,
        of("channel", TEXT, "channel of the message, or 'unknown'"),
        of("message_type", TEXT, "type of its campaign, id of its offer, or 'any' where the shop sends neither"),
        of("probability", NUMBER, "probability of a response to the next such message", "0 to 1"),
        Column(
            "response",
            TEXT,
            "order (with the message's coupon or from its campaign), or click where the shop records too few such "
            "orders",
            choices=RESPONSE_KINDS,
        ),
        of("message_count", INT, "such messages to the customer so far"),
        of("response_count", INT, "how many of them the customer responded to"),
        of("shop_response_share", NUMBER, "share of all such messages that were responded to", "0 to 1"),
        of("model_version", TEXT, "version of the champion of message_response: its folder under models/"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
    is_for_people=True,
)
