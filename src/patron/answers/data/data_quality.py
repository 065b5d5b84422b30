"""Data quality: checks of cleaning, imports with rejected rows, and drift of features."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from patron.answers.models.models import Drift, drift
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.list_pages import Cursor, CursorText, Limit, microseconds_of, time_of
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot
from patron.storage.store.store import DEAD_LETTERS, IMPORTS

IMPORTS_PER_PAGE = 25
READ_DATA = Right(Action.READ, Area.DATA)


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

    import_id: str
    mapping: str
    files: tuple[str, ...]
    started_at: datetime
    read_count: int
    stored_count: int
    duplicate_count: int
    rejected_count: int


@dataclass(frozen=True)
class ImportPage:
    """Some imports, the newest first."""

    imports: tuple[ImportRecord, ...]
    has_more: bool
    """Whether older ones follow."""


@dataclass(frozen=True)
class ImportCursorPage(ImportPage):
    """Imports, and where the next page begins."""

    next_cursor: str | None
    """Null after the last page."""


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


LISTED = sa.select(*(IMPORTS.c[name] for name in ImportRecord.__dataclass_fields__))


@operation(READ_DATA, "GET /api/data-quality")
def data_quality(shop: Shop) -> DataQuality:
    """Imports, refused rows, cleaning and drift."""
    return data_quality_of(last_run(shop))


def data_quality_of(view: Snapshot) -> DataQuality:
    """Quality of the data at one run."""
    return DataQuality(
        view.run.run_id,
        view.run.as_of,
        checks=_checks(view),
        imports=_imports(view),
        rejected=_rejected(view),
        drift=drift(view),
    )


def _checks(view: Snapshot) -> tuple[DataCheck, ...]:
    sql = """
select check_code, row_count, checked_count, treatment, example from this_cleaning
order by row_count desc, check_code"""
    return tuple(DataCheck(**row) for row in records(view.query(sql)))


def list_imports(
    shop: Shop, *, before: tuple[datetime, str] | None = None, length: int = IMPORTS_PER_PAGE
) -> ImportPage:
    """Imports, the newest first; `before` is time and id of the last one of the page before."""
    at, import_id = IMPORTS.c.started_at, IMPORTS.c.import_id
    wanted = LISTED.order_by(at.desc(), import_id.desc()).limit(length + 1)
    if before:
        wanted = wanted.where((at < before[0]) | ((at == before[0]) & (import_id < before[1])))
    with shop.store.begin() as connection:
        rows = connection.execute(wanted).mappings().all()
    return ImportPage(tuple(_import_of(row) for row in rows[:length]), len(rows) > length)


@operation(READ_DATA, "GET /api/imports")
def show_imports(shop: Shop, cursor: CursorText = "", limit: Limit = None) -> ImportCursorPage:
    """Imports of files, the newest first."""
    before: tuple[datetime, str] | None = None
    if cursor:
        at, import_id = Cursor.in_list(cursor, "imports", int, str).place
        before = (time_of(at), import_id)
    page, following = list_imports(shop, before=before, length=limit or IMPORTS_PER_PAGE), None
    if page.has_more:
        last = page.imports[-1]
        following = str(Cursor("imports", (microseconds_of(last.started_at), last.import_id)))
    return ImportCursorPage(**vars(page), next_cursor=following)


def _imports(view: Snapshot) -> tuple[ImportRecord, ...]:
    with view.store.begin() as connection:
        rows = connection.execute(LISTED.order_by(IMPORTS.c.started_at, IMPORTS.c.import_id)).mappings().all()
    return tuple(_import_of(row) for row in rows)


def _import_of(row: sa.RowMapping) -> ImportRecord:
    [mapping], files = _names([row["mapping"]]), tuple(_names(row["files"]))
    return ImportRecord(**{**row, "mapping": mapping, "files": files, "started_at": _utc(row["started_at"])})


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
