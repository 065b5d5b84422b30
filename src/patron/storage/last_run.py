"""The last completed run: the only state of the shop that anyone reads."""

from typing import Any

import pyarrow as pa

from patron.schema.errors import NoRunYet
from patron.storage.shop import Shop, Snapshot
from patron.storage.snapshot_cache import CachedSnapshot

SECONDS_A_DAY = 86_400


def last_run(shop: Shop) -> Snapshot:
    """The shop as its last completed run left it. Raises NoRunYet before any run has completed."""
    snapshot = shop.snapshot()
    if snapshot is None:
        raise NoRunYet(
            "no run of the loop has completed yet",
            where=str(shop.folder),
            todo="Import a file with `patron import`, then run `patron run --as-of YYYY-MM-DD`.",
        )
    return CachedSnapshot(snapshot.shop, snapshot.run, snapshot.pinned)


def records(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as dictionaries, ready for a dataclass."""
    return rows.to_pylist()
