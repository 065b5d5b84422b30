"""The last finished run: the only state of the shop that anyone reads."""

from typing import Any

import pyarrow as pa

from patron.schema.errors import NoRunYet
from patron.storage.shop import Shop, View
from patron.storage.snapshot_cache import SharedView

SECONDS_A_DAY = 86_400


def last_run(shop: Shop) -> View:
    """The shop as its last finished run left it. Raises NoRunYet before any run has finished."""
    view = shop.snapshot()
    if view is None:
        raise NoRunYet(
            "no run of the loop has finished yet",
            where=str(shop.folder),
            todo="Import a file with `patron import`, then run `patron run --as-of YYYY-MM-DD`.",
        )
    return SharedView(view.shop, view.reads, view.writes, view.run, view.pinned)


def records(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as dictionaries, ready for a dataclass."""
    return rows.to_pylist()
