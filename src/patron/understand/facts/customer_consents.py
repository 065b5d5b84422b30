"""What customers agreed to or took back, as the ledger holds it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from patron.schema.table_definition import FLAG, TEXT, TIME
from patron.storage.engine import timestamp
from patron.storage.offers.policy import Consent as ConsentPolicy
from patron.understand.facts.usable_events import END_OF_TIME, Scope

LEDGER = pa.schema(
    [(name, TEXT) for name in ("event", "token", "purpose", "basis", "wording_version", "policy_version")]
    + [("is_granted", FLAG), ("occurred_at", TIME), ("known_at", TIME)]
)
"""What the fact needs of the ledger's entries."""


def ledger_table(entries: Iterable[Mapping[str, Any]], consent_policy: ConsentPolicy) -> pa.Table:
    """Entries of the ledger as a table, with purposes by the names that the policy has for them now."""
    times = {"occurred_at", "known_at"}
    rows = [
        {f.name: datetime.fromisoformat(entry[f.name]) if f.name in times else entry[f.name] for f in LEDGER}
        | {"purpose": consent_policy.purpose(entry["purpose"])}
        for entry in entries
    ]
    return pa.Table.from_pylist(rows, schema=LEDGER)


def consents(scope: Scope) -> str:
    """One row per yes or no to a purpose; `is_latest` is a user's last word to it, at the same cutoff a no."""
    newest = "partition by customer_id, purpose, is_of_user order by occurred_at desc, is_granted, event"
    return f"""
        select customer_id, purpose, is_granted, is_of_user, basis, wording_version, policy_version, event,
            occurred_at, known_at, is_of_user and row_number() over ({newest}) = 1 as is_latest
        from (
            select i.customer_id, l.purpose, l.is_granted, i.is_user as is_of_user, l.basis, l.wording_version,
                l.policy_version, l.event, l.occurred_at, l.known_at
            from ledger l
            join (
                select token, customer_id, is_user, coalesce(shared_from, {timestamp(END_OF_TIME)}) as shared_from
                from identities
            ) i on i.token = l.token and l.known_at < i.shared_from
            where l.known_at < {timestamp(scope.as_of)}
        ) c"""
