"""The decision ledger for programs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from patron.answers.offers.decision_ledger import (
    PAGE_SIZE,
    DecisionDetail,
    DecisionPage,
    DecisionRow,
    Place,
    decision_of,
    decisions,
)
from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.access.customer_scope import rows_of, visible_of
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.customers.lookup_routes import LookUp
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.list_pages import Cursor, CursorText, Limit, PageNumber
from patron.service.customer_lookup import lookup_customer

MAX_NAME_LENGTH = 40
RunName = Annotated[str, Query(max_length=MAX_NAME_LENGTH, description="Run by its name (default: the last one).")]


class DecisionLookUp(LookUp):
    """A customer by the shop's own id, in a body only, and a run."""

    run: str = Field(default="", max_length=MAX_NAME_LENGTH)


@dataclass(frozen=True)
class DecisionCursorPage(DecisionPage):
    """A page of the ledger, and where the next one begins."""

    next_cursor: str | None
    """Null after the last page."""


router = APIRouter(
    prefix="/api/decisions",
    tags=["last run"],
    route_class=GuardedRoute,
    dependencies=[Depends(require_known_parameters)],
)


@router.get("")
@needs(Action.READ, Area.OFFERS)
def ledger(
    request: Request,
    run: RunName = "",
    reason: Annotated[str, Query(max_length=MAX_NAME_LENGTH)] = "",
    page: PageNumber = 1,
    cursor: CursorText = "",
    limit: Limit = None,
) -> DecisionCursorPage:
    """Decisions of a run, counted by reason, filtered and paged; offers first. A cursor stays in its run."""
    after, shop, only = None, answers_of(request).shop, rows_of(visible_of(request))
    if cursor:
        last = Cursor.parse(cursor, int, float, str)
        run, after = last.of, last.place
    listed = decisions(shop, run_id=run, reason=reason, page=page, size=limit or PAGE_SIZE, after=after, only=only)
    following = str(Cursor(listed.run_id, _place_of(listed.rows[-1]))) if listed.has_more else None
    return DecisionCursorPage(**vars(listed), next_cursor=following)


@router.post("/lookup")
@needs(Action.READ, Area.OFFERS)
def lookup(request: Request, body: DecisionLookUp) -> DecisionDetail:
    """The newest decision for the customer with one of the shop's own ids, an e-mail address or phone number."""
    shop = answers_of(request).shop
    match = lookup_customer(shop, body.shop_id, now=datetime.now(UTC), visible=visible_of(request))
    return decision_of(
        shop, [match.customer_id, *match.other_customer_ids], run_id=body.run, only=rows_of(visible_of(request))
    )


@router.get("/{decision_id}")
@needs(Action.READ, Area.OFFERS)
def decision(request: Request, decision_id: str, run: RunName = "") -> DecisionDetail:
    """One decision, or the newest for a customer's opaque id: what else was possible, and which rule forbade it."""
    return decision_of(answers_of(request).shop, [decision_id], run_id=run, only=rows_of(visible_of(request)))


def _place_of(row: DecisionRow) -> Place:
    return (int(row.action == "none"), row.expected_net_value_cents, row.customer_id)
