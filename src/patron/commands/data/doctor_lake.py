"""What `patron doctor` looks at in the lake and in the models: every file against the hashes in the store."""

from collections.abc import Iterator

import pyarrow.parquet as pq
import sqlalchemy as sa

from patron.commands.data.findings import Finding
from patron.schema.common_sentences import AT_PLACE
from patron.schema.errors import LakeDamaged, PatronError
from patron.schema.sentences import Sentence
from patron.schema.table_definition import Table
from patron.schema.tables import TABLES
from patron.storage.lake.lake_inspection import Inspector
from patron.storage.lake.lake_verification import files_remedy
from patron.storage.models import model_registry
from patron.storage.shop import Shop
from patron.storage.store.store import WORKSPACE
from patron.storage.workspace.layout import HASHED_LATER

DOCTOR_FILES_DAMAGED = Sentence("doctor.files_damaged", "{count} files are damaged; {path} {problem}")
DOCTOR_ROW_COUNTS = Sentence(
    "doctor.row_counts", "{name} has {of_file:,} rows, but the log says {of_log:,} and the store {of_store:,}"
)
DOCTOR_TABLE_SOUND = Sentence(
    "doctor.table_sound", "version {version}, {rows:,} rows in {files} files, as they were written"
)
DOCTOR_HASHED_LATER = Sentence("doctor.hashed_later", "older files and models were hashed {time}, as they were then")
DOCTOR_NO_ROWS = Sentence("doctor.no_rows", "no table has rows yet")

IMPORT_HINT = Sentence(
    "doctor.import_hint",
    "Import a file: `patron import --mapping ... FILE`; or send events: `patron keys create`, then `patron serve`.",
)


def check_lake(shop: Shop) -> Iterator[Finding]:
    """Verify every file of each table as it is now and as the last run left it, and compare the numbers of rows."""
    lake, last = Inspector(shop.lake.folder, shop.lake.record), shop.snapshot()
    pinned = last.pinned if last else {}
    findings = [
        finding
        for table in sorted(TABLES, key=lambda one: one.name)
        for finding in _check_table(lake, table, pinned.get(table.name))
    ]
    yield from findings or [Finding("lake", "warning", DOCTOR_NO_ROWS, IMPORT_HINT)]
    with shop.store.begin() as connection:
        later = connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == HASHED_LATER))
    if later:
        yield Finding("lake", "ok", DOCTOR_HASHED_LATER(time=later))


def _check_table(lake: Inspector, table: Table, pinned: int | None) -> Iterator[Finding]:
    check = f"lake/{table.name}"
    try:
        version = lake.version(table)
        if version is None:
            return
        damaged = sorted(lake.damaged_files(table, pinned=pinned).items())
        counts = {} if damaged else lake.row_counts(table)
    except PatronError as refused:
        yield Finding(check, "problem", AT_PLACE(place=refused.where, reasons=refused.what), refused.todo)
        return
    for path, problem in damaged[:1]:
        what = DOCTOR_FILES_DAMAGED(count=len(damaged), path=path, problem=problem)
        yield Finding(check, "problem", what, files_remedy(table))
        return
    for path, (of_log, of_store) in counts.items():
        of_file = pq.read_metadata(path).num_rows
        if not of_log == of_store == of_file:
            what = DOCTOR_ROW_COUNTS(name=path.name, of_file=of_file, of_log=of_log, of_store=of_store)
            yield Finding(check, "problem", what, files_remedy(table))
            return
    rows = sum(of_store for _, of_store in counts.values())
    yield Finding(check, "ok", DOCTOR_TABLE_SOUND(version=version, rows=rows, files=len(counts)))


def check_models(shop: Shop) -> Iterator[Finding]:
    """Verify every file of each model."""
    # why: where several folders share a store, the models are in the one that has the lake
    has_lake = any(shop.lake.record.newest_version(table.name) is not None for table in TABLES)
    models, versions = shop.folder / "models", model_registry.model_versions(shop.store) if has_lake else []
    damaged = 0
    for version in versions:
        try:
            model_registry.require_sound(models, shop.store, version)
        except LakeDamaged as refused:
            damaged += 1
            yield Finding(
                f"models/{version}", "problem", AT_PLACE(place=refused.where, reasons=refused.what), refused.todo
            )
    if not damaged:
        yield Finding("models", "ok", f"{len(versions)} models, all as they were written" if versions else "none yet")
