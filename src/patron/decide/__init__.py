"""Who gets what, within budget and promises."""

READS = ("scores", "segments", "orders", "affinities", "effects", "exposures", "features", "consents")
WRITES = ("decisions", "propensities", "recommendations", "assignments")
RETURNS: tuple[str, ...] = ()
