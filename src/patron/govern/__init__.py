"""Whose data it is: the vault that keeps personal data apart from the facts."""

READS: tuple[str, ...] = ()
WRITES: tuple[str, ...] = ()
