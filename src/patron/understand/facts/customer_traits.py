"""What customers declared about themselves, only traits that are neither identifying nor sensitive."""

import pyarrow as pa

from patron.schema.privacy.personal_keys import PLAIN
from patron.schema.table_definition import TEXT
from patron.understand.facts.usable_events import Scope, usable_events, with_customer


def trait_names() -> pa.Table:
    """The plain traits as a small table that the query joins."""
    return pa.table({"trait": pa.array(PLAIN, TEXT)})


def traits(scope: Scope) -> str:
    """One row per declared value, in order of time."""
    trait_events = usable_events(scope, "traits", "known_at as link_at", where="e.traits is not null")
    choices = " ".join(f"when '{name}' then json_extract_string(o.traits, '$.{name}')" for name in PLAIN)
    return f"""
        select customer_id, trait, value, event_id, occurred_at, known_at
        from (
            select o.customer_id, n.trait, case n.trait {choices} end as value, o.event_id, o.occurred_at, o.known_at
            from ({with_customer(trait_events, "event_id", "occurred_at", "traits")}) o cross join trait_names n
        ) v
        where value is not null and value <> ''"""
