"""Undo a link: take a user id or a visitor out of the customer it was joined with."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import pyarrow as pa

from patron.collect.loader import EVENT_SOURCE, load_events
from patron.govern.vault import Vault
from patron.schema.errors import NotFound
from patron.schema.events.loop_events import IdentityUnlinked
from patron.schema.table_definition import TIME
from patron.storage.shop import Shop

KINDS = ("user_id", "anonymous_id")


@dataclass(frozen=True)
class UnlinkedToken:
    """A token that is a customer of its own from the next run on."""

    token: str
    event_id: str
    """The event that says so, of the source `patron`."""
    at: datetime


def token_of(shop: Shop, kind: str, value: str) -> str:
    """Token of one of the shop's own ids, a user's or a visitor's. Raises NotFound for an unknown id."""
    token = Vault.open(shop).find(kind, value)
    if token is None:
        raise NotFound(f"no {kind} {value!r} is known", todo="Check the id, and whether it is a visitor's.")
    return token


def unlink(shop: Shop, token: str, *, at: datetime) -> UnlinkedToken:
    """Record that what linked a token until now is void; identities follow from the next run on.

    Raises NotFound for a token that the vault does not know, WorkspaceBusy when another process is at work.
    """
    [value] = Vault.open(shop).reveal([token])
    kind = next((kind for kind in KINDS if token.startswith(f"{kind[0]}_")), None)
    if value is None or kind is None:
        raise NotFound("no user id or visitor id has this token", where=token, todo="Look it up in `identities`.")
    event_id = f"unlink-{blake2b(f'{token} {at.isoformat()}'.encode(), digest_size=16).hexdigest()}"
    row = {
        "event_id": [event_id],
        "name": [IdentityUnlinked.event],
        kind: [value],
        "occurred_at": pa.array([at], TIME),
    }
    with shop.commit_lock():
        load_events(shop, pa.table(row), source=EVENT_SOURCE, known="received", received_at=at)
    return UnlinkedToken(token, event_id, at)
