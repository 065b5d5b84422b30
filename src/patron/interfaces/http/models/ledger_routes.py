"""What grows with every run and file, for programs, a page at a time: forecasts against what came, and imports."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from patron.answers.data.data_quality import IMPORTS_PER_PAGE, ImportPage, list_imports
from patron.answers.models.forecast_ledger import FORECASTS_PER_PAGE, ForecastEntry, newest_forecasts
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.api_routes import answers_of
from patron.interfaces.http.cursors import Cursor, CursorText, Limit, microseconds_of, time_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area

router = APIRouter(
    prefix="/api", tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)]
)
QuestionName = Annotated[str, Query(max_length=40, description="Empty for all.")]


@dataclass(frozen=True)
class ForecastPage:
    """Forecasts of earlier runs against what came, and where the next page begins."""

    entries: tuple[ForecastEntry, ...]
    next_cursor: str | None
    """Null after the last page."""


@dataclass(frozen=True)
class ImportCursorPage(ImportPage):
    """Imports, and where the next page begins."""

    next_cursor: str | None
    """Null after the last page."""


@router.get("/models/forecasts")
@needs(Action.READ, Area.MODELS)
def forecasts(
    request: Request, question: QuestionName = "", cursor: CursorText = "", limit: Limit = None
) -> ForecastPage:
    """Every forecast whose horizon is over against what came, the latest first; of one question or of all."""
    ledger, before, size = answers_of(request).models().ledger, None, limit or FORECASTS_PER_PAGE
    if cursor:
        at, name = Cursor.in_list(cursor, "forecasts", int, str).place
        before = (time_of(at), name)
    following = newest_forecasts(ledger.entries if ledger else (), question, before=before)
    shown = following[:size]
    has_more = len(following) > size
    place = (microseconds_of(shown[-1].scored_at), shown[-1].question) if has_more else ()
    return ForecastPage(shown, str(Cursor("forecasts", place)) if has_more else None)


@router.get("/imports")
@needs(Action.READ, Area.DATA)
def imports(request: Request, cursor: CursorText = "", limit: Limit = None) -> ImportCursorPage:
    """Imports of files, the newest first."""
    before: tuple[datetime, str] | None = None
    if cursor:
        at, import_id = Cursor.in_list(cursor, "imports", int, str).place
        before = (time_of(at), import_id)
    page = list_imports(answers_of(request).shop, before=before, length=limit or IMPORTS_PER_PAGE)
    following = None
    if page.has_more:
        following = str(Cursor("imports", (microseconds_of(page.imports[-1].started_at), page.imports[-1].import_id)))
    return ImportCursorPage(**vars(page), next_cursor=following)
