"""What our decisions caused, and whether our forecasts came true."""

READS = ("decisions", "propensities", "exposures", "order_lines", "scores", "features")
WRITES = ("effects", "forecast_checks", "drift", "model_alarms")
RETURNS: tuple[str, ...] = ()
