"""Import files, also while a run is at work; the first import tells a new workspace its currency and time zone."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from patron.collect.files.file_import import AS_MAPPED, FileOptions, ImportResult
from patron.collect.files.file_import import import_files as store_files
from patron.collect.files.import_preview import Preview, PreviewedRow
from patron.collect.files.import_preview import preview_import as read_files
from patron.collect.files.mapping import BUILT_IN, Mapping, load_mapping
from patron.collect.files.recognise_mapping import AUTO, recognise_mapping
from patron.collect.inbox.compaction import LIVE, compact_inbox, drain_inbox
from patron.collect.inbox.workspace_inbox import count_replayed
from patron.collect.replay import replay as store_again
from patron.collect.replay import replay_live as store_live_again
from patron.commands.data.init_workspace import missing_settings, write_missing_settings
from patron.schema.data.counts import IngestionCounts
from patron.schema.data.dead_letter_reasons import FAULTS
from patron.schema.errors import BadFile
from patron.schema.progress import Progress
from patron.schema.sentences import Sentence
from patron.schema.tables import EVENTS
from patron.storage.shop import PATIENCE_SECONDS, Shop
from patron.storage.store.store import DEAD_LETTERS

NAME_MAPPING = Sentence(
    "name_mapping",
    "Name a built-in one or a file, such as --mapping shopify, or let Patron choose: --mapping auto."
    " `patron mappings` lists the built-in ones.",
)

NO_MAPPING_NAMED = Sentence("no_mapping_named", "no mapping is named")

__all__ = ["FileOptions", "ImportPreview", "ImportSummary", "PreviewedRow", "import_files", "preview_import", "replay"]

MAX_REJECTED_SHARE = 0.05
"""Share of all rows read that may be faulty before an import counts as failed."""


@dataclass(frozen=True)
class RejectedRow:
    """One rejected row: where it is, and what is wrong with it."""

    file: str
    line: int
    """Line of a text file, row of a Parquet file."""
    reason: str
    message: str
    is_fault: bool
    """Whether something is wrong with it; if not, the mapping or a promise leaves such rows out on purpose."""


@dataclass(frozen=True, kw_only=True)
class ImportSummary(IngestionCounts):
    """What became of every row: read = stored + duplicate + rejected."""

    import_id: str
    mapping: str
    """Name of a built-in mapping, or the mapping file."""
    line_count: int
    """Lines of the files, headers included; rows of Parquet files; 0 for a replay."""
    read: int
    by_event: dict[str, IngestionCounts]
    """The same counts by the event's name; lines that could not be read have the empty name."""
    rejected_by_reason: dict[str, int]
    rejected_rows: tuple[RejectedRow, ...]
    """The first rejected row of each reason."""
    row_count: int
    """Rows of the files that the mapping takes, each once, however many events it becomes; 0 for a replay."""
    faulty_row_count: int
    """Those of them in which something is wrong, not left out on purpose."""
    rows_per_second: float
    warnings: tuple[str, ...]
    undated_refund_count: int
    """Refunds without a date, which the warnings explain."""
    failure: str = ""
    """Why the import counts as failed, although good rows are stored; empty if it does not."""


def import_files(  # noqa: PLR0913 - the options of one command
    shop: Shop,
    files: Sequence[str],
    mapping: str,
    *,
    now: datetime,
    progress: Progress,
    options: FileOptions = AS_MAPPED,
    max_rejected_share: float = MAX_REJECTED_SHARE,
) -> ImportSummary:
    """Import files by a built-in mapping, a mapping file or `auto`; repeating an import stores nothing twice.

    Raises BadMapping, BadFile, MasterKeyError, WorkspaceBusy, NoSpace; what was stored until then stays stored once.
    """
    since = time.monotonic()
    source, chosen = _choose_mapping(mapping, files, options)
    with _shop_for_mapping(shop, source) as (fitted, notes):
        with shop.commit_lock():
            drain_inbox(fitted)
        done = store_files(
            fitted,
            files,
            mapping=source,
            received_at=now,
            options=options,
            progress=lambda n, m: progress("importing rows", n, m),
        )
        with shop.commit_lock(timeout_seconds=PATIENCE_SECONDS):
            compact_inbox(fitted)
    notes = (*chosen, *notes, *_refund_notes(done, options, load_mapping(source)))
    summary = _summary(shop, done, time.monotonic() - since, notes)
    return replace(summary, failure=_failure(summary, max_rejected_share))


@dataclass(frozen=True)
class ImportPreview:
    """What an import would do; nothing was written."""

    mapping: str
    preview: Preview
    notes: tuple[str, ...]


def preview_import(  # noqa: PLR0913 - the options of one command
    shop: Shop,
    files: Sequence[str],
    mapping: str,
    *,
    now: datetime,
    progress: Progress,
    options: FileOptions = AS_MAPPED,
    stated: dict[str, str] | None = None,
) -> ImportPreview:
    """Read files as an import would, and write nothing. Raises BadMapping, BadFile, MasterKeyError.

    `stated` are settings of [shop] that the first import would write besides those of the mapping.
    """
    source, notes = _choose_mapping(mapping, files, options)
    settings = _settings_of_first_import(shop, load_mapping(source), stated)
    if settings:
        notes = (*notes, f"First import: {_settings_text(settings)} will be written to patron.toml.")
    preview = read_files(
        shop,
        files,
        mapping=source,
        received_at=now,
        options=options,
        currencies=frozenset({str(settings["currency"])} if "currency" in settings else ()),
        progress=lambda n, m: progress("reading rows", n, m),
    )
    return ImportPreview(str(source), preview, notes)


def _choose_mapping(mapping: str, files: Sequence[str], options: FileOptions) -> tuple[str | Path, tuple[str, ...]]:
    """The mapping that is named or, for `auto`, recognised, and notes about that. Raises BadFile, BadMapping."""
    if not mapping:
        raise BadFile(
            NO_MAPPING_NAMED,
            where="--mapping",
            todo=NAME_MAPPING,
        )
    if mapping != AUTO:
        return _mapping_source(mapping), ()
    name = recognise_mapping(files, delimiter=options.delimiter, encoding=options.encoding)
    return name, (f"Recognised by its columns: --mapping {name}.",)


def _refund_notes(done: ImportResult, options: FileOptions, mapping: Mapping) -> tuple[str, ...]:
    """What to know about refunds that the files do not date."""
    if options.refunds_known_at and not any(part.order_date for part in mapping.parts):
        return (f"--refunds-known-at changes nothing: the mapping {mapping.name} has no refunds without a date.",)
    if not done.undated_count:
        return ()
    refunds = f"{done.undated_count:,} refunds have no date in these files"
    meaning = {
        "order": "count from the time of their order: forecasts of the past know them before they happened and look"
        " better than they are.",
        "import": "count from now on: a run as of an earlier time does not include them. To count them from the time of"
        " their order: --refunds-known-at order.",
    }
    return (f"{refunds} and {meaning[done.refunds_known_at]}",)


def _failure(summary: ImportSummary, max_share: float) -> str:
    """Why an import counts as failed, if too large a share of its rows is faulty."""
    if not summary.faulty_row_count or summary.faulty_row_count <= max_share * summary.row_count:
        return ""
    share = summary.faulty_row_count / summary.row_count
    fits = " Does the mapping fit the file?" if share > 0.5 else ""
    return (
        f"{summary.faulty_row_count:,} of {summary.row_count:,} rows ({share:.1%}) are faulty, more than --max-rejected"
        f" {max_share * 100:g}%; the good rows are stored.{fits} Fix the cause and import the file again."
    )


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


@contextmanager
def _shop_for_mapping(shop: Shop, mapping: str | Path) -> Iterator[tuple[Shop, tuple[str, ...]]]:
    """Give a workspace without events the mapping's currency and time zone where patron.toml states none."""
    with shop.commit_lock():
        written = write_missing_settings(shop.folder, _settings_of_first_import(shop, load_mapping(mapping)))
    if not written:
        yield shop, ()
        return
    with closing(Shop.open(shop.folder)) as fitted:
        yield fitted, (f"First import: {_settings_text(written)} written to patron.toml.",)


def _settings_of_first_import(
    shop: Shop, mapping: Mapping, more: dict[str, str] | None = None
) -> dict[str, str | bool]:
    """Settings that a workspace without events takes from a mapping or its user; none for one with events."""
    if shop.lake.exists(EVENTS):
        return {}
    stated = {"currency": mapping.currency, "time_zone": mapping.time_zone} | (more or {})
    return missing_settings(shop.folder, {key: value for key, value in stated.items() if value})


def _settings_text(settings: dict[str, str | bool]) -> str:
    """Settings of [shop] as people read them."""
    return ", ".join(f"shop.{key} = {value}" for key, value in settings.items())


def _mapping_source(mapping: str) -> str | Path:
    return mapping if mapping in BUILT_IN else Path(mapping)


def _summary(shop: Shop, done: ImportResult, seconds: float, notes: tuple[str, ...]) -> ImportSummary:
    by_reason, first = _rejected(shop, done.import_id)
    return ImportSummary(
        import_id=done.import_id,
        mapping=done.mapping,
        line_count=done.line_count,
        read=done.read,
        stored=done.stored,
        duplicate=done.duplicate,
        rejected=done.rejected,
        by_event=dict(done.by_event),
        rejected_by_reason=by_reason,
        rejected_rows=first,
        row_count=done.row_count,
        faulty_row_count=done.faulty_row_count,
        rows_per_second=done.read / max(seconds, 1e-9),
        warnings=notes,
        undated_refund_count=done.undated_count,
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
    first = tuple(
        RejectedRow(row.file, row.row_number, reason=row.reason, message=row.message, is_fault=row.reason in FAULTS)
        for row in rows
    )
    return {row.reason: row.n for row in rows}, first
