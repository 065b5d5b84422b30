"""Reject events about forgotten people, without their content, from every source."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from patron.govern.customers.contact_values import contacts_in
from patron.govern.privacy.person_mentions import mentions_any
from patron.govern.vault import Vault
from patron.schema.data.dead_letter_reasons import FORGOTTEN

Flags = list[bool]


def reject_forgotten(vault: Vault, rows: pa.Table) -> pa.Table:
    """Mark rows of forgotten people as rejected; in other rows, forgotten devices and referred customers become NULL.

    A row belongs to its user, and to its device only without a user. The event's id replaces the payload: the dead
    letter's id is made from it, and it is not stored.
    """
    if not vault.forgotten or not rows.num_rows:
        return rows
    user, device, referred = (
        _forgotten_ids(vault, kind, rows[column])
        for column, kind in (("user_id", "user_id"), ("anonymous_id", "anonymous_id"), ("referred_user_id", "user_id"))
    )
    by_contact, by_payload = _contacts(vault, rows["personal"]), _named_in_payload(vault, rows)
    has_user = pc.is_valid(rows["user_id"]).to_pylist()
    is_forgotten = [
        u or (d and not has) or c or p
        for u, d, has, c, p in zip(user, device, has_user, by_contact, by_payload, strict=True)
    ]
    is_gone = pa.array(is_forgotten, pa.bool_())
    changed: dict[str, Any] = {
        "problem": pc.if_else(is_gone, pa.scalar(FORGOTTEN), rows["problem"]),
        "payload": pc.if_else(is_gone, rows["event_id"], rows["payload"]),
        "anonymous_id": pc.if_else(pa.array(device, pa.bool_()), pa.scalar(None, pa.string()), rows["anonymous_id"]),
        "referred_user_id": pc.if_else(
            pa.array(referred, pa.bool_()), pa.scalar(None, pa.string()), rows["referred_user_id"]
        ),
    }
    for name, column in changed.items():
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


def _forgotten_ids(vault: Vault, kind: str, ids: pa.ChunkedArray) -> Flags:
    coded = pc.dictionary_encode(ids.combine_chunks())
    known = [vault.token(kind, value) in vault.forgotten for value in coded.dictionary.to_pylist()]
    return pc.fill_null(pa.array(known, pa.bool_()).take(coded.indices), fill_value=False).to_pylist()


def _contacts(vault: Vault, personal: pa.ChunkedArray) -> Flags:
    return [
        text is not None and any(vault.token(*contact) in vault.forgotten for contact in contacts_in(text))
        for text in personal.to_pylist()
    ]


def _named_in_payload(vault: Vault, rows: pa.Table) -> Flags:
    """Whether rejected rows without a user or device mention a forgotten person in their payload."""
    unread = pc.and_(pc.is_null(rows["user_id"]), pc.is_null(rows["anonymous_id"]))
    unread_problems = pc.and_(unread, pc.is_valid(rows["problem"])).to_pylist()
    return [
        is_unread and payload is not None and mentions_any(vault, vault.forgotten, payload)
        for is_unread, payload in zip(unread_problems, rows["payload"].to_pylist(), strict=True)
    ]
