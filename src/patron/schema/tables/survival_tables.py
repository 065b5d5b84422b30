"""How long customers stay, how such forecasts did at a past cutoff, and how early warnings of leaving came."""

from patron.schema.table_definition import INT, NUMBER, TEXT, Column, Table
from patron.schema.tables.shared_columns import CUSTOMER, RUN, maybe, of

SURVIVAL_LEARNERS = ("life_table", "hazard_logistic", "hazard_trees")
WARNING_RULES = ("churn", "days_since_last_order")
SURVIVAL_CURVES = Table(
    "survival_curves",
    "one row per customer with an order in the last 90 days, horizon and run; none in a shop too young to check them",
    ("run_id", "customer_id", "horizon_days"),
    (
        RUN,
        CUSTOMER,
        of("model_version", TEXT, "hazards beyond the first horizon: their folder under models/"),
        of("horizon_days", INT, "horizon: 90, 180, 270 or 360", "days"),
        of(
            "probability_active",
            NUMBER,
            "probability that no pause of 90 days without an order ends within the horizon; at 90 days, 1 - churn",
            "0 to 1",
        ),
        of("mean_probability_active", NUMBER, "its mean over these customers, the same in every row", "0 to 1"),
        maybe(
            "expected_days",
            NUMBER,
            "expected days until such a pause begins, of the first horizon_days - 90; NULL at the first horizon",
            "days",
        ),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
    is_for_people=True,
)
SURVIVAL_BACKTESTS = Table(
    "survival_backtests",
    "one row per run, learner, metric and horizon: forecasts of past cutoffs next to the life table's",
    ("run_id", "learner", "metric", "horizon_days"),
    (
        RUN,
        of("origin", TEXT, "date of the first of up to three cutoffs: every learner was fitted to what was known then"),
        Column("learner", TEXT, "learner; life_table gives everybody the same curve", choices=SURVIVAL_LEARNERS),
        Column("champion", TEXT, "the learner that today's curves come from", choices=SURVIVAL_LEARNERS),
        Column("metric", TEXT, "metric", choices=("log_loss", "concordance", "brier")),
        of("horizon_days", INT, "until when; of log loss and concordance the longest horizon", "days"),
        maybe("value", NUMBER, "the learner's value; concordance is NULL where all customers have the same forecast"),
        maybe("low", NUMBER, "lower end of the 95 % bootstrap interval over customers"),
        maybe("high", NUMBER, "upper end of the 95 % bootstrap interval over customers"),
        maybe("gain", NUMBER, "paired improvement over the life table; above zero is better; NULL of the life table"),
        maybe("gain_low", NUMBER, "lower end of its 95 % interval"),
        maybe("gain_high", NUMBER, "upper end of its 95 % interval"),
        maybe("forecast_share", NUMBER, "mean forecast of being active at the horizon; of brier only", "0 to 1"),
        maybe("actual_share", NUMBER, "share that was; of brier only", "0 to 1"),
        of("customer_count", INT, "forecasts: customers active at a cutoff who ordered in the next 90 days"),
        of("leaver_count", INT, "those of them who left within the longest horizon and by now"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
EARLY_WARNINGS = Table(
    "early_warnings",
    "one row per run, rule and share of customers warned of, at past cutoffs whose outcome is known",
    ("run_id", "rule", "share"),
    (
        RUN,
        Column(
            "rule",
            TEXT,
            "who is warned of first: by the churn forecast made there, or by days since the last order",
            choices=WARNING_RULES,
        ),
        of("share", NUMBER, "share of customers and cutoffs that the rule picks, the highest first", "0 to 1"),
        of("warned_count", INT, "customers warned of, each at the first cutoff that picks them"),
        of("precision", NUMBER, "share of them without an order in the next 90 days", "0 to 1"),
        of("low", NUMBER, "lower end of its 95 % bootstrap interval over customers"),
        of("high", NUMBER, "upper end of its 95 % bootstrap interval over customers"),
        of("base_rate", NUMBER, "share of all customers and cutoffs without an order in the next 90 days", "0 to 1"),
        of("leavers_warned_share", NUMBER, "share of the customers who left that was warned of", "0 to 1"),
        maybe(
            "lead_days",
            NUMBER,
            "median days from a right warning to the 90th day without an order, when everybody sees it",
            "days",
        ),
        maybe("lead_low_days", NUMBER, "lower quartile of these days", "days"),
        maybe("lead_high_days", NUMBER, "upper quartile of these days", "days"),
        maybe("gain", NUMBER, "precision less that of days_since_last_order; NULL of that rule"),
        maybe("gain_low", NUMBER, "lower end of its 95 % interval"),
        maybe("gain_high", NUMBER, "upper end of its 95 % interval"),
        of("customer_count", INT, "customers with an order in the 90 days before one of the cutoffs"),
        of("leaver_count", INT, "those of them who left"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
