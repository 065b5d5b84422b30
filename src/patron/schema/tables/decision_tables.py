"""Decisions, what reached customers, and what it caused."""

from patron.schema.data.data_sources import ALARM_KINDS, DATA_SOURCES
from patron.schema.table_definition import FLAG, INT, NUMBER, TEXT, TEXTS, TIME, Column, Table
from patron.schema.tables.shared_columns import AS_OF, CUSTOMER, RUN, maybe, of

DECISIONS = Table(
    "decisions",
    "one row per customer who was considered for an offer",
    ("decision_id",),
    (
        RUN,
        of("decision_id", TEXT, "decision; hash of run and customer"),
        CUSTOMER,
        AS_OF,
        of("action", TEXT, "id of the offer, or 'none'"),
        of("expected_net_value_cents", NUMBER, "expected effect less expected cost", "cents"),
        of("effect_cents", NUMBER, "expected extra margin caused by the offer", "cents"),
        of("cost_cents", NUMBER, "expected cost of the offer", "cents"),
        maybe(
            "exploration_cost_cents",
            NUMBER,
            "expected net value that randomising gives up: of the best action less that of all actions by probability",
            "cents",
        ),
        of("propensity", NUMBER, "probability with which this action was chosen", "0 to 1"),
        of("reason", TEXT, "reason code of the action"),
        of("stratum", TEXT, "stratum of customers whose effect was used"),
        of("effect_source", TEXT, "whether the effect is assumed or measured"),
        of("policy_version", TEXT, "hash of policy.toml"),
        of("is_holdout", FLAG, "whether the customer is in the holdout, the control group that no offer reaches"),
        of(
            "consent_basis",
            TEXT,
            "basis on which the customer may be contacted, or not: consent, unknown_allowed, withdrawn ...",
        ),
        maybe("budget_price", NUMBER, "net value that the next unit of budget would have added; 0 where it was enough"),
    ),
    partition_by="run_id",
    checks=("propensity > 0 and propensity <= 1", "not is_holdout or action = 'none'"),
    sorted_by=("customer_id",),
)
ALTERNATIVES = Table(
    "alternatives",
    "one row per decision and offer that was considered for it, also those that a rule forbids",
    ("decision_id", "action"),
    (
        RUN,
        of("decision_id", TEXT, "the decision"),
        CUSTOMER,
        of("action", TEXT, "id of the offer"),
        of("expected_net_value_cents", NUMBER, "expected effect less expected cost", "cents"),
        of("effect_cents", NUMBER, "expected extra margin caused by the offer", "cents"),
        of("cost_cents", NUMBER, "expected cost of the offer", "cents"),
        of("propensity", NUMBER, "probability with which the offer was chosen", "0 to 1"),
        maybe("forbidden_by", TEXT, "code of the rule that forbids the offer to the customer"),
    ),
    partition_by="run_id",
    checks=("propensity >= 0 and propensity <= 1", "forbidden_by is null or propensity = 0"),
    sorted_by=("customer_id",),
    is_for_people=True,
)
PROPENSITIES = Table(
    "propensities",
    "one row per randomised decision and action that it could have had",
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
EXPOSURES = Table(
    "exposures",
    "one row per decision handed to a channel",
    ("decision_id",),
    (
        RUN,
        of("decision_id", TEXT, "the decision"),
        CUSTOMER,
        of("action", TEXT, "id of the offer"),
        of("channel", TEXT, "channel that received it"),
        of("exposed_at", TIME, "when the channel received it, and once it is known, when it was sent"),
        of("is_delivered", FLAG, "whether it is confirmed that it was sent"),
        maybe("confirmed_at", TIME, "when that became known; NULL until then"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
)
EFFECTS = Table(
    "effects",
    "one row per offer and stratum: effect on the margin of those who got the offer; adjusted_cents of a whole is the"
    " mean of its parts, weighted by treated_count (that of effect_cents is not: its parts are shrunk)",
    ("run_id", "offer", "stratum"),
    (
        RUN,
        of("offer", TEXT, "id of the offer, or 'any' for all offers together"),
        of("stratum", TEXT, "stratum of customers, or 'all'"),
        of("treated_count", INT, "decisions with the offer"),
        of("control_count", INT, "decisions without an offer that could have been this one, with the holdout's"),
        of(
            "effect_cents",
            NUMBER,
            "effect that decisions use: adjusted_cents, of an offer in a stratum shrunk",
            "cents",
        ),
        of("low", NUMBER, "lower end of the 95 % interval of effect_cents", "cents"),
        of("high", NUMBER, "upper end of the 95 % interval of effect_cents", "cents"),
        of("standard_error", NUMBER, "standard error of effect_cents", "cents"),
        maybe(
            "raw_cents", NUMBER, "mean effect on margin, by the propensities alone; NULL where nobody got it", "cents"
        ),
        maybe("raw_low", NUMBER, "lower end of its 95 % interval", "cents"),
        maybe("raw_high", NUMBER, "upper end of its 95 % interval", "cents"),
        maybe("adjusted_cents", NUMBER, "the same, adjusted for what was known at the decision; not shrunk", "cents"),
        maybe("adjusted_low", NUMBER, "lower end of its 95 % interval, at one look", "cents"),
        maybe("adjusted_high", NUMBER, "upper end of its 95 % interval, at one look", "cents"),
        maybe("sequence_low", NUMBER, "lower end of the 95 % interval that holds at every look together", "cents"),
        maybe("sequence_high", NUMBER, "upper end of the 95 % interval that holds at every look together", "cents"),
        maybe(
            "cost_cents",
            NUMBER,
            "discounts with the offer's code, cost and points of these orders, and sending; mean",
            "cents",
        ),
        maybe("net_cents", NUMBER, "adjusted_cents less the costs that are not in the margin", "cents"),
        of(
            "window_share", NUMBER, "mean length of the measured windows, as a share of [measure] window_days", "0 to 1"
        ),
        of("is_placebo", FLAG, "whether no offer was really sent, so that the true effect is 0"),
        of("decided_from", TIME, "cutoff of the earliest measured decision"),
        of("decided_until", TIME, "cutoff of the latest measured decision"),
    ),
    partition_by="run_id",
)
OFFER_RESPONSE_CLASSES = Table(
    "offer_response_classes",
    "one row per offer and latent class of customers: how the class answers the offer; empty until offers were sent",
    ("run_id", "offer", "class_number"),
    (
        RUN,
        of("offer", TEXT, "id of the offer"),
        of("class_number", INT, "1 is the class to which offers add most orders"),
        of("class_share", NUMBER, "share of customers in the class", "0 to 1"),
        of("decision_count", INT, "decisions with the offer about customers of the class, by probability, rounded"),
        of("usual_factor", NUMBER, "what expected orders are multiplied by without an offer"),
        of("order_factor", NUMBER, "what they are multiplied by with the offer"),
        of("extra_orders", NUMBER, "orders in [measure] window_days that it adds, whatever was expected"),
        of("standard_error", NUMBER, "standard error of the orders that it adds, by chance alone"),
        maybe(
            "redeemed_share",
            NUMBER,
            "share of the class's orders in the window that use its code; NULL where none ever did",
        ),
        of("opened_share", NUMBER, "share of messages that the class opens; .5 without messages", "0 to 1"),
    ),
    partition_by="run_id",
)
OFFER_RESPONDERS = Table(
    "offer_responders",
    "one row per customer with a forecast who takes personal offers: latent class of response; empty until offers were"
    " sent",
    ("run_id", "customer_id"),
    (
        RUN,
        CUSTOMER,
        of("answering_probability", NUMBER, "probability of class 1 of offer_response_classes", "0 to 1"),
        of("expected_orders", NUMBER, "orders expected without an offer in [measure] window_days"),
    ),
    partition_by="run_id",
    sorted_by=("customer_id",),
)
ASSIGNMENT_CHECKS = Table(
    "assignment_checks",
    "one row per assignment and arm: whether arms have as many customers as their shares say; if not, distrust effects",
    ("run_id", "assignment", "arm"),
    (
        RUN,
        Column("assignment", TEXT, "what was assigned", choices=("holdout", "actions")),
        of("arm", TEXT, "holdout or reachable; or the action"),
        of("decision_count", INT, "decisions in the arm, of the holdout customers' first ones"),
        of("expected_decisions", NUMBER, "how many the policy's share, or the logged propensities, say"),
        of(
            "p_value",
            NUMBER,
            "probability of counts at least as far from the expected ones, of the assignment",
            "0 to 1",
        ),
        of("is_alarm", FLAG, "whether p_value is below .001"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
FORECAST_CHECKS = Table(
    "forecast_checks",
    "one row per question, earlier run and decile of its forecast",
    ("run_id", "question", "scored_at", "decile"),
    (
        RUN,
        of("question", TEXT, "what was predicted"),
        of("scored_at", TIME, "cutoff of the forecast"),
        of("decile", INT, "decile of the forecast, 1 is the lowest; 0 is all customers"),
        of("customer_count", INT, "number of customers"),
        of("forecast_mean", NUMBER, "mean forecast, in the question's unit"),
        of("actual_mean", NUMBER, "mean actual, in the question's unit"),
        maybe("bias_share", NUMBER, "forecast total over actual total, less 1"),
        maybe("bias_low", NUMBER, "lower end of the 95 % interval of bias_share"),
        maybe("bias_high", NUMBER, "upper end of the 95 % interval of bias_share"),
        maybe("error", NUMBER, "mean absolute error in the question's unit; of a probability the Brier score"),
        maybe("baseline_error", NUMBER, "the same error of one forecast for everybody, the mean forecast"),
        maybe(
            "covered_share", NUMBER, "share of customers whose actual lies in the forecast's 80 % interval", "0 to 1"
        ),
    ),
    partition_by="run_id",
    is_for_people=True,
)
DRIFT = Table(
    "drift",
    "one row per feature: how its distribution changed since the previous run",
    ("run_id", "feature"),
    (
        RUN,
        of("feature", TEXT, "feature"),
        of("reference_run_id", TEXT, "the previous run, which is compared with"),
        of("population_stability_index", NUMBER, "0 is the same; above .25 is a different population"),
        maybe("mean_before", NUMBER, "mean in the previous run"),
        maybe("mean_now", NUMBER, "mean in this run"),
    ),
    partition_by="run_id",
    is_for_people=True,
)
MODEL_ALARMS = Table(
    "model_alarms",
    "one row per alarm: what changed more than it usually does",
    ("run_id", "kind", "subject", "part"),
    (
        RUN,
        Column("kind", TEXT, "what changed: features, scores, or how forecasts came true", choices=ALARM_KINDS),
        of("subject", TEXT, "feature that shows it most clearly, or question"),
        Column(
            "part",
            TEXT,
            "share: how many customers have a value other than 0; size: how large it is; level: the most changed level;"
            " mean: mean score, or mean forecast and mean actual",
            choices=("share", "size", "level", "mean"),
        ),
        Column("source", TEXT, "of data: what the features come from", nullable=True, choices=DATA_SOURCES),
        maybe("level", TEXT, "the level whose share changed most"),
        maybe("before", NUMBER, "share or mean before, or mean forecast; shares are 0 to 1"),
        maybe("now", NUMBER, "share or mean now, or mean actual; shares are 0 to 1"),
        of(
            "value",
            NUMBER,
            "population stability index; of calibration the larger of forecast and actual over the smaller",
        ),
        of("allowed", NUMBER, "what the value may be in this shop without an alarm"),
        of("since", TIME, "cutoff that is compared with: the one before, of the run before, or of the forecast"),
        of("customer_count", INT, "customers"),
        of("related", TEXTS, "other features of the same source that changed"),
    ),
    partition_by="run_id",
)
