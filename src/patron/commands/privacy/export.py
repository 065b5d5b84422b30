"""Everything that is known about one customer, machine-readable."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import collector_state
from patron.commands.customers.resolve_person import (
    NamedPerson,
    Person,
    PersonIdentifier,
    find_person,
    require_visible_person,
)
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.govern.customers.sealed_texts import unseal
from patron.govern.outreach.sent_messages import readable_messages
from patron.govern.privacy.consent_ledger import history, words_place
from patron.govern.vault import Vault
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence
from patron.schema.table_definition import TEXT
from patron.schema.tables import EVENTS, TABLES
from patron.storage.durable_files import private_file
from patron.storage.safe_csv import Cell, csv_text
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import BY_CUSTOMER as IN_STORE

CUSTOMER_FORGOTTEN = Sentence("customer_forgotten", "nothing is known of this customer: they were forgotten")

BY_CUSTOMER = tuple(table.name for table in TABLES if "customer_id" in table.names)
BY_TOKEN = tuple(
    table.name
    for table in TABLES
    if table is not EVENTS
    and table.name not in BY_CUSTOMER
    and any(column.personal == "token" for column in table.columns)
)


@operation(Right(Action.EXPORT, Area.PRIVACY), "POST /api/people/export", audit=AuditAction.EXPORTED)
def export_person(context: RequestContext, person: NamedPerson) -> dict[str, Any]:
    """Everything that is known of a person, with identifiers and texts in clear."""
    require_visible_person(context, PersonIdentifier(**person.identifier))
    return export_customer(context, **person.identifier)


def export_customer(context: RequestContext, **identifier: str | None) -> dict[str, Any]:
    """Gather all rows of one customer from every table, with identifiers and texts revealed; what waits included.

    The person is identified by exactly one of `user_id`, `email`, `phone`, `anonymous_id` or `customer_id`. The audit
    log records the export, and `by` whom.
    Raises NotFound, SettingsError unless named in one way, WorkspaceBusy when what waits cannot be moved now.
    """
    name = PersonIdentifier(**identifier)
    view = context.shop.snapshot()
    inbox = collector_state(context.shop)
    if inbox.waiting_requests or inbox.trouble:  # why: a damaged inbox is reported, never left out
        with context.shop.commit_lock():
            drain_inbox(context.shop)
    as_of = view.run.as_of.isoformat() if view else None
    view = view or context.shop.newest_snapshot()  # why: events are known before any run
    vault = Vault.open(context.shop)
    person = find_person(context.shop, vault, name)
    values = zip(person.tokens, vault.reveal(person.tokens), strict=True)
    identifiers = {token: value for token, value in values if value is not None}
    rows = rows_of_person(context.shop, view, person)
    if not identifiers and not any(rows.values()):
        raise NotFound(CUSTOMER_FORGOTTEN)
    customer_id = person.customer_id
    with context.shop.store.begin() as connection:
        context.record(connection, AuditAction.EXPORTED, {"customer_id": customer_id})
    return {
        "customer_id": customer_id,
        "as_of": as_of,
        "identifiers": identifiers,
        "texts": readable_messages(vault, vault.texts(person.tokens)),
        "tables": {name: listed for name, listed in sorted(rows.items()) if listed},
    }


def rows_of_person(shop: Shop, view: Snapshot, person: Person) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table that are theirs: of the lake as the last run left it, events and the store as they are."""
    selected = pa.table({"token": pa.array(person.tokens, TEXT), "customer_id": pa.array(person.customer_ids, TEXT)})
    rows = {
        name: view.query(
            f"select * from {name} where customer_id in (select customer_id from selected) order by all",
            selected=selected,
        ).to_pylist()
        for name in BY_CUSTOMER
    }
    theirs = "in (select token from selected)"
    # why: what another user did on a device of theirs is not theirs
    own = f"(user_token {theirs} or (user_token is null and anonymous_token {theirs}))"
    for name in BY_TOKEN:
        rows[name] = view.query(f"select * from {name} where {own} order by all", selected=selected).to_pylist()
    rows["events"] = view.query(
        f"select * from events where {own} or referred_token {theirs} order by occurred_at, event_id", selected=selected
    ).to_pylist()
    with shop.store.begin() as connection:
        for table in IN_STORE:
            chosen = sa.select(table).where(table.c.customer_id.in_(person.customer_ids))
            ordered = chosen.order_by(*table.primary_key.columns)
            rows[table.name] = [_readable(shop, table, row) for row in connection.execute(ordered).mappings()]
    vault = Vault.open(shop)
    rows["ledger of consents"] = [
        {**row, "words": row["words"] and vault.unseal_text(row["words"], words_place(row["wording"]))}
        for row in history(shop.store, set(person.tokens) - vault.forgotten)
    ]
    return rows


def _readable(shop: Shop, table: sa.Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of the store with its texts in clear, which are sealed under the id of the row."""
    row_id = str(row[next(iter(table.primary_key.columns)).name])
    return {name: unseal(shop, row_id, one) if isinstance(one, bytes) else one for name, one in row.items()}


def archive_of(known: Mapping[str, Any]) -> bytes:
    """A ZIP archive of an export: the whole as JSON, and each table as a CSV file whose cells are no formulas."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("customer.json", json.dumps(known, ensure_ascii=False, indent=1, default=str))
        for name, rows in known["tables"].items():
            archive.writestr(f"{name.replace(' ', '_')}.csv", _csv_text(rows))
    return content.getvalue()


def _csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return csv_text([columns, *([_cell(row.get(column)) for column in columns] for row in rows)])


def _cell(value: object) -> Cell:
    return value if isinstance(value, int | float | None) else str(value)


def write_private(known: dict[str, Any], path: Path) -> Path:
    """Write an export, whole, so that only its owner can read it. Raises NoSpace."""
    as_text: Callable[[Any], str] = str
    with private_file(path) as out:
        out.write(json.dumps(known, ensure_ascii=False, indent=1, default=as_text).encode())
    return path
