"""A record for a lake of its own: a store next to the folder, without a workspace around it."""

from pathlib import Path

from patron.storage.lake.lake_record import LakeRecord
from patron.storage.store.store import LAKE_COMMITS, LAKE_FILES, METADATA, Store, sqlite_url

KEY = b"k" * 32
"""A whole key: SQLCipher derives one from anything shorter, a third of a second for each connection."""


def record_next_to(folder: Path) -> LakeRecord:
    """The record of the lake in a folder, in a store next to it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    store = Store(sqlite_url(folder.parent / "store.db"), key=KEY)
    METADATA.create_all(store.engine, tables=[LAKE_FILES, LAKE_COMMITS])
    return LakeRecord(store)
