"""A simulated shop whose truth is known: its raw events, and apart from them the ground truth."""

READS: tuple[str, ...] = ()
WRITES: tuple[str, ...] = ()
RETURNS = ("events",)
"""Events, which commands hand to collect."""
