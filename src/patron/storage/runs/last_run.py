"""The last completed run, which everybody reads, and earlier ones for those who name them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from patron.schema.errors import NoRunYet, NotFound
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import RUNS

NO_RUN_AS_OF_TIME = Sentence("no_run_as_of_time", "no run as of {time} has completed")

NO_RUN = Sentence("no_run", "no run of the loop has completed yet")
IMPORT_FIRST = Sentence("import_first", "Import a file with `patron import`, then run `patron run --as-of YYYY-MM-DD`.")
RUN_OR_NEWEST = Sentence("run_or_newest", "Run it with `patron run`, or name one of the newest: {runs}.")

RUNS_LISTED = 5


_HELD: ContextVar[dict[Shop, Snapshot] | None] = ContextVar("patron_last_runs", default=None)


@contextmanager
def read_one_run() -> Iterator[None]:
    """Read the same run throughout a block, even if another completes meanwhile: parts of a page belong together."""
    token = _HELD.set({})
    try:
        yield
    finally:
        _HELD.reset(token)


def last_run(shop: Shop) -> Snapshot:
    """The shop as its last completed run left it. Raises NoRunYet before any run has completed."""
    held = _HELD.get()
    if held is None:
        return _last_run(shop)
    if shop not in held:
        held[shop] = _last_run(shop)
    return held[shop]


def last_run_cutoff(shop: Shop) -> datetime | None:
    """Cutoff of the last completed run; None before any."""
    try:
        return last_run(shop).run.as_of
    except NoRunYet:
        return None


def is_newest_run(view: Snapshot) -> bool:
    """Whether no other run has completed, and no erasure has rewritten tables, since this one was asked for."""
    newest = view.shop.snapshot()
    return newest is None or newest.version == view.version


def _last_run(shop: Shop) -> Snapshot:
    # why here: who finds no run needs no engine
    from patron.storage.runs.snapshot_cache import CachedSnapshot  # noqa: PLC0415

    snapshot = shop.snapshot()
    if snapshot is None:
        raise NoRunYet(
            NO_RUN,
            where=str(shop.folder),
            todo=IMPORT_FIRST,
        )
    return CachedSnapshot(
        snapshot.shop, snapshot.run, pinned=snapshot.pinned, deliveries=snapshot.deliveries, past=snapshot.past
    )


def run_as_of(shop: Shop, as_of: datetime | None) -> Snapshot:
    """The last completed run, or that of a cutoff. Raises NoRunYet, NotFound naming the newest runs."""
    last = last_run(shop)
    if as_of is None or as_of == last.run.as_of:
        return last
    view = shop.snapshot_of(as_of)
    if view is None:
        with shop.store.begin() as connection:
            chosen = sa.select(RUNS.c.run_id).order_by(RUNS.c.as_of.desc()).limit(RUNS_LISTED)
            runs = list(connection.scalars(chosen))
        raise NotFound(
            NO_RUN_AS_OF_TIME(time=f"{as_of:%Y-%m-%d %H:%M}"),
            where="--as-of",
            todo=RUN_OR_NEWEST(runs=", ".join(runs)),
        )
    return view


def records(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as dictionaries, ready for a dataclass."""
    return rows.to_pylist()
