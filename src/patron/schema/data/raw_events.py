"""Raw events: events as a shop sends them, before the vault has taken the identifiers out."""

import pyarrow as pa

from patron.schema.table_definition import TEXT
from patron.schema.tables import EVENTS

COLLECT_COLUMNS = frozenset(
    {
        *("source", "user_token", "anonymous_token", "referred_token", "previous_token", "email_token", "phone_token"),
        *("received_at", "known_at", "month"),
    }
)
"""Columns of `events` that collect adds; nobody sends them."""

IDENTIFIERS = ("user_id", "anonymous_id", "referred_user_id")
"""The shop's own ids, in clear; collect keeps only their tokens."""

JSON_FOR_THE_VAULT = ("personal", "texts")
"""JSON of direct identifiers (e-mail, name ...) and of free texts (query, review_body, url); both end in the vault."""

RAW_EVENTS = pa.schema(
    [pa.field(column.name, column.type) for column in EVENTS.columns if column.name not in COLLECT_COLUMNS]
    + [pa.field(name, TEXT) for name in (*IDENTIFIERS, *JSON_FOR_THE_VAULT)]
)
"""One row per raw event: the facts of `events`, the shop's own ids, and what the vault will take."""


def raw_events_table(rows: list[dict[str, object]]) -> pa.Table:
    """Put raw events, with their numbers, problems and payloads, into one table."""
    extra = [("row_number", pa.int64()), ("problem", pa.string()), ("payload", pa.string())]
    schema = pa.schema([*RAW_EVENTS, *(pa.field(n, t) for n, t in extra)])
    # why: most events fill few of all columns, and an empty column costs nothing
    names = set().union(*rows)
    table = pa.Table.from_pylist(rows, schema=pa.schema([f for f in schema if f.name in names]))
    columns = [table[f.name] if f.name in names else pa.nulls(len(rows), f.type) for f in schema]
    return pa.Table.from_arrays(columns, schema=schema)
