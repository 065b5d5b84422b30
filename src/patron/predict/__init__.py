"""What each customer will do and is worth, and how sure we are."""

READS = ("features", "order_lines", "orders")
WRITES = ("scores", "backtests", "shop_forecasts", "order_models", "repeat_orders", "affinities")
RETURNS: tuple[str, ...] = ()
