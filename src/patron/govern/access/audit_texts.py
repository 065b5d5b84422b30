"""What staff wrote about customers, as the audit log has it: a tag by its token, a search by the names of its filters.

The log keeps everything for ever, so no such text is in it. A token is a code under the log's key: the same tag has the
same one, and it can be read as long as a customer has the tag. Whoever is forgotten takes their tags along.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import sqlalchemy as sa

from patron.govern.access import audit_log
from patron.schema.access.audit_actions import AuditAction
from patron.storage.customers.customer_tables import CUSTOMER_TAGS
from patron.storage.shop import Shop
from patron.storage.store.store import AUDIT

TAG, QUERY = "tag", "query"
TOKEN = re.compile("text_[0-9a-f]{32}")
FILTER = re.compile("[a-z][a-z_]*")
"""Names of filters; until 0.2.0 some addresses took any word for one."""
TOKEN_BYTES = 16
WITH_TEXTS = (AuditAction.CUSTOMERS_TAGGED, AuditAction.TAG_REMOVED, AuditAction.LIST_EXPORTED)
"""Actions whose entries held texts of staff until 0.2.0."""


def text_token(shop: Shop, text: str) -> str:
    """Token of a text of staff, from which nobody without the master key learns anything."""
    code = hmac.digest(shop.audit_head.key, f"text {text}".encode(), hashlib.sha256)
    return f"text_{code[:TOKEN_BYTES].hex()}"


def filter_names(names: Iterable[str]) -> str:
    """A search as the log keeps it: which filters were set, not what was searched for, which may name somebody."""
    return ",".join(dict.fromkeys(name for name in names if FILTER.fullmatch(name)))


def known_texts(shop: Shop, connection: sa.Connection) -> dict[str, str]:
    """Texts that can be read, by their tokens: the tags that customers have."""
    tags = connection.scalars(sa.select(CUSTOMER_TAGS.c.tag).distinct())
    return {text_token(shop, tag): tag for tag in tags}


def with_texts(details: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """Details of an entry with the texts that can be read; of others the token stays."""
    return {name: known.get(value, value) if name == TAG else value for name, value in details.items()}


def old_text_count(shop: Shop) -> int:
    """Entries of earlier versions that hold a text of staff in clear."""
    with shop.store.begin() as connection:
        return len(_without_texts(shop, connection))


def replace_old_texts(shop: Shop, *, at: datetime, by: str) -> int:
    """Replace the texts in entries of earlier versions, unless the log is damaged; returns how many entries had one.

    The chain is made anew from the first of them on, and an entry says so: `audit_log.replace_details`.
    """
    # why: a new chain would hide what is wrong; `patron doctor` reports both
    if not old_text_count(shop) or audit_log.log_problem(shop):
        return 0
    with shop.store.begin() as connection:
        replaced = _without_texts(shop, connection)
        if replaced:
            audit_log.replace_details(shop, connection, replaced, at=at, by=by)
    return len(replaced)


def _without_texts(shop: Shop, connection: sa.Connection) -> dict[int, str]:
    """Details without texts of the entries that hold one, by their numbers."""
    chosen = sa.select(AUDIT.c.entry, AUDIT.c.details).where(AUDIT.c.action.in_([one.value for one in WITH_TEXTS]))
    found = {}
    for entry, details in connection.execute(chosen.order_by(AUDIT.c.entry)):
        written = json.loads(details)
        replaced = {name: _replaced(shop, name, value) for name, value in written.items()}
        if replaced != written:
            found[entry] = json.dumps(replaced, sort_keys=True)
    return found


def _replaced(shop: Shop, name: str, value: Any) -> Any:
    if name == TAG and not TOKEN.fullmatch(value):
        return text_token(shop, value)
    if name == QUERY and "=" in value:
        return filter_names(key for key, _ in parse_qsl(value, keep_blank_values=True))
    return value
