"""Replay dead letters after the mapping, the rates or the settings were fixed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from patron.collect.files.file_import import ImportResult
from patron.collect.files.file_reader import inspect_file
from patron.collect.files.import_job import ImportJob, segment_raw_event
from patron.collect.files.mapping import Mapping, load_mapping
from patron.collect.inbox.compaction import LIVE
from patron.collect.loader import open_loader, validate_raw_events
from patron.collect.raw_objects import split_objects
from patron.collect.request import source_rules, validate_message
from patron.collect.tracking_plan import TrackingPlan, load_tracking_plan
from patron.schema.data.counts import IngestionCounts
from patron.schema.data.dead_letter_reasons import WITHOUT_CONTENT
from patron.schema.data.raw_events import RAW_EVENTS, raw_events_table
from patron.schema.errors import BadFile, NotFound
from patron.schema.sentences import Sentence
from patron.schema.table_definition import TIME
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS, IMPORTS

NO_SUCH_IMPORT = Sentence("no_such_import", "no such import")
IMPORTS_WITH_REJECTED = Sentence("imports_with_rejected", "Imports with rejected rows: {names}.")
NO_REJECTED_ROWS = Sentence("no_rejected_rows", "No import has rejected rows.")
REPLAY_FILE_GONE = Sentence("replay_file_gone", "is needed for the replay and is no longer there")
IMPORT_FILE_AGAIN = Sentence(
    "import_file_again",
    "Import the file again: nothing is stored twice, and its rejected rows are tried again.",
)


class OpenedDeadLetter(NamedTuple):
    """A dead letter with its content decrypted."""

    dead_letter_id: str
    row_number: int
    payload: dict[str, Any]


def replay(shop: Shop, import_id: str, *, received_at: datetime, mapping: str | Path | None = None) -> ImportResult:
    """Load the rejected rows of one import again; rows that are stored now leave the dead letters.

    Raises NotFound for an unknown import, BadFile, BadMapping, MasterKeyError.
    """
    with shop.store.begin() as connection:
        record = connection.execute(sa.select(IMPORTS).where(IMPORTS.c.import_id == import_id)).mappings().first()
        replayable = (DEAD_LETTERS.c.import_id == import_id, DEAD_LETTERS.c.reason.not_in(WITHOUT_CONTENT))
        chosen = sa.select(DEAD_LETTERS).where(*replayable).order_by(DEAD_LETTERS.c.file)
        letters = connection.execute(chosen).mappings().all()
    if record is None:
        raise NotFound(NO_SUCH_IMPORT, where=import_id, todo=_imports_with_rejected_rows(shop))
    rules = load_mapping(mapping or record["mapping"])
    paths = [Path(file) for file in record["files"]] if rules.lookups else []
    gone = next((path for path in paths if not path.exists()), None)
    if gone:
        raise BadFile(REPLAY_FILE_GONE, where=gone.name, todo=IMPORT_FILE_AGAIN)
    counts = IngestionCounts()
    with open_loader(
        shop, source=record["source"], known="occurred", received_at=received_at, import_id=import_id
    ) as loader:
        sources = [inspect_file(path, delimiter=rules.delimiter, encoding=rules.encoding) for path in paths]
        job = ImportJob(loader, rules, sources, lambda _done, _all: None)
        job.prepare()
        for file, group in groupby(letters, key=lambda letter: letter["file"]):
            opened_letters: list[OpenedDeadLetter] = [
                OpenedDeadLetter(
                    one["dead_letter_id"],
                    one["row_number"],
                    json.loads(loader.vault.unseal(one["payload"], one["dead_letter_id"])),
                )
                for one in group
            ]
            for ids, rows in _rows_to_replay(job, rules, opened_letters):
                counts += loader.load(rows, file=file)
                _delete_replayed(shop, ids, rows)
    # why: a row that was not even split into columns stays rejected until its file is fixed
    unread = IngestionCounts(rejected=len(letters) - counts.total)
    counts += unread
    return ImportResult(
        import_id=import_id,
        mapping=str(mapping or record["mapping"]),
        source=record["source"],
        files=tuple(record["files"]),
        by_event=loader.by_event | ({"": unread} if unread.total else {}),
        **vars(counts),
    )


def replay_live(shop: Shop, *, received_at: datetime) -> dict[str, IngestionCounts]:
    """Load the collector's dead letters again; return the counts of each source.

    Their events are known from now on, history from when it happened. Raises SettingsError for an invalid plan.
    """
    plan = load_tracking_plan(shop.folder, is_strict=shop.settings.collect.tracking_plan == "refuse")
    with shop.store.begin() as connection:
        replayable = (DEAD_LETTERS.c.import_id == LIVE, DEAD_LETTERS.c.reason.not_in(WITHOUT_CONTENT))
        chosen = sa.select(DEAD_LETTERS).where(*replayable).order_by(DEAD_LETTERS.c.dead_letter_id)
        letters = connection.execute(chosen).mappings().all()
    counts = {}
    for source in sorted({letter["source"] for letter in letters}):
        of_source = [letter for letter in letters if letter["source"] == source]
        with open_loader(shop, source=source, known="received", received_at=received_at, import_id=LIVE) as loader:
            payloads = [json.loads(loader.vault.unseal(one["payload"], one["dead_letter_id"])) for one in of_source]
            raw_events = [
                _validate_live(shop, source, plan, n, s, one["created_at"]) if "line" in s else _raw_event_of(n, s)
                for n, (one, s) in enumerate(zip(of_source, payloads, strict=True))
            ]
            rows = split_objects(validate_raw_events(loader, raw_events_table(raw_events)), plan.plain)
            is_history = pa.array([s.get("is_history", False) for s in payloads], pa.bool_())
            known_at = pc.if_else(is_history, rows["occurred_at"], pa.scalar(received_at, TIME))
            rows = rows.append_column("known_at", known_at)
            replayed = loader.load(rows.filter(pc.is_null(rows["problem"])))
            _delete_replayed(shop, {n: one["dead_letter_id"] for n, one in enumerate(of_source)}, rows)
        counts[source] = replayed + IngestionCounts(rejected=len(of_source) - replayed.total)
    return counts


def _validate_live(
    shop: Shop, source: str, plan: TrackingPlan, number: int, payload: dict[str, Any], received_at: datetime
) -> dict[str, object]:
    """A dead letter's message, validated by today's rules."""
    is_secret, is_history = payload.get("is_secret", False), payload.get("is_history", False)
    rules = source_rules(shop, source, plan, is_secret=is_secret, is_history=is_history)
    received_at = (
        received_at if received_at.tzinfo else received_at.replace(tzinfo=UTC)
    )  # why: SQLite keeps no time zone
    return {**validate_message(payload["line"].encode(), received_at, rules, {}).row, "row_number": number}


def _imports_with_rejected_rows(shop: Shop) -> str:
    counted = sa.select(DEAD_LETTERS.c.import_id, sa.func.count()).group_by(DEAD_LETTERS.c.import_id)
    with shop.store.begin() as connection:
        rows = connection.execute(counted.order_by(DEAD_LETTERS.c.import_id)).all()
    listed = ", ".join(f"{import_id} ({count:,})" for import_id, count in rows)
    return IMPORTS_WITH_REJECTED(names=listed) if listed else NO_REJECTED_ROWS


def _rows_to_replay(
    job: ImportJob, rules: Mapping, letters: list[OpenedDeadLetter]
) -> Iterator[tuple[dict[int, str], pa.Table]]:
    """Tables of rows to load again, each with the dead letter's id of every row number."""
    lines = [
        (dead_letter_id, number, payload["line"]) for dead_letter_id, number, payload in letters if "line" in payload
    ]
    if lines:
        rows = raw_events_table([segment_raw_event(number, line.encode(), job.plain) for _, number, line in lines])
        yield {number: dead_letter_id for dead_letter_id, number, _ in lines}, validate_raw_events(job.loader, rows)
    events = [letter for letter in letters if "occurred_at" in letter.payload]
    if events:
        rows = raw_events_table([_raw_event_of(number, payload) for _, number, payload in events])
        rows = split_objects(validate_raw_events(job.loader, rows), job.plain)
        yield {number: dead_letter_id for dead_letter_id, number, _ in events}, rows
    for part in rules.parts:
        chosen = [letter for letter in letters if letter.payload.get("part") == part.name]
        if chosen:
            job.make_chunk_of_dead_letters([payload["row"] for _, _, payload in chosen], part)
            yield {number: dead_letter_id for dead_letter_id, number, _ in chosen}, job.raw_events(part)


def _raw_event_of(number: int, payload: dict[str, Any]) -> dict[str, object]:
    """A raw event from its dead letter, without the problem."""
    time = payload["occurred_at"]
    occurred_at = datetime.fromisoformat(time) if time else None
    return {**{name: payload.get(name) for name in RAW_EVENTS.names}, "occurred_at": occurred_at, "row_number": number}


def _delete_replayed(shop: Shop, ids: dict[int, str], rows: pa.Table) -> None:
    good = [
        number
        for number, problem in zip(*(rows[n].to_pylist() for n in ("row_number", "problem")), strict=True)
        if problem is None
    ]
    with shop.store.begin() as connection:
        for number in good:
            connection.execute(sa.delete(DEAD_LETTERS).where(DEAD_LETTERS.c.dead_letter_id == ids[number]))
