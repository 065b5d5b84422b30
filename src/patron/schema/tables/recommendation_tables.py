"""Recommended products: what customers may want, what goes together, lists, and what they brought."""

from patron.schema.recommendation_reasons import RECOMMENDATION_REASONS
from patron.schema.table_definition import FLAG, INT, NUMBER, NUMBERS, TEXT, TIME, Column, Table
from patron.schema.tables.shared_columns import AS_OF, CUSTOMER, RUN, maybe, of

AFFINITIES = Table(
    "affinities",
    "one row per customer or prospect and candidate product",
    ("run_id", "customer_id", "rank"),
    (
        RUN,
        CUSTOMER,
        AS_OF,
        of("rank", INT, "position in the list, from 1"),
        of("product_id", TEXT, "product"),
        of("score", NUMBER, "affinity; only its order is meaningful"),
        maybe(
            "probability",
            NUMBER,
            "probability that the customer buys it within 28 days, if they buy anything; at past cutoffs",
            "0 to 1",
        ),
        of("reason", TEXT, "reason code: buy_again, goes_with_history, popular"),
        maybe("days_since", NUMBER, "days since the customer last bought it", "days"),
        maybe("usual_days", NUMBER, "mean days between the customer's purchases of it", "days"),
        maybe("because_product_id", TEXT, "product of the customer's history that speaks for it"),
        of("model_version", TEXT, "version of the champion: its folder under models/"),
    ),
    partition_by="run_id",
)
RELATED_PRODUCTS = Table(
    "related_products",
    "one row per product, kind and related product",
    ("run_id", "product_id", "kind", "rank"),
    (
        RUN,
        of("product_id", TEXT, "product"),
        Column(
            "kind",
            TEXT,
            "together: bought in the same orders, or so by product_edges.csv; follows: wanted by those who looked at "
            "it; alike: of like content; substitute: replaces it, never: not shown next to it, by product_edges.csv",
            choices=("together", "follows", "alike", "substitute", "never"),
        ),
        of("rank", INT, "position, from 1"),
        of("related_id", TEXT, "the related product"),
        of("strength", NUMBER, "how strongly the one speaks for the other", "0 to 1"),
    ),
    partition_by="run_id",
)
TEXT_VECTORS = Table(
    "text_vectors",
    "one row per text of products that an encoder has read",
    ("encoder", "text_digest"),
    (
        of("text_digest", TEXT, "BLAKE2b of the text, hexadecimal"),
        of("encoder", TEXT, "name and version of the encoder"),
        of("vector", NUMBERS, "what it returned"),
    ),
    is_for_people=True,
)
RECOMMENDATIONS = Table(
    "recommendations",
    "one row per customer and recommended product",
    ("run_id", "customer_id", "rank"),
    (
        RUN,
        CUSTOMER,
        AS_OF,
        of("rank", INT, "position in the list, from 1"),
        of("product_id", TEXT, "product"),
        Column("reason", TEXT, "reason code", choices=RECOMMENDATION_REASONS),
        maybe("because_product_id", TEXT, "the other product that the reason is about"),
        maybe("days_since", NUMBER, "days since the customer last bought the product", "days"),
        maybe("usual_days", NUMBER, "mean days between the customer's purchases of it", "days"),
        maybe("offer_starts_at", TIME, "when the promotion that the reason is about starts; none once it runs"),
        maybe("offer_ends_at", TIME, "when it is over"),
        maybe("click_probability", NUMBER, "probability of a click at the first place", "0 to 1"),
        maybe("buy_probability", NUMBER, "probability of a click and an order", "0 to 1"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
)
RECOMMENDABLE_PRODUCTS = Table(
    "recommendable_products",
    "one row per product: what lists of recommendations know of it",
    ("run_id", "product_id"),
    (
        RUN,
        of("product_id", TEXT, "product"),
        maybe("category", TEXT, "category"),
        maybe("brand", TEXT, "brand"),
        maybe("style_id", TEXT, "what its variants have in common"),
        maybe("price_cents", INT, "price of one unit", "cents"),
        maybe("cost_cents", INT, "what one unit costs the shop", "cents"),
        maybe("stock", NUMBER, "units in stock"),
        of("is_blocked", FLAG, "whether the catalogue or policy.toml says that it is never recommended"),
        of("is_consumable", FLAG, "whether it is used up: from the catalogue, else from how often it is bought again"),
        of("repeat_share", NUMBER, "share of its purchases by customers who had it before, shrunk to its category"),
        of("order_line_count", INT, "purchases within 28 days"),
        of("known_at", TIME, "when the product was first known"),
        maybe("offer_starts_at", TIME, "when the price cut starts that runs or comes next, as planned by the run"),
        maybe("offer_ends_at", TIME, "when it is over"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
LIST_SOURCES = Table(
    "list_sources",
    "one row per source of interest in recommended products: what it brought",
    ("run_id", "source"),
    (
        RUN,
        of("source", TEXT, "source: personal, session, context, taste, popular, any"),
        of("weight", NUMBER, "clicks per look at a product for which the source speaks fully"),
        of("clicks", NUMBER, "clicks that the source is credited with, and its prior's"),
        of("orders", NUMBER, "orders after these clicks, and its prior's"),
    ),
    partition_by="run_id",
)
PRODUCT_RESPONSES = Table(
    "product_responses",
    "one row per recommended product: its clicks and orders next to those that its sources alone would bring",
    ("run_id", "product_id"),
    (
        RUN,
        of("product_id", TEXT, "product"),
        of("shown_count", INT, "times that it was shown in a list of ours"),
        of("clicks", NUMBER, "clicks"),
        of("expected_clicks", NUMBER, "clicks that its sources alone would bring"),
        of("orders", NUMBER, "orders within a day after a click"),
        of("expected_orders", NUMBER, "orders that the sources of its clicks would bring"),
    ),
    partition_by="run_id",
)
