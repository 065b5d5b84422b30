"""Who gets what, within budget and promises."""

READS = (
    "scores",
    "segments",
    "orders",
    "affinities",
    "effects",
    "exposures",
    "features",
    "consents",
    "past_forecasts",
    "trainings",
    "order_lines",
    "traits",
    "identities",
    "events",
    "vault",
)
WRITES = ("decisions", "propensities", "recommendations", "assignments", "fairness")
RETURNS: tuple[str, ...] = ()
