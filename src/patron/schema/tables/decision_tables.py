"""What was decided, what reached people, and what it caused."""

from patron.schema.table_definition import FLAG, INT, NUMBER, TEXT, TIME, Table
from patron.schema.tables.shared_columns import AS_OF, CUSTOMER, RUN, maybe, of

DECISIONS = Table(
    "decisions",
    "one row per customer that was considered for an offer",
    ("decision_id",),
    (
        RUN,
        of("decision_id", TEXT, "hash of run and customer"),
        CUSTOMER,
        AS_OF,
        of("action", TEXT, "id of the offer, or 'none'"),
        of("expected_net_value_cents", NUMBER, "expected gain less cost", "cents"),
        of("effect_cents", NUMBER, "expected extra margin caused by the offer", "cents"),
        of("cost_cents", NUMBER, "expected cost of the offer", "cents"),
        of("propensity", NUMBER, "probability with which this action was chosen", "0 to 1"),
        of("reason", TEXT, "reason code: why this action"),
        of("segment", TEXT, "segment whose effect was used"),
        of("effect_source", TEXT, "assumed or measured"),
        of("policy_version", TEXT, "hash of policy.toml"),
        of("is_holdout", FLAG, "whether the customer is in the holdout that no offer reaches"),
        of("consent_basis", TEXT, "why we may write to the customer, or not: consent, unknown_allowed, withdrawn ..."),
    ),
    partition_by="run_id",
    checks=("propensity > 0 and propensity <= 1", "not is_holdout or action = 'none'"),
    sorted_by=("customer_id",),
)
PROPENSITIES = Table(
    "propensities",
    "one row per decision that was left to chance and action that chance could have chosen",
    ("decision_id", "action"),
    (
        RUN,
        of("decision_id", TEXT, "the decision"),
        CUSTOMER,
        of("action", TEXT, "id of an offer, or 'none'"),
        of("propensity", NUMBER, "probability of this action", "0 to 1"),
    ),
    partition_by="run_id",
    checks=("propensity > 0 and propensity < 1",),
)
RECOMMENDATIONS = Table(
    "recommendations",
    "one row per customer and recommended product",
    ("run_id", "customer_id", "rank"),
    (
        RUN,
        CUSTOMER,
        AS_OF,
        of("rank", INT, "1 is shown first"),
        of("product_id", TEXT, "product"),
        of("reason", TEXT, "bought_before, popular_now ..."),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
)
EXPOSURES = Table(
    "exposures",
    "one row per decision handed to a channel",
    ("decision_id",),
    (
        RUN,
        of("decision_id", TEXT, "the decision"),
        CUSTOMER,
        of("action", TEXT, "id of the offer"),
        of("channel", TEXT, "channel that took it"),
        of("exposed_at", TIME, "when it was handed over"),
        of("is_delivered", FLAG, "whether the channel reaches customers (the file outbox does not by itself)"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
)
EFFECTS = Table(
    "effects",
    "one row per offer and segment: what offered customers spent against comparable ones without an offer",
    ("run_id", "offer", "segment"),
    (
        RUN,
        of("offer", TEXT, "id of the offer, or 'any'"),
        of("segment", TEXT, "segment, or 'all'"),
        of("treated_count", INT, "customers offered"),
        of("control_count", INT, "customers not offered"),
        of("effect_cents", NUMBER, "mean difference of margin per customer, shrunken for segments", "cents"),
        of("low", NUMBER, "lower end of the 95 % interval", "cents"),
        of("high", NUMBER, "upper end of the 95 % interval", "cents"),
        of("standard_error", NUMBER, "standard error of effect_cents", "cents"),
        of("window_share", NUMBER, "mean length of the windows counted, as a share of [measure] window_days", "0 to 1"),
        of("is_placebo", FLAG, "whether no offer was really sent, so that the truth is 0"),
        of("decided_from", TIME, "cutoff of the earliest decision measured"),
        of("decided_until", TIME, "cutoff of the latest decision measured"),
    ),
    partition_by="run_id",
)
FORECAST_CHECKS = Table(
    "forecast_checks",
    "one row per question, earlier run and decile of its forecast",
    ("run_id", "question", "scored_at", "decile"),
    (
        RUN,
        of("question", TEXT, "what was predicted"),
        of("scored_at", TIME, "cutoff of the forecast"),
        of("decile", INT, "1 is the lowest forecast, 0 is everybody"),
        of("customer_count", INT, "customers"),
        of("forecast_mean", NUMBER, "mean forecast, in the question's unit"),
        of("actual_mean", NUMBER, "mean of what happened"),
        maybe("bias_share", NUMBER, "forecast total over actual total, less 1"),
    ),
    partition_by="run_id",
)
DRIFT = Table(
    "drift",
    "one row per feature: how its distribution moved since the last run",
    ("run_id", "feature"),
    (
        RUN,
        of("feature", TEXT, "feature"),
        of("reference_run_id", TEXT, "run compared with"),
        of("population_stability_index", NUMBER, "0 is the same; above .25 is a different population"),
        maybe("mean_before", NUMBER, "mean then"),
        maybe("mean_now", NUMBER, "mean now"),
    ),
    partition_by="run_id",
)
