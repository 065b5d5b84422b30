"""Write the contact cards and the index of names anew from vault and lake: for workspaces of older versions."""

from collections import defaultdict
from dataclasses import dataclass

import pyarrow as pa

from patron.collect.contact_tokens import CUSTOMER_EVENTS, MICROSECONDS, contact_fields
from patron.govern.customers.contact_cards import confirm_cards, delete_all_cards, newest, update_cards
from patron.govern.customers.customer_names import Fields
from patron.govern.vault import Vault
from patron.schema.table_definition import TEXT
from patron.schema.tables import EVENTS
from patron.storage.engine import literal
from patron.storage.shop import Shop, Snapshot

BATCH = 20_000
"""Users whose texts are opened at once."""


@dataclass(frozen=True)
class ReindexedContacts:
    """What was written anew."""

    customer_count: int
    """Users with a name, an address or a number."""


def reindex_contacts(shop: Shop) -> ReindexedContacts:
    """Write every contact card and the index of names anew; nothing is stored meanwhile.

    Raises WorkspaceBusy, MasterKeyError, NoSpace.
    """
    with shop.commit_lock():
        delete_all_cards(shop.store)
        if not shop.lake.exists(EVENTS):
            confirm_cards(shop.store)
            return ReindexedContacts(0)
        vault, view = Vault.open(shop), shop.newest_snapshot()
        names = ", ".join(map(literal, CUSTOMER_EVENTS))
        sql = f"select distinct user_token as token from events where user_token is not null and name in ({names})"
        tokens = [
            token for token in view.query(f"{sql} order by 1")["token"].to_pylist() if token not in vault.forgotten
        ]
        count = 0
        for start in range(0, len(tokens), BATCH):
            count += _write_cards(shop, vault, view, tokens[start : start + BATCH], names)
        confirm_cards(shop.store)
    return ReindexedContacts(count)


def _write_cards(shop: Shop, vault: Vault, view: Snapshot, tokens: list[str], names: str) -> int:
    sql = f"""
select e.user_token, e.source, e.event_id, epoch_us(e.occurred_at) as at from events e
join wanted w on w.token = e.user_token where e.name in ({names})"""
    rows = view.query(sql, wanted=pa.table({"token": pa.array(tokens, TEXT)}))
    columns = (rows[name].to_pylist() for name in ("user_token", "source", "event_id", "at"))
    times = {(token, source, event_id): at for token, source, event_id, at in zip(*columns, strict=True)}
    changes: dict[str, Fields] = defaultdict(dict)
    for text in vault.texts(tokens, ("personal",)):
        token, at = text["token"], times.get((text["token"], text["source"], text["event_id"]))
        if at is not None:
            fields = {name: (value, at / MICROSECONDS) for name, value in contact_fields(text["text"]).items()}
            changes[token] = newest(changes[token], fields)
    return update_cards(shop.store, vault, changes)
