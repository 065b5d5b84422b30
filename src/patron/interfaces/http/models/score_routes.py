"""Scores in bulk, with the shop's own ids, which a shop's server requests with a secret key."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel

from patron.commands.models.export_scores import ShopTotal, export_scores, shop_total
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, needs
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.list_pages import CursorText, Limit, PageNumber, page_of
from patron.storage.models.missing_forecasts import MissingForecast

PAGE_SIZE = 1_000
AsOf = Annotated[AwareDatetime | None, Query(description="Cutoff of another completed run, with its time zone.")]


class ScorePage(BaseModel):
    """One page of scores, in order of customer_id, and who is left out."""

    run_id: str
    as_of: datetime
    page: int
    page_count: int
    customer_count: int
    objecting_count: int
    erased_count: int
    missing_forecasts: list[MissingForecast]
    """What the run has too little history for: these columns are null."""
    rows: list[dict[str, Any]]
    next_cursor: str | None
    """Where the next page begins; null after the last."""


router = APIRouter(
    prefix="/api/scores", tags=["scores"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)]
)


@router.get("")
@needs(Action.EXPORT, Area.CUSTOMERS)
def scores(
    request: Request, page: PageNumber = 1, cursor: CursorText = "", limit: Limit = None, as_of: AsOf = None
) -> ScorePage:
    """Scores of the last completed run, or of that of a cutoff: columns as `patron scores` writes them."""
    export = export_scores(context_of(request), as_of)
    visible = visible_of(request)
    rows = export.rows if visible is None else visible.restrict(export.rows)
    count, size = rows.num_rows, limit or PAGE_SIZE
    shown = page_of(rows, export.run_id, page=page, size=size, cursor=cursor)
    return ScorePage(
        run_id=export.run_id,
        as_of=export.as_of,
        page=page,
        page_count=max(1, -(-count // size)),
        customer_count=count,
        objecting_count=export.objecting_count,
        erased_count=export.erased_count,
        missing_forecasts=list(export.missing_forecasts),
        rows=shown.rows,
        next_cursor=shown.next_cursor,
    )


@router.get("/total")
@needs(Action.READ, Area.OVERVIEW)
def total(request: Request, as_of: AsOf = None) -> ShopTotal:
    """The forecast of all customers together, in units of the shop's currency."""
    return shop_total(request.app.state.answers.shop, as_of)
