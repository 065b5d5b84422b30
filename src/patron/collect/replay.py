"""Dead letters run again, after the mapping, the rates or the settings were mended."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from patron.collect.compaction import LIVE
from patron.collect.file_import import ImportJob, ImportResult, segment_row, table_of_told
from patron.collect.file_reader import look_at
from patron.collect.loader import check_told, opened
from patron.collect.mapping import Mapping, load_mapping
from patron.collect.request import judged, rules_of
from patron.collect.tracking_plan import Plan, load_plan
from patron.schema.counts import IngestionCounts
from patron.schema.dead_letter_reasons import WITHOUT_CONTENT
from patron.schema.errors import NotFound
from patron.schema.raw_events import TOLD
from patron.schema.table_definition import TIME
from patron.storage.shop import Shop
from patron.storage.store import DEAD_LETTERS, IMPORTS

Letter = tuple[str, int, dict[str, Any]]


def replay(shop: Shop, import_id: str, *, received_at: datetime, mapping: str | Path | None = None) -> ImportResult:
    """Run the rejected rows of one import again; those that are stored now leave the dead letters.

    Raises NotFound for an unknown import, BadMapping, MasterKeyError.
    """
    with shop.store.begin() as connection:
        told = connection.execute(sa.select(IMPORTS).where(IMPORTS.c.import_id == import_id)).mappings().first()
        again = (DEAD_LETTERS.c.import_id == import_id, DEAD_LETTERS.c.reason.not_in(WITHOUT_CONTENT))
        chosen = sa.select(DEAD_LETTERS).where(*again).order_by(DEAD_LETTERS.c.file)
        letters = connection.execute(chosen).mappings().all()
    if told is None:
        raise NotFound("no such import", where=import_id, todo=_imports_with_rejected_rows(shop))
    rules = load_mapping(mapping or told["mapping"])
    paths = [Path(file) for file in told["files"]] if rules.lookups else []
    counts = IngestionCounts()
    with opened(shop, source=told["source"], known="occurred", received_at=received_at, import_id=import_id) as intake:
        sources = [look_at(path, delimiter=rules.delimiter, encoding=rules.encoding) for path in paths]
        run = ImportJob(intake, rules, sources, lambda _done, _all: None)
        run.prepare()
        for file, group in groupby(letters, key=lambda letter: letter["file"]):
            opened_letters: list[Letter] = [
                (
                    one["dead_letter_id"],
                    one["row_number"],
                    json.loads(intake.vault.unseal(one["payload"], one["dead_letter_id"])),
                )
                for one in group
            ]
            for ids, rows in _again(run, rules, opened_letters):
                counts += intake.take(rows, file=file)
                _forget(shop, ids, rows)
    # why: a row that was not even split into columns cannot be read otherwise; it stays rejected until its file is fixed
    counts += IngestionCounts(rejected=len(letters) - counts.total)
    return ImportResult(
        import_id=import_id,
        mapping=str(mapping or told["mapping"]),
        source=told["source"],
        files=tuple(told["files"]),
        **vars(counts),
    )


def replay_live(shop: Shop, *, received_at: datetime) -> dict[str, IngestionCounts]:
    """Run the collector's dead letters again; what became of those of each source.

    They are known from now on, history from when it happened. Raises SettingsError for a plan that cannot be used.
    """
    plan = load_plan(shop.folder, is_strict=shop.settings.collect.tracking_plan == "refuse")
    with shop.store.begin() as connection:
        again = (DEAD_LETTERS.c.import_id == LIVE, DEAD_LETTERS.c.reason.not_in(WITHOUT_CONTENT))
        chosen = sa.select(DEAD_LETTERS).where(*again).order_by(DEAD_LETTERS.c.dead_letter_id)
        letters = connection.execute(chosen).mappings().all()
    found = {}
    for source in sorted({letter["source"] for letter in letters}):
        own = [letter for letter in letters if letter["source"] == source]
        with opened(shop, source=source, known="received", received_at=received_at, import_id=LIVE) as intake:
            said = [json.loads(intake.vault.unseal(one["payload"], one["dead_letter_id"])) for one in own]
            told = [
                _judged_again(shop, source, plan, n, s, one["created_at"]) if "line" in s else _told_event(n, s)
                for n, (one, s) in enumerate(zip(own, said, strict=True))
            ]
            rows = check_told(intake, table_of_told(told))
            is_history = pa.array([s.get("is_history", False) for s in said], pa.bool_())
            known_at = pc.if_else(is_history, rows["occurred_at"], pa.scalar(received_at, TIME))
            rows = rows.append_column("known_at", known_at)
            taken = intake.take(rows.filter(pc.is_null(rows["problem"])))
            _forget(shop, {n: one["dead_letter_id"] for n, one in enumerate(own)}, rows)
        found[source] = taken + IngestionCounts(rejected=len(own) - taken.total)
    return found


def _judged_again(
    shop: Shop, source: str, plan: Plan, number: int, said: dict[str, Any], arrived_at: datetime
) -> dict[str, object]:
    """A message of a dead letter as the collector would judge it today."""
    is_secret, is_history = said.get("is_secret", False), said.get("is_history", False)
    rules = rules_of(shop, source, plan, is_secret=is_secret, is_history=is_history)
    arrived_at = arrived_at if arrived_at.tzinfo else arrived_at.replace(tzinfo=UTC)  # why: SQLite keeps no time zone
    return {**judged(said["line"].encode(), arrived_at, rules, {}).row, "row_number": number}


def _imports_with_rejected_rows(shop: Shop) -> str:
    counted = sa.select(DEAD_LETTERS.c.import_id, sa.func.count()).group_by(DEAD_LETTERS.c.import_id)
    with shop.store.begin() as connection:
        found = connection.execute(counted.order_by(DEAD_LETTERS.c.import_id)).all()
    listed = ", ".join(f"{import_id} ({count:,})" for import_id, count in found)
    return f"Imports with rejected rows: {listed}." if listed else "No import has rejected rows."


def _again(run: ImportJob, rules: Mapping, letters: list[Letter]) -> Iterator[tuple[dict[int, str], pa.Table]]:
    """Tables of rows to take again, each with the dead letter of every row number."""
    lines = [(dead_letter_id, number, said["line"]) for dead_letter_id, number, said in letters if "line" in said]
    if lines:
        rows = table_of_told([segment_row(number, line.encode()) for _, number, line in lines])
        yield {number: dead_letter_id for dead_letter_id, number, _ in lines}, check_told(run.intake, rows)
    events = [letter for letter in letters if "occurred_at" in letter[2]]
    if events:
        rows = table_of_told([_told_event(number, said) for _, number, said in events])
        yield {number: dead_letter_id for dead_letter_id, number, _ in events}, check_told(run.intake, rows)
    for part in rules.parts:
        chosen = [letter for letter in letters if letter[2].get("part") == part.name]
        if chosen:
            run.load_again([said["row"] for _, _, said in chosen], part)
            yield {number: dead_letter_id for dead_letter_id, number, _ in chosen}, run.told(part)


def _told_event(number: int, said: dict[str, Any]) -> dict[str, object]:
    """A told event that was a dead letter, without what was wrong with it."""
    told = said["occurred_at"]
    occurred_at = datetime.fromisoformat(told) if told else None
    return {**{name: said.get(name) for name in TOLD.names}, "occurred_at": occurred_at, "row_number": number}


def _forget(shop: Shop, ids: dict[int, str], rows: pa.Table) -> None:
    good = [
        number
        for number, problem in zip(*(rows[n].to_pylist() for n in ("row_number", "problem")), strict=True)
        if problem is None
    ]
    with shop.store.begin() as connection:
        for number in good:
            connection.execute(sa.delete(DEAD_LETTERS).where(DEAD_LETTERS.c.dead_letter_id == ids[number]))
