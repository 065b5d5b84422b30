"""Features and segments of customers as of a cutoff, and the forecasts from them."""

from patron.schema.models.reason_codes import REASON_CODES
from patron.schema.table_definition import FLAG, INT, NUMBER, TEXT, TEXTS, TIME, Column, Table
from patron.schema.tables.shared_columns import AS_OF, CUSTOMER, RUN, maybe, of

LIFECYCLE_STAGES = ("new", "active", "at_risk", "lapsed", "reactivated")
CUTOFFS = Table(
    "cutoffs",
    "one row per customer and cutoff",
    ("run_id", "customer_id", "as_of"),
    (RUN, CUSTOMER, AS_OF),
    partition_by="run_id",
)
FEATURES = Table(
    "features",
    "one row per customer and cutoff, one column per feature",
    ("run_id", "customer_id", "as_of"),
    (RUN, CUSTOMER, AS_OF, of("feature_version", TEXT, "hash of all feature definitions")),
    partition_by="run_id",
    is_open=True,
)
PROSPECT_FEATURES = Table(
    "prospect_features",
    "one row per person without an order and cutoff, one column per feature",
    ("run_id", "customer_id", "as_of"),
    (RUN, CUSTOMER, AS_OF, of("feature_version", TEXT, "hash of all definitions of these features")),
    partition_by="run_id",
    is_open=True,
)
SEGMENTS = Table(
    "segments",
    "one row per customer and run",
    ("run_id", "customer_id"),
    (
        RUN,
        CUSTOMER,
        AS_OF,
        of("recency_score", INT, "recency of the last order, 1 (longest ago) to 5 (most recent)"),
        of("frequency_score", INT, "number of orders, 1 (fewest) to 5 (most)"),
        of("monetary_score", INT, "amount paid, 1 (least) to 5 (most)"),
        of("persona_id", INT, "persona, or -1 without one"),
        Column("lifecycle_stage", TEXT, "lifecycle stage", choices=LIFECYCLE_STAGES),
        maybe(
            "stage_basis",
            TEXT,
            "what the stage follows from: forecast (churn probability and rhythm) or rhythm (no forecast); "
            "NULL in a run before stages followed from forecasts",
        ),
        maybe(
            "is_order_due",
            FLAG,
            "whether no order came for as long as usual, and no uncancelled contract runs; NULL in an older run",
        ),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
)
PERSONAS = Table(
    "personas",
    "one row per persona and run",
    ("run_id", "persona_id"),
    (
        RUN,
        of("persona_id", INT, "persona, 0 is the most valuable"),
        of(
            "name_code",
            TEXT,
            "codes of the traits that name it, joined by +; a favourite is code=level, percent-encoded",
        ),
        of("customer_count", INT, "customers"),
        of("paid_cents_365_days", NUMBER, "mean amount paid in the last 365 days", "cents"),
        of("order_count_365_days", NUMBER, "mean orders in the last 365 days"),
        of("days_since_last_order", NUMBER, "mean days since the last order", "days"),
        maybe(
            "stability",
            NUMBER,
            "mean Jaccard index with the group most like it, formed on another half of the customers; "
            "NULL in a run that did not measure it",
            "0 to 1",
        ),
        maybe(
            "overall_stability",
            NUMBER,
            "mean adjusted Rand index of the groups formed on two halves of the customers, the same for all personas; "
            "NULL in a run that did not measure it",
            "0 is chance, 1 the same groups",
        ),
    ),
    partition_by="run_id",
    is_for_people=True,
)
PERSONA_TRAITS = Table(
    "persona_traits",
    "one row per trait that sets a persona apart from the other customers, and run",
    ("run_id", "persona_id", "rank"),
    (
        RUN,
        of("persona_id", INT, "persona"),
        of(
            "rank", INT, "position by effect, from 1; of traits that say the same of a customer, only the first is here"
        ),
        of("trait", TEXT, "feature"),
        maybe("level", TEXT, "favourite that the trait is about, such as a category; values are shares of customers"),
        Column(
            "unit",
            TEXT,
            "unit of the values",
            choices=("money", "share", "days", "count", "number", "hour"),
        ),
        of("persona_value", NUMBER, "what is usual in the persona: the median, of shares the mean; money in cents"),
        of("shop_value", NUMBER, "what is usual among all customers"),
        of(
            "effect",
            NUMBER,
            "Cliff's delta: chance that a member has more of it than another customer, less that of the reverse",
            "-1 to 1",
        ),
    ),
    partition_by="run_id",
    is_for_people=True,
)
SCORES = Table(
    "scores",
    "one row per customer, question and run",
    ("run_id", "customer_id", "question"),
    (
        RUN,
        CUSTOMER,
        AS_OF,
        of("question", TEXT, "question of the forecast"),
        of("model_version", TEXT, "version of the champion: its folder under models/"),
        of("value", NUMBER, "the forecast, in the question's unit"),
        maybe("low", NUMBER, "lower end of the 80 % interval"),
        maybe("high", NUMBER, "upper end of the 80 % interval"),
        maybe("reasons", TEXTS, "features that contributed most to the score, signed: +name or -name"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
)
REASONS = Table(
    "reasons",
    "one row per customer, question, rank and run: only reasons that set the customer apart, the strongest first",
    ("run_id", "customer_id", "question", "rank"),
    (
        RUN,
        CUSTOMER,
        of("question", TEXT, "question of the forecast; only churn has reasons so far"),
        of("rank", INT, "position in the customer's list, from 1 to 3"),
        Column("code", TEXT, "reason code", choices=tuple(code.code for code in REASON_CODES)),
        of(
            "contribution",
            NUMBER,
            "what the code's features added to the forecast, against the mean of customers likely to stay",
            "log-odds",
        ),
        of("fact", NUMBER, "the fact, in the unit of the code's meaning"),
        of("usual", NUMBER, "what is usual, in the same unit"),
        Column("basis", TEXT, "for whom: this customer, or the shop's median", choices=("customer", "shop")),
        maybe("of_count", INT, "of how many the fact and the usual are a share"),
        maybe("window_days", INT, "days before the cutoff in which the fact was counted", "days"),
        maybe("days_ago", INT, "days from what the fact is about to the cutoff", "days"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
)
CHURN_DRIVERS = Table(
    "churn_drivers",
    "one row per run and reason code: customers at 0.5 churn probability or above the mean, by first reason",
    ("run_id", "code"),
    (
        RUN,
        Column(
            "code",
            TEXT,
            "reason code, or none where nothing sets the customers apart",
            choices=(*(code.code for code in REASON_CODES), "none"),
        ),
        of("customer_count", INT, "customers for whom it is the first reason"),
        of("share", NUMBER, "their share of the customers with such a churn probability", "0 to 1"),
        maybe("mean_contribution", NUMBER, "mean of what the code added to their forecasts", "log-odds"),
        of("mean_churn_probability", NUMBER, "their mean probability of no order in the next 90 days", "0 to 1"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
PARTIAL_DEPENDENCE = Table(
    "partial_dependence",
    "one row per run, question, feature and value, of the strongest features; only of churn so far",
    ("run_id", "question", "feature", "value"),
    (
        RUN,
        of("question", TEXT, "question of the forecast"),
        of("feature", TEXT, "feature"),
        of("value", NUMBER, "value of the feature, a quantile of its values, in the feature's unit"),
        of("mean_forecast", NUMBER, "mean forecast of a sample of customers if all of them had this value"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
BACKTESTS = Table(
    "backtests",
    "one row per question, origin, learner and metric",
    ("run_id", "question", "origin", "learner", "metric"),
    (
        RUN,
        of("question", TEXT, "question of the forecast"),
        of("origin", TEXT, "date of the origin, or 'all' for all origins together"),
        of("learner", TEXT, "learner"),
        of("champion", TEXT, "the learner that scores customers"),
        of("metric", TEXT, "metric"),
        maybe("value", NUMBER, "the learner's value"),
        maybe("low", NUMBER, "lower end of the 95 % bootstrap interval"),
        maybe("high", NUMBER, "upper end of the 95 % bootstrap interval"),
        of("baseline", TEXT, "the best baseline"),
        maybe("baseline_value", NUMBER, "value of the metric for the baseline"),
        maybe("gain", NUMBER, "paired improvement over the baseline; above zero is better"),
        maybe("gain_low", NUMBER, "lower end of its 95 % interval"),
        maybe("gain_high", NUMBER, "upper end of its 95 % interval"),
        of("customer_count", INT, "customers in the evaluation"),
    ),
    partition_by="run_id",
)
SHOP_FORECASTS = Table(
    "shop_forecasts",
    "one row per run and question whose forecasts add up to a total of the shop",
    ("run_id", "question"),
    (
        RUN,
        of("question", TEXT, "question of the forecast"),
        of("value", NUMBER, "total of the forecasts of all customers, in the question's unit"),
        of("low", NUMBER, "lower end of the 80 % interval of the total"),
        of("high", NUMBER, "upper end of the 80 % interval of the total"),
        maybe("history_value", NUMBER, "the total by buying history along the season"),
        maybe("models_value", NUMBER, "the total by the models of single customers"),
        maybe("history_weight", NUMBER, "how much buying history counts in the total, 0 to 1"),
        of("season", NUMBER, "seasonal factor of the horizon against the year's mean"),
        of(
            "is_season_observed",
            FLAG,
            "whether the shop, a year old, has shown the seasonal factor; otherwise it is assumed",
        ),
        maybe("calendar_trust", NUMBER, "how far the season that people entered is believed, 0 to 1"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
REPEAT_PURCHASE_MODELS = Table(
    "repeat_purchase_models",
    "one row per run: a model of order days, and how its forecast of who comes back turned out",
    ("run_id",),
    (
        RUN,
        of("model", TEXT, "the fitted Pareto/NBD, times in days, as JSON"),
        of("first_day", INT, "local day of the shop's first order", "days since 1970"),
        of("last_day", INT, "last local day that the model knows", "days since 1970"),
        of("customer_count", INT, "customers with an order"),
        of("expected_orders_90_days", NUMBER, "expected order days of all customers together", "order days"),
        Column(
            "dropout_check",
            TEXT,
            "whether held-out weeks confirm who is inactive, or why not; P(alive) is shown only if confirmed",
            choices=("confirmed", "unseen", "unchecked", "inactive_returned", "active_lapsed", "too_few"),
        ),
        of(
            "checked_customer_count",
            INT,
            "customers of the model checked in `repeat_purchase_weeks`; 0 without a check",
        ),
        of("inactive_count", INT, "customers of that model whose P(alive) was below a half before the held-out weeks"),
        maybe("inactive_expected_share", NUMBER, "share of them that it expected to order in those weeks", "0 to 1"),
        maybe("inactive_actual_share", NUMBER, "share of them that did", "0 to 1"),
        maybe("active_expected_share", NUMBER, "share of its other customers that it expected to order", "0 to 1"),
        maybe("active_actual_share", NUMBER, "share of them that did", "0 to 1"),
        of("weeks_known_until", TIME, "last day that the model behind `repeat_purchase_weeks` knew, as its `ended_at`"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
REPEAT_PURCHASE_WEEKS = Table(
    "repeat_purchase_weeks",
    "one row per run and week: order days of returning customers, actual and expected",
    ("run_id", "ended_at"),
    (
        RUN,
        of("ended_at", TIME, "end of the week: midnight of its last day, as if the shop's calendar were UTC's"),
        of("order_count", INT, "order days after each customer's first, of the customers whom that model knew"),
        of(
            "expected_orders",
            NUMBER,
            "what a model that knows nothing of the held-out weeks expects of new customers of their ages",
            "order days",
        ),
        of("is_held_out", FLAG, "whether the week is after what that model knew"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
REPEAT_PURCHASE = Table(
    "repeat_purchase",
    "one row per customer and run: what the days of their orders say",
    ("run_id", "customer_id"),
    (
        RUN,
        CUSTOMER,
        of("order_day_count", INT, "days with an order", "days"),
        of("expected_orders_90_days", NUMBER, "expected order days in the next 90 days", "order days"),
        of("probability_active", NUMBER, "P(alive): probability of being active", "0 to 1"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
    is_for_people=True,
)
VALUE_PARTS = Table(
    "value_parts",
    "one row per customer and run: what they are worth until 90 days from the run, costs below zero",
    ("run_id", "customer_id"),
    (
        RUN,
        CUSTOMER,
        of("first_order_cents", INT, "paid on the first order, before returns", "cents"),
        of("repeat_cents", INT, "paid on later orders until the run, before returns", "cents"),
        of("expected_cents", INT, "expected to be paid in the next 90 days, before returns", "cents"),
        of("referral_cents", INT, "share of what the people they referred are expected to pay in 90 days", "cents"),
        of("returns_cents", INT, "refunded, and expected to be", "cents"),
        of("service_cents", INT, "cost of serving orders so far and expected", "cents"),
        of("marketing_cents", INT, "cost of messages and offers sent", "cents"),
        of("total_cents", INT, "sum of all parts", "cents"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
    is_for_people=True,
)
VALUE_AT_RISK = Table(
    "value_at_risk",
    "one row per customer and run, of those with a churn score who paid in the last 180 days",
    ("run_id", "customer_id"),
    (
        RUN,
        CUSTOMER,
        of("churn_probability", NUMBER, "probability of no order in the next 90 days", "0 to 1"),
        of("usual_cents", NUMBER, "paid in the last 180 days, per 90 days", "cents"),
        of("value_at_risk_cents", NUMBER, "churn probability times usual spend", "cents"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
    is_for_people=True,
)
NEXT_ORDERS = Table(
    "next_orders",
    "one row per customer and run: when the next order is likely",
    ("run_id", "customer_id"),
    (
        RUN,
        CUSTOMER,
        maybe("low_days", NUMBER, "days by which a tenth of such customers have ordered; NULL beyond 90", "days"),
        maybe("median_days", NUMBER, "days by which half of them have; NULL beyond 90", "days"),
        maybe("high_days", NUMBER, "days by which nine tenths of them have; NULL beyond 90", "days"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
    is_for_people=True,
)
