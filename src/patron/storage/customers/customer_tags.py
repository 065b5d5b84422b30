"""Tags that staff gave customers, as rules of segments read them: as of now, whatever the run."""

from collections.abc import Collection
from weakref import WeakKeyDictionary

import pyarrow as pa
import sqlalchemy as sa

from patron.schema.table_definition import TEXT
from patron.storage.customers.customer_tables import CUSTOMER_TAGS
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import AUDIT, Store

TAGGED = pa.schema([("customer_id", TEXT), ("tag", TEXT)])
BATCH = 500
"""Tags in one statement."""
MAX_VERSIONS = 16
_VERSIONS: WeakKeyDictionary[Store, dict[frozenset[str], tuple[int | None, object]]] = WeakKeyDictionary()
"""What was last read of some tags, and the newest entry of the audit log before it was."""


def tagged_customers(store: Store | DeclaredStore, tags: Collection[str]) -> dict[str, pa.Table]:
    """The Arrow table `customer_tags` of these tags, by its name; nothing where there are none to look for."""
    if not tags:
        return {}
    column = CUSTOMER_TAGS.c
    listed = sorted(tags)
    rows = list[tuple[str, str]]()
    with store.begin() as connection:
        for start in range(0, len(listed), BATCH):
            chosen = sa.select(column.customer_id, column.tag).where(column.tag.in_(listed[start : start + BATCH]))
            rows += [(row.customer_id, row.tag) for row in connection.execute(chosen)]
    columns = list(zip(*rows, strict=True)) or [(), ()]
    return {CUSTOMER_TAGS.name: pa.table([pa.array(one, TEXT) for one in columns], schema=TAGGED)}


def tags_version(store: Store, tags: Collection[str]) -> object:
    """What changes whenever a customer gets or loses one of these tags."""
    if not tags:
        return None
    # why: each request of a team of a tag asks; a change of a tag is an entry of the audit log in its transaction, and
    # an erasure, which takes tags, ends with one
    with store.begin() as connection:
        entry, wanted = connection.scalar(sa.select(sa.func.max(AUDIT.c.entry))), frozenset(tags)
    known = _VERSIONS.setdefault(store, {})
    if wanted in known and known[wanted][0] == entry:
        return known[wanted][1]
    rows = tagged_customers(store, wanted)[CUSTOMER_TAGS.name]
    version = frozenset(zip(*(rows[name].to_pylist() for name in TAGGED.names), strict=True))
    while len(known) >= MAX_VERSIONS:
        known.pop(next(iter(known)), None)
    known[wanted] = (entry, version)
    return version
