"""Import files, also while a run is at work; the first import tells a new workspace its currency and time zone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from patron.collect.compaction import LIVE, compact_inbox
from patron.collect.file_import import ImportResult
from patron.collect.file_import import import_files as store_files
from patron.collect.mapping import BUILT_IN, load_mapping
from patron.collect.replay import replay as store_again
from patron.collect.replay import replay_live as store_live_again
from patron.collect.workspace_inbox import count_replayed
from patron.commands.init_workspace import write_missing_settings
from patron.run import Progress, drain_inbox
from patron.schema.counts import IngestionCounts
from patron.schema.errors import BadFile
from patron.schema.tables import EVENTS
from patron.storage.shop import PATIENCE_SECONDS, Shop
from patron.storage.store import DEAD_LETTERS


@dataclass(frozen=True)
class RejectedRow:
    """One rejected row: where it is, and what is wrong with it."""

    file: str
    row_number: int
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ImportSummary(IngestionCounts):
    """What became of every row: read = stored + duplicate + rejected."""

    import_id: str
    mapping: str
    """Name of a built-in mapping, or the mapping file."""
    read: int
    rejected_by_reason: dict[str, int]
    rejected_rows: tuple[RejectedRow, ...]
    """The first rejected row of each reason."""
    rows_per_second: float
    warnings: tuple[str, ...]


def import_files(  # noqa: PLR0913 - the options of one command
    shop: Shop,
    files: Sequence[str],
    mapping: str,
    *,
    now: datetime,
    progress: Progress,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> ImportSummary:
    """Import files by a built-in mapping or a mapping file; repeating an import stores nothing twice.

    Raises BadMapping, BadFile, MasterKeyError, WorkspaceBusy, NoSpace; what was stored until then stays stored once.
    """
    if not mapping:
        raise BadFile(
            "no mapping is named", where="--mapping", todo="Name a built-in one or a file: --mapping shopify."
        )
    since = time.monotonic()
    with shop.commit_lock():
        fitted, notes = _shop_for_mapping(shop, mapping)
        drain_inbox(shop)
    try:
        done = store_files(
            fitted,
            files,
            mapping=_mapping_source(mapping),
            received_at=now,
            encoding=encoding,
            delimiter=delimiter,
            progress=lambda n, m: progress("importing rows", n, m),
        )
        with shop.commit_lock(timeout_seconds=PATIENCE_SECONDS):
            compact_inbox(shop)
    finally:
        if fitted is not shop:
            fitted.close()
    return _summary(shop, done, time.monotonic() - since, notes)


def replay(shop: Shop, import_id: str, *, mapping: str | None, now: datetime, progress: Progress) -> ImportSummary:
    """Try the rejected rows of an import again, with another mapping if one is named. Raises NotFound, BadMapping."""
    since = time.monotonic()
    with shop.commit_lock():
        progress("replaying rejected rows", 0, None)
        drain_inbox(shop)
        done = _replay(shop, import_id, mapping, now)
    return _summary(shop, done, time.monotonic() - since, ())


def _replay(shop: Shop, import_id: str, mapping: str | None, at: datetime) -> ImportResult:
    """Replay an import, or with LIVE what the collector rejected."""
    if import_id != LIVE:
        done = store_again(shop, import_id, mapping=_mapping_source(mapping) if mapping else None, received_at=at)
        compact_inbox(shop)
        return done
    counts_by_source = store_live_again(shop, received_at=at)
    count_replayed(shop, {source: one.stored for source, one in counts_by_source.items()})
    compact_inbox(shop)
    counts = sum(counts_by_source.values(), IngestionCounts())
    return ImportResult(import_id=LIVE, mapping=LIVE, source=", ".join(counts_by_source), files=(), **vars(counts))


def _shop_for_mapping(shop: Shop, mapping: str) -> tuple[Shop, tuple[str, ...]]:
    """Give a workspace without events the mapping's currency and time zone where patron.toml states none."""
    if shop.lake.exists(EVENTS):
        return shop, ()
    loaded = load_mapping(_mapping_source(mapping))
    stated = {"currency": loaded.currency or "", "time_zone": loaded.time_zone or ""}
    written = write_missing_settings(shop.folder, {key: value for key, value in stated.items() if value})
    if not written:
        return shop, ()
    listed = ", ".join(f"shop.{key} = {value}" for key, value in written.items())
    return Shop.open(shop.folder), (f"First import: {listed} written to patron.toml.",)


def _mapping_source(mapping: str) -> str | Path:
    return mapping if mapping in BUILT_IN else Path(mapping)


def _summary(shop: Shop, done: ImportResult, seconds: float, notes: tuple[str, ...]) -> ImportSummary:
    by_reason, first = _rejected(shop, done.import_id)
    warnings = (*notes, done.warning) if done.warning else notes
    return ImportSummary(
        import_id=done.import_id,
        mapping=done.mapping,
        read=done.read,
        stored=done.stored,
        duplicate=done.duplicate,
        rejected=done.rejected,
        rejected_by_reason=by_reason,
        rejected_rows=first,
        rows_per_second=done.read / max(seconds, 1e-9),
        warnings=warnings,
    )


def _rejected(shop: Shop, import_id: str) -> tuple[dict[str, int], tuple[RejectedRow, ...]]:
    """Rejected rows by reason, and the first one of each."""
    letter = DEAD_LETTERS.c
    place = sa.func.row_number().over(partition_by=letter.reason, order_by=(letter.file, letter.row_number))
    total = sa.func.count().over(partition_by=letter.reason)
    numbered = (
        sa.select(letter.file, letter.row_number, letter.reason, letter.message, total.label("n"), place.label("place"))
        .where(letter.import_id == import_id)
        .subquery()
    )
    with shop.store.begin() as connection:
        rows = connection.execute(sa.select(numbered).where(numbered.c.place == 1).order_by(numbered.c.reason)).all()
    first = tuple(RejectedRow(row.file, row.row_number, row.reason, row.message) for row in rows)
    return {row.reason: row.n for row in rows}, first
