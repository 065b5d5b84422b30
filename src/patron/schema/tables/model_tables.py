"""When models were trained and why, and how they do in groups of customers."""

from patron.schema.table_definition import INT, NUMBER, TEXT, TIME, Column, Table
from patron.schema.tables.shared_columns import RUN, maybe, of

FIRST = "first"
REQUESTED = "requested"
ALARM = "alarm"
NEW_SEASON = "new_season"
DUE = "due"
UNPROVEN = "unproven"
OTHER_FEATURES = "other_features"
UNUSABLE = "unusable"
RECENT = "recent"
"""Not trained: the model is recent enough."""
TRAINING_REASONS = (FIRST, REQUESTED, ALARM, NEW_SEASON, DUE, UNPROVEN, OTHER_FEATURES, UNUSABLE, RECENT)
TRAININGS = Table(
    "trainings",
    "one row per run and answered question: the run that trained its champion",
    ("run_id", "question"),
    (
        RUN,
        of("question", TEXT, "question of the forecast"),
        of("trained_run_id", TEXT, "run that trained the champion, and that measured it: this one, or an earlier one"),
        of("trained_at", TIME, "cutoff of that run"),
        Column(
            "reason",
            TEXT,
            "why this run trained it: there was no model yet, somebody requested it, the run before had an alarm, "
            "people entered another season, or the model was due, had no backtest, knows other features or cannot be "
            "used; recent: this run did not",
            choices=TRAINING_REASONS,
        ),
    ),
    partition_by="run_id",
)
GROUPINGS = ("first_order", "order_count", "order_channel", "first_channel")
METRICS_BY_GROUP = Table(
    "metrics_by_group",
    "one row per run, question, grouping and group of customers, at the newest past cutoff whose outcome is known",
    ("run_id", "question", "grouping", "group_name"),
    (
        RUN,
        of("question", TEXT, "question of the forecast"),
        of("origin", TEXT, "date of the cutoff: neither model was fitted to anything known later"),
        Column(
            "grouping",
            TEXT,
            "what the group shares: half-year of the first order, orders so far, most used order channel, "
            "or channel of the first sign of life (prospects)",
            choices=GROUPINGS,
        ),
        of("group_name", TEXT, "the group, such as 2024-H1, 2-3, web, unknown or other"),
        of("customer_count", INT, "customers of the group"),
        of("metric", TEXT, "primary metric of the question"),
        of("learner", TEXT, "champion of the run, fitted to what was known at the cutoff"),
        maybe("value", NUMBER, "its metric in the group"),
        maybe("low", NUMBER, "lower end of the 95 % bootstrap interval"),
        maybe("high", NUMBER, "upper end of the 95 % bootstrap interval"),
        of("baseline", TEXT, "the best baseline of the question"),
        maybe("baseline_value", NUMBER, "metric of the baseline in the group"),
        maybe("gain", NUMBER, "paired improvement over the baseline; above zero is better"),
        maybe("gain_low", NUMBER, "lower end of its 95 % interval"),
        maybe("gain_high", NUMBER, "upper end of its 95 % interval"),
        maybe("earlier_version", TEXT, "newest kept model of a run no later than the cutoff; NULL where there is none"),
        maybe("earlier_value", NUMBER, "metric of the earlier model in the group"),
        maybe("earlier_gain", NUMBER, "paired improvement over the earlier model; below zero is worse"),
        maybe("earlier_gain_low", NUMBER, "lower end of its 95 % interval"),
        maybe("earlier_gain_high", NUMBER, "upper end of its 95 % interval"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
