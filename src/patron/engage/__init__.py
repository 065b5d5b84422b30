"""Decisions reach people: what was decided becomes files that a mail system sends, and messages of campaigns."""

READS = (
    "decisions",
    "recommendations",
    "identities",
    "events",
    "consent_ledger",
    "consent_wordings",
    "suppressions",
    "vault",
)
WRITES = ("exposures",)
RETURNS = ("events",)
"""Events, which the run hands to collect."""
