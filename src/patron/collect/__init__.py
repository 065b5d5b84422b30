"""What happened, exactly as we received it: files and raw events become rows of `events`."""

STORE_TABLES = ("consent_ledger", "consent_wordings", "dead_letters", "imports")
READS = ("events", *STORE_TABLES, "vault")
WRITES = ("events", *STORE_TABLES, "vault")
RETURNS: tuple[str, ...] = ()
