"""Models of the last run, and forecasts of earlier runs against what came, a page at a time."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from patron.answers.models.forecast_ledger import FORECASTS_PER_PAGE, ForecastEntry, newest_forecasts
from patron.answers.models.models import Models
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.list_pages import Cursor, CursorText, Limit, microseconds_of, time_of

QuestionName = Annotated[str, Query(max_length=40, description="Empty for all.")]

router = APIRouter(tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])


@dataclass(frozen=True)
class ForecastPage:
    """Forecasts of earlier runs against what came, and where the next page begins."""

    entries: tuple[ForecastEntry, ...]
    next_cursor: str | None
    """Null after the last page."""


@router.get("/api/models")
@needs(Action.READ, Area.MODELS)
def models(request: Request) -> Models:
    """Questions, champions, backtests, checked forecasts and drift."""
    return answers_of(request).models()


@router.get("/api/models/forecasts")
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
