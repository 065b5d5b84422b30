"""Decisions reach people: as files of a run that a mail system sends, and as messages of campaigns and journeys.

A run's outbox: `run_delivery` fills it, `outbox_refusals` says who is in no file, `outbox_offers` holds files back.
Messages: `message_queue` (rows of the store), `send_eligibility` (may one be sent now), `message_limits` (quiet hours
and caps), `recipients` with `customer_time_zones`; their texts are `templates`.
They go out by `channels`, of which some speak to `providers`. `journeys`: who enters, who moves on.
Ad platforms: `audience_identifiers` (hashes), `audience_destinations`.
"""

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
