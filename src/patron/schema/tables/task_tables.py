"""What the work of staff changed."""

from patron.schema.table_definition import INT, NUMBER, TEXT, TIME, Column, Table
from patron.schema.tables.shared_columns import RUN, maybe, of

UNIT = "cents, orders or 0 to 1"

TASK_EFFECTS = Table(
    "task_effects",
    "one row per playbook, reason for leaving and metric: customers whom a bulk action gave a task against those whom"
    " it held out by lot, whether tasks were done or not; draws whose window is over",
    ("run_id", "playbook", "reason", "metric"),
    (
        RUN,
        of("playbook", TEXT, "what the task said to do, or 'all'"),
        of("reason", TEXT, "strongest reason for leaving when it was drawn, 'unknown', or 'all'"),
        Column(
            "metric",
            TEXT,
            "of each customer in the window: net revenue; margin less what tasks cost; orders; whether there was any",
            choices=("revenue", "margin", "orders", "retained"),
        ),
        of("treated_count", INT, "draws with a task"),
        of("holdout_count", INT, "draws that were held out"),
        of("done_count", INT, "draws with a task of which one was done in the window"),
        of("holdout_by_hand_count", INT, "draws that were held out and got a task by hand all the same"),
        maybe("treated_mean", NUMBER, "mean with a task; NULL with fewer than 20", UNIT),
        maybe("holdout_mean", NUMBER, "mean of the holdout; NULL with fewer than 20", UNIT),
        maybe(
            "effect",
            NUMBER,
            "difference of the means, adjusted for the net revenue before (CUPED); NULL with fewer than 20 in an arm",
            UNIT,
        ),
        maybe("low", NUMBER, "lower end of its 95 % interval, at one look", UNIT),
        maybe("high", NUMBER, "upper end of its 95 % interval, at one look", UNIT),
        maybe("sequence_low", NUMBER, "lower end of the 95 % interval that holds at every look together", UNIT),
        maybe("sequence_high", NUMBER, "upper end of the 95 % interval that holds at every look together", UNIT),
        maybe("standard_error", NUMBER, "standard error of the effect", UNIT),
        maybe("adjusted_p_value", NUMBER, "that there is no effect, by Holm over parts of the same kind", "0 to 1"),
        maybe("raw_effect", NUMBER, "difference of the means", UNIT),
        maybe("raw_low", NUMBER, "lower end of its 95 % interval", UNIT),
        maybe("raw_high", NUMBER, "upper end of its 95 % interval", UNIT),
        maybe("variance_removed", NUMBER, "share of the variance that the adjustment removed", "0 to 1"),
        of("sample_ratio_p_value", NUMBER, "of arms of such sizes, if the draw is sound", "0 to 1"),
        of("assigned_from", TIME, "time of the earliest draw"),
        of("assigned_until", TIME, "time of the latest draw"),
        of("measured_until", TIME, "end of the latest window"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
