"""Data quality: checks of cleaning, imports with rejected rows, and drift of features."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from patron.answers.models import Drift, drift
from patron.storage.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot
from patron.storage.store import DEAD_LETTERS, IMPORTS


@dataclass(frozen=True)
class DataCheck:
    """One check of the data: rows it affects, rows checked, and how they were treated."""

    check_code: str
    row_count: int
    checked_count: int
    treatment: str
    example: str | None


@dataclass(frozen=True)
class ImportRecord:
    """One import of files: read = stored + duplicate + rejected."""

    mapping: str
    files: tuple[str, ...]
    started_at: datetime
    read_count: int
    stored_count: int
    duplicate_count: int
    rejected_count: int


@dataclass(frozen=True)
class RejectionReason:
    """Rejected rows with one reason, with one message as an example."""

    reason: str
    row_count: int
    example: str


@dataclass(frozen=True)
class DataQuality:
    """Quality of the data as of the last run."""

    run_id: str
    as_of: datetime
    checks: tuple[DataCheck, ...]
    imports: tuple[ImportRecord, ...]
    rejected: tuple[RejectionReason, ...]
    drift: tuple[Drift, ...]


def data_quality(shop: Shop) -> DataQuality:
    """Quality of the data at the last finished run. Raises NoRunYet."""
    return data_quality_of(last_run(shop))


def data_quality_of(view: Snapshot) -> DataQuality:
    """Quality of the data at one run."""
    return DataQuality(view.run.run_id, view.run.as_of, _checks(view), _imports(view), _rejected(view), drift(view))


def _checks(view: Snapshot) -> tuple[DataCheck, ...]:
    sql = f"""
select check_code, row_count, checked_count, treatment, example from cleaning
where run_id = '{view.run.run_id}' order by row_count desc, check_code"""
    return tuple(DataCheck(**row) for row in records(view.query(sql)))


def _imports(view: Snapshot) -> tuple[ImportRecord, ...]:
    wanted = sa.select(
        IMPORTS.c.mapping,
        IMPORTS.c.files,
        IMPORTS.c.started_at,
        IMPORTS.c.read_count,
        IMPORTS.c.stored_count,
        IMPORTS.c.duplicate_count,
        IMPORTS.c.rejected_count,
    ).order_by(IMPORTS.c.started_at, IMPORTS.c.import_id)
    with view.store.begin() as connection:
        rows = connection.execute(wanted).mappings().all()
    return tuple(
        ImportRecord(
            **{
                **row,
                "mapping": _names([row["mapping"]])[0],
                "files": tuple(_names(row["files"])),
                "started_at": _utc(row["started_at"]),
            }
        )
        for row in rows
    )


def _names(files: list[object]) -> list[str]:
    """Names of the files: the folders they lay in are nobody's business here."""
    paths = (str(file.get("name", file)) if isinstance(file, dict) else str(file) for file in files)
    return [path.replace("\\", "/").rpartition("/")[2] for path in paths]


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _rejected(view: Snapshot) -> tuple[RejectionReason, ...]:
    wanted = (
        sa.select(DEAD_LETTERS.c.reason, sa.func.count(), sa.func.min(DEAD_LETTERS.c.message))
        .group_by(DEAD_LETTERS.c.reason)
        .order_by(sa.func.count().desc(), DEAD_LETTERS.c.reason)
    )
    with view.store.begin() as connection:
        rows = connection.execute(wanted).all()
    return tuple(RejectionReason(reason, int(count), message) for reason, count, message in rows)
