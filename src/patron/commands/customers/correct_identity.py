"""Corrections of who is one customer, from the console: join two, take an id out; the audit log has who did it."""

from hashlib import blake2b

import pyarrow as pa

from patron.collect.loader import EVENT_SOURCE, load_events
from patron.commands.customers.unlink_identity import UnlinkedToken, unlink
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CHECK_ID, NO_OWN_ID, NOT_THE_ID, RELOAD_PAGE
from patron.schema.errors import NotFound
from patron.schema.events.ecommerce_events import Alias
from patron.schema.table_definition import TIME
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop


def unlink_id(context: RequestContext, customer_id: str, token: str) -> UnlinkedToken:
    """Take an id out of a customer from the next run on. Raises NoRunYet, NotFound, WorkspaceBusy."""
    if token not in _tokens(context.shop, customer_id):
        raise NotFound(NOT_THE_ID, where=token[:64], todo=RELOAD_PAGE)
    unlinked = unlink(context.shop, token, at=context.now)
    with context.shop.store.begin() as connection:
        details = {"customer_id": customer_id, "token": token}
        context.record(connection, AuditAction.IDENTITY_UNLINKED, details)
    return unlinked


def merge_customers(context: RequestContext, customer_id: str, other_customer_id: str) -> str:
    """Join two customers from the next run on, as an alias of the shop's own ids would; the id of the event.

    Taking an id out undoes it. Raises NoRunYet, NotFound for a customer without one of the shop's own ids,
    WorkspaceBusy.
    """
    values = [_user_id(context.shop, one) for one in (customer_id, other_customer_id)]
    pair = f"{customer_id} {other_customer_id} {context.now.isoformat()}"
    event_id = f"merge-{blake2b(pair.encode(), digest_size=16).hexdigest()}"
    row = {
        "event_id": [event_id],
        "name": [Alias.event],
        "user_id": [values[0]],
        "anonymous_id": [values[1]],
        "occurred_at": pa.array([context.now], TIME),
    }
    with context.shop.commit_lock():
        load_events(context.shop, pa.table(row), source=EVENT_SOURCE, known="received", received_at=context.now)
    with context.shop.store.begin() as connection:
        details = {"customer_id": customer_id, "other_customer_id": other_customer_id}
        context.record(connection, AuditAction.CUSTOMERS_MERGED, details)
    return event_id


def _tokens(shop: Shop, customer_id: str) -> list[str]:
    """Tokens of a customer at the last run, users first."""
    sql = """
select i.token from identities i join customer c on c.customer_id = i.customer_id
order by i.is_user desc, i.known_at, i.token"""
    return last_run(shop).query_customer(customer_id, sql)["token"].to_pylist()


def _user_id(shop: Shop, customer_id: str) -> str:
    tokens = [token for token in _tokens(shop, customer_id) if token.startswith("u_")]
    value = Vault.open(shop).reveal(tokens[:1])[0] if tokens else None
    if value is None:
        raise NotFound(NO_OWN_ID, where=customer_id[:64], todo=CHECK_ID)
    return value
