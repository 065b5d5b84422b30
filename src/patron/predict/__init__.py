"""What each customer will do and is worth, and how sure we are."""

READS = (
    "contracts",
    "customers",
    "cutoffs",
    "exposures",
    "features",
    "identities",
    "interactions",
    "order_lines",
    "orders",
    "prospect_features",
    "referrals",
    "sessions",
)
WRITES = (
    "scores",
    "reasons",
    "churn_drivers",
    "partial_dependence",
    "backtests",
    "shop_forecasts",
    "repeat_purchase_models",
    "repeat_purchase_weeks",
    "repeat_purchase",
    "value_parts",
    "value_at_risk",
    "next_orders",
    "past_forecasts",
    "metrics_by_group",
    "affinities",
    "category_needs",
    "category_forecasts",
    "response_forecasts",
    "contract_forecasts",
    "model_manifests",
)
RETURNS: tuple[str, ...] = ()
