"""Whether groups of customers are treated alike: groups only, never a customer."""

from patron.schema.models.group_metrics import GROUP_METRICS
from patron.schema.table_definition import INT, NUMBER, TEXT, Column, Table
from patron.schema.tables.shared_columns import RUN, maybe, of

CHURN_DECISION, OFFERS_DECISION = "churn", "offers"
NO_MITIGATION, GROUP_THRESHOLDS = "none", "group_thresholds"
THRESHOLD = "threshold"
LEFT_OUT = "left_out"
WITHOUT_GROUP = "without_group"
CUSTOMERS_ADDED = "customers_added"
CUSTOMERS_REMOVED = "customers_removed"
EXPECTED_GAIN_CHANGE = "expected_gain_change"
FAIR = "fair"
WARN = "warn"
REFUSE = "refuse"
UNTESTED = "untested"
FAIRNESS_METRICS = (
    *GROUP_METRICS,
    THRESHOLD,
    LEFT_OUT,
    WITHOUT_GROUP,
    CUSTOMERS_ADDED,
    CUSTOMERS_REMOVED,
    EXPECTED_GAIN_CHANGE,
)
FAIRNESS = Table(
    "fairness",
    "one row per decision, mitigation, sensitive trait, group and metric, and run",
    ("run_id", "decision", "mitigation", "trait", "group_name", "metric"),
    (
        RUN,
        Column(
            "decision",
            TEXT,
            "what selects customers: churn (forecast as likely to leave, at past cutoffs) or offers (an offer, in this "
            "run)",
            choices=(CHURN_DECISION, OFFERS_DECISION),
        ),
        Column(
            "mitigation",
            TEXT,
            "with which thresholds: the same for all (none), or each group's own (group_thresholds)",
            choices=(NO_MITIGATION, GROUP_THRESHOLDS),
        ),
        of("trait", TEXT, "sensitive trait that policy.toml declares"),
        of("group_name", TEXT, "value of the trait, a range of ten, or other; empty for what is about no one group"),
        Column(
            "metric",
            TEXT,
            "metric of a group; threshold; left_out (customers of groups that cannot be compared); without_group (those"
            " whose trait is not known); customers_added and customers_removed by group thresholds, among those"
            " considered for an offer; expected_gain_change by them, cents",
            choices=FAIRNESS_METRICS,
        ),
        maybe("customer_count", INT, "customers that the metric looks at"),
        maybe("value", NUMBER, "value of the metric, of the group: shares 0 to 1"),
        maybe("low", NUMBER, "lower end of its 95 % interval; of the ratio, of one that holds for all comparisons"),
        maybe("high", NUMBER, "upper end of it"),
        maybe("others_value", NUMBER, "value of all other customers of a known group"),
        maybe("gap", NUMBER, "value less others_value"),
        maybe("gap_low", NUMBER, "lower end of an interval of the gap that holds for all comparisons together"),
        maybe("gap_high", NUMBER, "upper end of it"),
        Column(
            "verdict",
            TEXT,
            "whether the difference is beyond noise and a threshold of policy.toml",
            choices=(FAIR, WARN, REFUSE, UNTESTED),
        ),
    ),
    partition_by="run_id",
    is_for_people=True,
)
