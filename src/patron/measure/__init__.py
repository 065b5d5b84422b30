"""What our decisions caused, and whether our forecasts came true."""

READS = (
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
    "vault",
)
WRITES = (
    "effects",
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
