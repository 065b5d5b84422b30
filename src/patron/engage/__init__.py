"""Decisions reach people: what was decided becomes files that a mail system can send."""

READS = ("decisions", "recommendations", "identities")
WRITES = ("exposures",)
