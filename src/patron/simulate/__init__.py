"""A shop whose truth we know: it makes events as a shop would tell them, and, apart, what really was behind them."""

READS: tuple[str, ...] = ()
WRITES: tuple[str, ...] = ()
RETURNS = ("events",)
"""Events, which commands hand to collect."""
