"""Understand: run events into orders, products, customers and sessions, and into features as of a cutoff."""

READS = ("events", "consent_ledger", "scores", "past_forecasts", "backtests", "trainings", "model_manifests")
WRITES = (
    "token_pairs",
    "identities",
    "identity_changes",
    "traits",
    "consents",
    "products",
    "order_lines",
    "orders",
    "interactions",
    "referrals",
    "contracts",
    "promotions",
    "sessions",
    "customers",
    "cleaning",
    "later_refunds",
    "cutoffs",
    "features",
    "prospect_features",
    "segments",
    "stage_transitions",
    "stage_values",
    "segment_fields",
    "segment_members",
    "personas",
    "persona_traits",
)
RETURNS: tuple[str, ...] = ()
