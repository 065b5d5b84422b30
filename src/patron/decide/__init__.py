"""Who gets what, within budget and promises."""

READS = ("scores", "segments", "orders", "affinities", "effects", "exposures", "features")
WRITES = ("decisions", "propensities", "recommendations")
