"""What our decisions caused, and whether our forecasts came true."""

READS = (
    "consents",
    "decisions",
    "propensities",
    "exposures",
    "order_lines",
    "customers",
    "traits",
    "scores",
    "features",
    "events",
    "identities",
    "identity_changes",
    "customer_tasks",
    "messages",
    "vault",
)
WRITES = (
    "effects",
    "offer_response_classes",
    "offer_responders",
    "assignment_checks",
    "forecast_checks",
    "drift",
    "model_alarms",
    "cohorts",
    "cohort_months",
    "list_sources",
    "product_responses",
    "task_effects",
)
RETURNS: tuple[str, ...] = ()
