"""Every table of the lake, declared once. Stages meet here and nowhere else.

Money is integer hundredths ("cents") of the currency named beside it, or of the shop's currency where none is named.
Times are UTC. Shares are 0 to 1.
"""

import pyarrow as pa

from patron.base.table import FLAG, INT, NUMBER, TEXT, TEXTS, TIME, Column, Personal, Table

PRODUCT = pa.struct(
    [
        ("product_id", TEXT),
        ("product_name", TEXT),
        ("category", TEXT),
        ("brand", TEXT),
        ("price_cents", INT),
        ("quantity", INT),
        ("discount_cents", INT),
        ("coupon", TEXT),
    ]
)


def _of(name: str, kind: pa.DataType, meaning: str, unit: str = "", *, personal: Personal = "none") -> Column:
    return Column(name, kind, meaning, unit, personal=personal)


def _maybe(name: str, kind: pa.DataType, meaning: str, unit: str = "", *, personal: Personal = "none") -> Column:
    return Column(name, kind, meaning, unit, nullable=True, personal=personal)


CUSTOMER = _of("customer_id", TEXT, "the person; opaque, never the shop's own id", personal="opaque_id")
AS_OF = _of("as_of", TIME, "the moment: only what was known before it counts")
TURN = _of("turn_id", TEXT, "the turn that wrote the row")
OCCURRED = _of("occurred_at", TIME, "when it happened, clock skew corrected")
KNOWN = _of("known_at", TIME, "when Patron could know it; never changed once written")

EVENTS = Table(
    "events",
    "one row per event, as we were told it",
    ("source", "event_id"),
    (
        _of("source", TEXT, "where the event came from: an import's mapping or a write key's source"),
        _of("event_id", TEXT, "the client's messageId, or the hash of the imported row"),
        _of("name", TEXT, "event name of the catalogue (base/events.py)"),
        _maybe("user_token", TEXT, "token of the shop's user id", personal="token"),
        _maybe("anonymous_token", TEXT, "token of the device or visitor id", personal="token"),
        OCCURRED,
        _of("received_at", TIME, "when Patron was told"),
        KNOWN,
        _maybe("order_id", TEXT, "the shop's order number"),
        _maybe("product_id", TEXT, "the shop's product number"),
        _maybe("product_name", TEXT, "product name"),
        _maybe("department", TEXT, "department, the level above category"),
        _maybe("category", TEXT, "product category"),
        _maybe("brand", TEXT, "brand"),
        _maybe("price_cents", INT, "price of one unit", "hundredths of currency"),
        _maybe("quantity", INT, "units"),
        _maybe("discount_cents", INT, "taken off the line or order", "hundredths of currency"),
        _maybe("coupon", TEXT, "coupon code"),
        _maybe("revenue_cents", INT, "paid without shipping and tax", "hundredths of currency"),
        _maybe("total_cents", INT, "paid with shipping and tax", "hundredths of currency"),
        _maybe("shipping_cents", INT, "shipping", "hundredths of currency"),
        _maybe("tax_cents", INT, "tax", "hundredths of currency"),
        _maybe("currency", TEXT, "ISO 4217 code of the amounts; NULL is the shop's"),
        _maybe("rating", NUMBER, "stars of a review", "stars"),
        _maybe("campaign_id", TEXT, "campaign the message or visit belongs to"),
        _maybe("decision_id", TEXT, "decision of ours that caused the event"),
        _maybe("referred_token", TEXT, "token of the user id of the customer who was referred", personal="token"),
        _maybe("channel", TEXT, "web, app, store, e-mail, ad ..."),
        _maybe("device", TEXT, "desktop, mobile, tablet"),
        _maybe("products", pa.list_(pa.field("element", PRODUCT)), "products of a list, cart or order"),
        _maybe("traits", TEXT, "declared traits in clear, JSON", personal="trait"),
        _maybe("properties", TEXT, "what else was said and is not personal, JSON"),
        _of("month", TEXT, "month of occurred_at, YYYY-MM"),
    ),
    partition_by="month",
    checks=("quantity is null or quantity >= 0",),
    clock="occurred_at",
)

IDENTITIES = Table(
    "identities",
    "one row per token and the customer it belongs to",
    ("token",),
    (
        _of("token", TEXT, "token of a user or device id", personal="token"),
        CUSTOMER,
        _of("is_user", FLAG, "whether the token is a user id (otherwise a device or visitor)"),
        _of("known_at", TIME, "when we could know that the token belongs to this customer"),
    ),
)
TRAITS = Table(
    "traits",
    "one row per declared trait value as a customer told it",
    ("customer_id", "trait", "known_at", "event_id"),
    (
        CUSTOMER,
        _of("trait", TEXT, "name of a trait that is neither identifying nor sensitive"),
        _of("value", TEXT, "the declared value", personal="trait"),
        _of("event_id", TEXT, "the event that told it"),
        OCCURRED,
        KNOWN,
    ),
)
PRODUCTS = Table(
    "products",
    "one row per product",
    ("product_id",),
    (
        _of("product_id", TEXT, "the shop's product number"),
        _maybe("product_name", TEXT, "last known name"),
        _maybe("department", TEXT, "last known department"),
        _maybe("category", TEXT, "last known category"),
        _maybe("brand", TEXT, "last known brand"),
        _maybe("price_cents", INT, "last known price of one unit", "hundredths of the shop's currency"),
        _of("known_at", TIME, "when the product was first known"),
    ),
)
ORDER_LINES = Table(
    "order_lines",
    "one row per line of an order or of a refund, in the shop's currency",
    ("line_id",),
    (
        _of("line_id", TEXT, "event and position in it"),
        CUSTOMER,
        _of("is_identified", FLAG, "whether the customer is a known user (otherwise revenue only, never a moment)"),
        _of("order_id", TEXT, "order number, or the event when the source has none"),
        _maybe("product_id", TEXT, "product"),
        _maybe("category", TEXT, "category, as told on the line or known of the product"),
        _maybe("brand", TEXT, "brand"),
        _of("ordered_at", TIME, "when the order was placed; for a refund, its order's time where that is known"),
        OCCURRED,
        KNOWN,
        _of("quantity", INT, "units, below zero on a refund"),
        _of("gross_cents", INT, "before discounts, below zero on a refund", "cents"),
        _of("discount_cents", INT, "taken off", "cents"),
        _of("paid_cents", INT, "gross less discounts, below zero on a refund", "cents"),
        _of("has_coupon", FLAG, "whether a coupon was used"),
        _of("has_price", FLAG, "whether the source told a price (otherwise all amounts are 0)"),
        _of("is_refund", FLAG, "whether the line gives money back"),
        _maybe("channel", TEXT, "web, app, store ..."),
    ),
    checks=("is_refund or paid_cents >= 0", "not is_refund or paid_cents <= 0"),
)
ORDERS = Table(
    "orders",
    "one row per order part that became known at one time (nearly always the whole order), before refunds",
    ("customer_id", "order_id", "known_at"),
    (
        CUSTOMER,
        _of("is_identified", FLAG, "whether the customer is a known user"),
        _of("order_id", TEXT, "order number"),
        OCCURRED,
        KNOWN,
        _of("line_count", INT, "lines"),
        _of("product_count", INT, "different products"),
        _of("unit_count", INT, "units"),
        _of("gross_cents", INT, "before discounts", "cents"),
        _of("discount_cents", INT, "taken off", "cents"),
        _of("paid_cents", INT, "gross less discounts", "cents"),
        _of("has_coupon", FLAG, "whether a coupon was used"),
        _maybe("channel", TEXT, "web, app, store ..."),
        _maybe("device", TEXT, "desktop, mobile, tablet"),
        _of("local_hour", INT, "hour in the shop's time zone", "0 to 23"),
        _of("local_weekday", INT, "weekday in the shop's time zone, Monday is 0", "0 to 6"),
        _of("local_day", INT, "days since 1970-01-01 in the shop's time zone", "days"),
    ),
    checks=("local_hour between 0 and 23", "local_weekday between 0 and 6"),
)
INTERACTIONS = Table(
    "interactions",
    "one row per thing a customer did besides ordering",
    ("source", "event_id"),
    (
        _of("source", TEXT, "source of the event"),
        _of("event_id", TEXT, "the event"),
        CUSTOMER,
        _of("is_identified", FLAG, "whether the customer is a known user"),
        _of("kind", TEXT, "search, view, click, cart_add, cart_remove, wishlist, review, coupon, message_sent ..."),
        _maybe("product_id", TEXT, "product"),
        _maybe("category", TEXT, "category"),
        _maybe("campaign_id", TEXT, "campaign"),
        _maybe("rating", NUMBER, "stars", "stars"),
        _maybe("channel", TEXT, "web, app, store ..."),
        _maybe("device", TEXT, "desktop, mobile, tablet"),
        OCCURRED,
        KNOWN,
        _of("local_hour", INT, "hour in the shop's time zone", "0 to 23"),
        _of("local_day", INT, "days since 1970-01-01 in the shop's time zone", "days"),
    ),
)
SESSIONS = Table(
    "sessions",
    "one row per visit: a customer's events with no gap of 30 minutes",
    ("customer_id", "started_at"),
    (
        CUSTOMER,
        _of("started_at", TIME, "first event"),
        _of("ended_at", TIME, "last event"),
        _of("event_count", INT, "events"),
        _of("search_count", INT, "searches"),
        _of("view_count", INT, "product views"),
        _of("click_count", INT, "product clicks"),
        _of("cart_add_count", INT, "products put into the cart"),
        _of("order_count", INT, "orders"),
        _maybe("channel", TEXT, "channel of the first event"),
        _maybe("device", TEXT, "device of the first event"),
    ),
    checks=("ended_at >= started_at",),
)
CUSTOMERS = Table(
    "customers",
    "one row per customer, as known at the turn",
    ("customer_id",),
    (
        CUSTOMER,
        _of("is_identified", FLAG, "whether a user id is known"),
        _of("first_seen_at", TIME, "first event"),
        _maybe("first_order_at", TIME, "first order"),
        _maybe("last_order_at", TIME, "last order"),
        _of("order_count", INT, "orders"),
        _of("paid_cents", INT, "paid, net of refunds", "cents"),
        _of("refunded_cents", INT, "given back, as a positive amount", "cents"),
        _maybe("acquisition_channel", TEXT, "channel of the first event"),
    ),
)
CLEANING = Table(
    "cleaning",
    "one row per check of the data: how many, what was done, where to look",
    ("turn_id", "check_code"),
    (
        TURN,
        _of("check_code", TEXT, "what was looked for"),
        _of("row_count", INT, "rows found"),
        _of("checked_count", INT, "rows looked at"),
        _of("treatment", TEXT, "what was done: kept, set aside, corrected"),
        _maybe("example", TEXT, "one event to look at"),
    ),
    partition_by="turn_id",
)
MOMENTS = Table(
    "moments",
    "one row per customer and moment",
    ("turn_id", "customer_id", "as_of"),
    (TURN, CUSTOMER, AS_OF),
    partition_by="turn_id",
)
FEATURES = Table(
    "features",
    "one row per customer and moment, one column per feature",
    ("turn_id", "customer_id", "as_of"),
    (TURN, CUSTOMER, AS_OF, _of("feature_version", TEXT, "hash of all feature definitions")),
    partition_by="turn_id",
    is_open=True,
)
SEGMENTS = Table(
    "segments",
    "one row per customer and turn",
    ("turn_id", "customer_id"),
    (
        TURN,
        CUSTOMER,
        AS_OF,
        _of("recency_score", INT, "1 (longest ago) to 5 (most recent)"),
        _of("frequency_score", INT, "1 to 5"),
        _of("monetary_score", INT, "1 to 5"),
        _of("persona_id", INT, "persona, or -1 without one"),
        _of("stage", TEXT, "stage of life: new, active, at_risk, lapsed, reactivated"),
    ),
    partition_by="turn_id",
    checks=("stage in ('new', 'active', 'at_risk', 'lapsed', 'reactivated')",),
)
PERSONAS = Table(
    "personas",
    "one row per persona and turn",
    ("turn_id", "persona_id"),
    (
        TURN,
        _of("persona_id", INT, "persona, 0 is the most valuable"),
        _of("name_code", TEXT, "codes of what stands out, joined by +; shown translated"),
        _of("customer_count", INT, "customers"),
        _of("paid_cents_365_days", NUMBER, "mean paid in the last 365 days", "cents"),
        _of("order_count_365_days", NUMBER, "mean orders in the last 365 days"),
        _of("days_since_last_order", NUMBER, "mean days since the last order", "days"),
        _of("silhouette", NUMBER, "silhouette of the chosen clustering, the criterion for their number", "-1 to 1"),
    ),
    partition_by="turn_id",
)
SCORES = Table(
    "scores",
    "one row per customer, question and turn",
    ("turn_id", "customer_id", "question"),
    (
        TURN,
        CUSTOMER,
        AS_OF,
        _of("question", TEXT, "what is predicted"),
        _of("model_version", TEXT, "folder of the champion under models/"),
        _of("value", NUMBER, "the forecast, in the question's unit"),
        _maybe("low", NUMBER, "lower end of the 80 % interval"),
        _maybe("high", NUMBER, "upper end of the 80 % interval"),
        _maybe("reasons", TEXTS, "features that moved the score most, signed: +name or -name"),
    ),
    partition_by="turn_id",
)
BACKTESTS = Table(
    "backtests",
    "one row per question, origin, learner and metric",
    ("turn_id", "question", "origin", "learner", "metric"),
    (
        TURN,
        _of("question", TEXT, "what is predicted"),
        _of("origin", TEXT, "date of the cut, or 'all' for the origins taken together"),
        _of("learner", TEXT, "learner"),
        _of("champion", TEXT, "the learner that is used"),
        _of("metric", TEXT, "metric"),
        _maybe("value", NUMBER, "the learner's value"),
        _maybe("low", NUMBER, "lower end of the 95 % bootstrap interval"),
        _maybe("high", NUMBER, "upper end of the 95 % bootstrap interval"),
        _of("baseline", TEXT, "the best naive rule"),
        _maybe("baseline_value", NUMBER, "its value"),
        _maybe("gain", NUMBER, "paired difference to the baseline; above zero is better"),
        _maybe("gain_low", NUMBER, "lower end of its 95 % interval"),
        _maybe("gain_high", NUMBER, "upper end of its 95 % interval"),
        _of("customer_count", INT, "customers judged"),
    ),
    partition_by="turn_id",
)
AFFINITIES = Table(
    "affinities",
    "one row per customer and candidate product",
    ("turn_id", "customer_id", "rank"),
    (
        TURN,
        CUSTOMER,
        AS_OF,
        _of("rank", INT, "1 is the best"),
        _of("product_id", TEXT, "product"),
        _of("score", NUMBER, "affinity; only its order means something"),
        _of("reason", TEXT, "bought_before, popular_now ..."),
        _of("model_version", TEXT, "folder of the champion under models/"),
    ),
    partition_by="turn_id",
)
DECISIONS = Table(
    "decisions",
    "one row per customer that was considered for an offer",
    ("decision_id",),
    (
        TURN,
        _of("decision_id", TEXT, "hash of turn and customer"),
        CUSTOMER,
        AS_OF,
        _of("action", TEXT, "id of the offer, or 'none'"),
        _of("expected_net_value_cents", NUMBER, "expected gain less cost", "cents"),
        _of("effect_cents", NUMBER, "expected extra margin caused by the offer", "cents"),
        _of("cost_cents", NUMBER, "expected cost of the offer", "cents"),
        _of("propensity", NUMBER, "probability with which this action was chosen", "0 to 1"),
        _of("reason", TEXT, "reason code: why this action"),
        _of("segment", TEXT, "segment whose effect was used"),
        _of("effect_source", TEXT, "assumed, randomised (exploring) or measured"),
        _of("policy_version", TEXT, "hash of policy.toml"),
        _of("is_holdout", FLAG, "whether the customer is in the holdout that no offer reaches"),
        _of("consent_basis", TEXT, "why we may write to the customer"),
    ),
    partition_by="turn_id",
    checks=("propensity > 0 and propensity <= 1", "not is_holdout or action = 'none'"),
)
RECOMMENDATIONS = Table(
    "recommendations",
    "one row per customer and recommended product",
    ("turn_id", "customer_id", "rank"),
    (
        TURN,
        CUSTOMER,
        AS_OF,
        _of("rank", INT, "1 is shown first"),
        _of("product_id", TEXT, "product"),
        _of("reason", TEXT, "bought_before, popular_now ..."),
    ),
    partition_by="turn_id",
)
EXPOSURES = Table(
    "exposures",
    "one row per decision handed to a channel",
    ("decision_id",),
    (
        TURN,
        _of("decision_id", TEXT, "the decision"),
        CUSTOMER,
        _of("action", TEXT, "id of the offer"),
        _of("channel", TEXT, "channel that took it"),
        _of("exposed_at", TIME, "when it was handed over"),
        _of("is_delivered", FLAG, "whether the channel reaches customers (the file outbox does not by itself)"),
    ),
    partition_by="turn_id",
)
EFFECTS = Table(
    "effects",
    "one row per offer and segment: what offered customers spent against comparable ones without an offer",
    ("turn_id", "offer", "segment"),
    (
        TURN,
        _of("offer", TEXT, "id of the offer, or 'any'"),
        _of("segment", TEXT, "segment, or 'all'"),
        _of("treated_count", INT, "customers offered"),
        _of("control_count", INT, "customers not offered"),
        _of("effect_cents", NUMBER, "mean difference of margin per customer, shrunken for segments", "cents"),
        _of("low", NUMBER, "lower end of the 95 % interval", "cents"),
        _of("high", NUMBER, "upper end of the 95 % interval", "cents"),
        _of("standard_error", NUMBER, "standard error of effect_cents", "cents"),
        _of("is_placebo", FLAG, "whether no offer was really sent, so that the truth is 0"),
        _of("decided_from", TIME, "moment of the earliest decision measured"),
        _of("decided_until", TIME, "moment of the latest decision measured"),
    ),
    partition_by="turn_id",
)
FORECAST_CHECKS = Table(
    "forecast_checks",
    "one row per question, earlier turn and decile of its forecast",
    ("turn_id", "question", "scored_at", "decile"),
    (
        TURN,
        _of("question", TEXT, "what was predicted"),
        _of("scored_at", TIME, "moment of the forecast"),
        _of("decile", INT, "1 is the lowest forecast, 0 is everybody"),
        _of("customer_count", INT, "customers"),
        _of("forecast_mean", NUMBER, "mean forecast, in the question's unit"),
        _of("actual_mean", NUMBER, "mean of what happened"),
        _maybe("bias_share", NUMBER, "forecast total over actual total, less 1"),
    ),
    partition_by="turn_id",
)
DRIFT = Table(
    "drift",
    "one row per feature: how its distribution moved since the last turn",
    ("turn_id", "feature"),
    (
        TURN,
        _of("feature", TEXT, "feature"),
        _of("reference_turn_id", TEXT, "turn compared with"),
        _of("population_stability_index", NUMBER, "0 is the same; above .25 is a different population"),
        _maybe("mean_before", NUMBER, "mean then"),
        _maybe("mean_now", NUMBER, "mean now"),
    ),
    partition_by="turn_id",
)

TABLES = (
    EVENTS,
    IDENTITIES,
    TRAITS,
    PRODUCTS,
    ORDER_LINES,
    ORDERS,
    INTERACTIONS,
    SESSIONS,
    CUSTOMERS,
    CLEANING,
    MOMENTS,
    FEATURES,
    SEGMENTS,
    PERSONAS,
    SCORES,
    BACKTESTS,
    AFFINITIES,
    DECISIONS,
    RECOMMENDATIONS,
    EXPOSURES,
    EFFECTS,
    FORECAST_CHECKS,
    DRIFT,
)
BY_NAME = {table.name: table for table in TABLES}
