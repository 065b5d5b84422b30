"""The privacy desk for programs: requests without what identifies people, certificates, consents, the register."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from patron.answers.privacy.consent_trail import MAX_EXPORTED, ConsentPage, consent_trail, verify_consents
from patron.answers.privacy.consent_trail import PAGE_LENGTH as ENTRIES_PER_PAGE
from patron.answers.privacy.privacy_desk import (
    OPEN,
    PAGE_LENGTH,
    Certificate,
    PrivacyDesk,
    PrivacyRequest,
    erasure_certificate,
    privacy_desk,
    privacy_request,
    request_rows,
)
from patron.answers.privacy.processing_register import ProcessingRegister, processing_register
from patron.commands.access.record_list_export import record_list_export
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, context_of, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.csv_answers import csv_answer
from patron.interfaces.http.integer_bounds import MAX_COUNT
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import ExportedList
from patron.schema.access.log_check import LogCheck
from patron.schema.list_pages import Cursor, CursorText, Limit, PageNumber, microseconds_of, time_of

router = APIRouter(
    prefix="/api/privacy",
    tags=["privacy"],
    route_class=GuardedRoute,
    dependencies=[Depends(require_known_parameters)],
)


@dataclass(frozen=True)
class PrivacyRequestPage(PrivacyDesk):
    """Some requests, and where the next page begins."""

    next_cursor: str | None
    """Null after the last page."""


@dataclass(frozen=True)
class ConsentCursorPage(ConsentPage):
    """Some entries of the ledger, and where the next page begins."""

    next_cursor: str | None
    """Null after the last page."""


@router.get("/requests", response_model=PrivacyRequestPage)
@needs(Action.READ, Area.PRIVACY)
def requests(
    request: Request,
    state: Literal["open", "closed"] = "open",
    page: PageNumber = 1,
    cursor: CursorText = "",
    limit: Limit = None,
    format: Literal["json", "csv"] = "json",  # noqa: A002 - the name in the address
) -> PrivacyRequestPage | Response:
    """Requests of people about their data: open ones by their deadline, closed ones the newest first; as CSV all."""
    shop, now = answers_of(request).shop, datetime.now(UTC)
    if format == "json":
        after, name = None, f"privacy requests {state}"
        if cursor:
            at, request_id = Cursor.in_list(cursor, name, int, str).place
            after = (time_of(at), request_id)
        desk = privacy_desk(shop, state=state, page=page, length=limit or PAGE_LENGTH, after=after, now=now)
        following = str(Cursor(name, _place_of(desk.requests[-1]))) if desk.has_more else None
        return PrivacyRequestPage(**vars(desk), next_cursor=following)
    actor_of(request).require(Right(Action.EXPORT, Area.PRIVACY))
    desk = privacy_desk(shop, state=state, length=MAX_EXPORTED, now=now)
    rows = list(request_rows(desk))
    record_list_export(context_of(request), ExportedList.PRIVACY_REQUESTS, row_count=len(rows) - 1, query=state)
    return csv_answer(rows, "privacy-requests.csv")


@router.get("/requests/{request_id}")
@needs(Action.READ, Area.PRIVACY)
def one_request(request: Request, request_id: str) -> PrivacyRequest:
    """One request."""
    return privacy_request(answers_of(request).shop, request_id, now=datetime.now(UTC))


@router.get("/requests/{request_id}/certificate")
@needs(Action.READ, Area.PRIVACY)
def certificate(request: Request, request_id: str) -> Certificate:
    """The certificate of an erasure, from the audit log."""
    return erasure_certificate(answers_of(request).shop, request_id)


@router.get("/consents")
@needs(Action.READ, Area.PRIVACY)
def consents(
    request: Request,
    customer: Annotated[str, Query(max_length=64, description="Opaque id; empty: everybody.")] = "",
    before: Annotated[int | None, Query(ge=1, le=MAX_COUNT, description="Entries before this number.")] = None,
    cursor: CursorText = "",
    limit: Limit = None,
) -> ConsentCursorPage:
    """The ledger of consents, newest first."""
    if cursor:
        (before,) = Cursor.in_list(cursor, "consents", int).place
    shop, length = answers_of(request).shop, limit or ENTRIES_PER_PAGE
    trail = consent_trail(shop, customer_id=customer, before=before, length=length)
    following = str(Cursor("consents", (trail.next_before,))) if trail.next_before else None
    return ConsentCursorPage(**vars(trail), next_cursor=following)


@router.get("/consents/verification")
@needs(Action.READ, Area.PRIVACY)
def consent_check(request: Request) -> LogCheck:
    """Whether the chain of the ledger is intact."""
    return verify_consents(answers_of(request).shop)


@router.get("/processing")
@needs(Action.READ, Area.PRIVACY)
def processing(request: Request) -> ProcessingRegister:
    """The register of processing activities."""
    return processing_register(answers_of(request).shop)


def _place_of(one: PrivacyRequest) -> tuple[int, str]:
    """Where a request is in the order of its state: by its deadline, or by when it was closed."""
    return (microseconds_of(one.due_at if one.state == OPEN else one.closed_at or one.due_at), one.request_id)
