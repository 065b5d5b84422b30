"""Who gets what, within budget and promises."""

READS = (
    "scores",
    "reasons",
    "segments",
    "orders",
    "affinities",
    "related_products",
    "products",
    "promotions",
    "recommendable_products",
    "list_sources",
    "product_responses",
    "effects",
    "exposures",
    "features",
    "consents",
    "past_forecasts",
    "trainings",
    "order_lines",
    "interactions",
    "traits",
    "identities",
    "events",
    "messages",
    "assignments",
    "vault",
)
WRITES = (
    "decisions",
    "alternatives",
    "propensities",
    "recommendable_products",
    "recommendations",
    "experiment_arms",
    "fairness",
)
RETURNS: tuple[str, ...] = ()
