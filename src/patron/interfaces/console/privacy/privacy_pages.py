"""The privacy desk: requests of people about their data, worked off; consents; the register of processing."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.privacy.consent_trail import MAX_EXPORTED, consent_trail, verify_consents
from patron.answers.privacy.privacy_desk import (
    CLOSED,
    OPEN,
    STATES,
    erasure_certificate,
    privacy_desk,
    privacy_request,
    request_content,
)
from patron.answers.privacy.processing_register import processing_register
from patron.commands.privacy import privacy_requests as desk
from patron.commands.privacy.correct_personal_data import correct_personal_data
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import (
    GuardedRoute,
    actor_of,
    context_of,
    form_of,
    needs,
)
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.schema.access.access_rights import Action, Area
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import BadPrivacyRequest, PatronError
from patron.schema.list_pages import MAX_COUNT, MAX_PAGE
from patron.schema.privacy.privacy_requests import CORRECTABLE, EXTENSIONS, KINDS, REJECTIONS, SOURCES
from patron.schema.sentences import Sentence
from patron.storage.offers.policy import PROFILING
from patron.storage.shop import Shop

DAY_NOT_DATE = Sentence("day_not_date", "the day is not a date")
ENTER_DAY = Sentence("enter_day", "Enter a day.")

router = APIRouter(route_class=GuardedRoute)
HERE = "privacy_desk"
NOTICES = ("received", "searched", "withdrawn", "answered", "rejected", "erased", "files", "extended", "corrected")
"""What was done, as the address of the page after it says."""
DONE_BY_EXPORT = ("access", "portability")
MAX_ID_LENGTH = 64
CONSENT_COLUMNS = (
    "entry",
    "customer_id",
    "purpose",
    "is_granted",
    "basis",
    "wording_version",
    "policy_version",
    "locale",
    "channel",
    "occurred_at",
    "known_at",
    "hash",
)
CONSENT_PARAMETERS = ("customer", "before", "format", *FRAME_PARAMETERS)


@router.get("/privacy")
@needs(Action.READ, Area.PRIVACY)
def requests(request: Request) -> Response:
    """Requests by their deadline, or those that are closed."""
    console, parameters = _console(request), request.query_params
    require_known(parameters, ("state", "page", "notice", *FRAME_PARAMETERS))
    state = parameters.get("state", OPEN) if parameters.get("state") in STATES else OPEN
    page = bounded_integer(parameters.get("page", ""), 1, MAX_PAGE) or 1
    facts = privacy_desk(console.answers.shop, state=state, page=page, now=datetime.now(UTC))
    twin = f"/api/privacy/requests?{urlencode({'state': state, 'page': page})}"
    return console.page(request, "privacy/privacy.html", here=HERE, twin=twin, desk=facts, notice=_notice(request))


@router.get("/privacy/new")
@needs(Action.ACT, Area.PRIVACY)
def new_request(request: Request) -> Response:
    """The form of a request that arrived."""
    return _new_request(request, {})


@router.post("/privacy/new")
@needs(Action.ACT, Area.PRIVACY)
def enter_request(request: Request) -> Response:
    """Enter a request, and look for its person."""
    context, form = context_of(request), form_of(request)
    try:
        request_id = desk.open_request(
            context,
            form.get("kind", ""),
            form.get("identifier", ""),
            words=form.get("words", ""),
            source=form.get("source", ""),
            received_at=_received_at(context, form.get("received", "")),
        )
    except BadPrivacyRequest as error:
        return _new_request(request, dict(form), problem=error)
    return RedirectResponse(f"/privacy/requests/{request_id}?notice=received", 303)


@router.get("/privacy/requests/{request_id}")
@needs(Action.READ, Area.PRIVACY)
def one_request(request: Request, request_id: str) -> Response:
    """One request, and what can be done about it."""
    return _request_page(request, request_id)


@router.post("/privacy/requests/{request_id}/search")
@needs(Action.ACT, Area.PRIVACY)
def search_again(request: Request, request_id: str) -> Response:
    """Look for the person again."""
    return _step(request, request_id, "searched", lambda context: desk.identify_again(context.shop, request_id))


@router.post("/privacy/requests/{request_id}/export")
@needs(Action.EXPORT, Area.PRIVACY)
def export(request: Request, request_id: str) -> Response:
    """Everything that is known of the person, as an archive to download."""
    try:
        content = desk.export_archive(context_of(request), request_id)
    except PatronError as error:
        return _request_page(request, request_id, problem=error)
    headers = {"Content-Disposition": f'attachment; filename="request-{quote(request_id)}.zip"'}
    return Response(content, media_type="application/zip", headers={**headers, "Cache-Control": "no-store"})


@router.post("/privacy/requests/{request_id}/answer")
@needs(Action.ACT, Area.PRIVACY)
def answer(request: Request, request_id: str) -> Response:
    """Close a request that was answered."""
    note = form_of(request).get("note", "")
    return _step(
        request,
        request_id,
        "answered",
        lambda context: desk.close_request(context, request_id, note=note),
    )


@router.post("/privacy/requests/{request_id}/rejection")
@needs(Action.ACT, Area.PRIVACY)
def reject(request: Request, request_id: str) -> Response:
    """Reject a request, with a reason."""
    form = form_of(request)
    reason, note = form.get("reason", ""), form.get("note", "")
    return _step(
        request,
        request_id,
        "rejected",
        lambda context: desk.reject_request(context, request_id, reason, note=note),
    )


@router.post("/privacy/requests/{request_id}/objection")
@needs(Action.ACT, Area.PRIVACY)
def objection(request: Request, request_id: str) -> Response:
    """Withdraw consents for the person."""
    purposes = request.state.form.getlist("purpose")
    known = set(_purposes(_console(request).answers.shop))
    return _step(
        request,
        request_id,
        "withdrawn",
        lambda context: desk.withdraw_consents(context, request_id, known & set(purposes)),
    )


@router.post("/privacy/requests/{request_id}/extension")
@needs(Action.ACT, Area.PRIVACY)
def extend(request: Request, request_id: str) -> Response:
    """Extend the deadline by two months, with a reason."""
    reason = form_of(request).get("reason", "")
    return _step(
        request,
        request_id,
        "extended",
        lambda context: desk.extend_deadline(context, request_id, reason),
    )


@router.post("/privacy/requests/{request_id}/correction")
@needs(Action.ACT, Area.PRIVACY)
def correct(request: Request, request_id: str) -> Response:
    """Correct one field of the person."""
    form = form_of(request)
    field, value, reason = (form.get(name, "") for name in ("field", "value", "reason"))
    return _step(
        request,
        request_id,
        "corrected",
        lambda context: correct_personal_data(context, request_id, field, value, reason=reason),
    )


@router.get("/privacy/requests/{request_id}/erasure")
@needs(Action.ACT, Area.PRIVACY)
def erasure(request: Request, request_id: str) -> Response:
    """What an erasure would erase, and the form that confirms it."""
    return _erasure(request, request_id)


@router.post("/privacy/requests/{request_id}/erasure")
@needs(Action.ACT, Area.PRIVACY)
def erase(request: Request, request_id: str) -> Response:
    """Erase the person; the certificate follows."""
    console = _console(request)
    if form_of(request).get("confirmation", "").strip().casefold() != console.words(request)("privacy.word").casefold():
        return _erasure(request, request_id, is_unconfirmed=True)
    try:
        desk.erase_person(context_of(request), request_id)
    except PatronError as error:
        return _request_page(request, request_id, problem=error)
    return RedirectResponse(f"/privacy/requests/{quote(request_id)}/certificate?notice=erased", 303)


@router.get("/privacy/requests/{request_id}/certificate")
@needs(Action.READ, Area.PRIVACY)
def certificate(request: Request, request_id: str) -> Response:
    """The certificate of an erasure, to print."""
    console = _console(request)
    require_known(request.query_params, ("notice", *FRAME_PARAMETERS))
    facts = erasure_certificate(console.answers.shop, request_id)
    twin = f"/api/privacy/requests/{quote(request_id)}/certificate"
    files = request_content(console.answers.shop, request_id).files_left
    values = {"certificate": facts, "request_id": request_id, "files_left": files, "notice": _notice(request)}
    return console.page(request, "privacy/privacy_certificate.html", here=HERE, twin=twin, **values)


@router.post("/privacy/requests/{request_id}/files")
@needs(Action.ACT, Area.PRIVACY)
def confirm_files(request: Request, request_id: str) -> Response:
    """Confirm that the files which an erasure left were looked at."""
    desk.confirm_files(context_of(request), request_id)
    return RedirectResponse(f"/privacy/requests/{quote(request_id)}/certificate?notice=files", 303)


@router.get("/privacy/consents")
@needs(Action.READ, Area.PRIVACY)
def consents(request: Request) -> Response:
    """The ledger of consents."""
    require_known(request.query_params, CONSENT_PARAMETERS)
    if request.query_params.get("format") == "csv":
        customer = request.query_params.get("customer", "")[:MAX_ID_LENGTH]
        listed = consent_trail(_console(request).answers.shop, customer_id=customer, length=MAX_EXPORTED).entries
        rows = [fields_of(one, "wording") for one in listed]
        return list_file(request, ExportedList.CONSENTS, rows, area=Area.PRIVACY, columns=CONSENT_COLUMNS)
    return _consents(request)


@router.get("/privacy/consents/verification")
@needs(Action.READ, Area.PRIVACY)
def consent_check(request: Request) -> Response:
    """The ledger, and whether its chain is intact."""
    return _consents(request, check=verify_consents(_console(request).answers.shop))


@router.post("/privacy/consents/lookup")
@needs(Action.READ, Area.PRIVACY)
def consent_lookup(request: Request) -> Response:
    """The consents of one customer, by any of their identifiers."""
    identifier = form_of(request).get("who", "").strip()
    customer_id = desk.find_customer_id(_console(request).answers.shop, identifier) if identifier else None
    if customer_id is None:
        return _consents(request, is_unknown=bool(identifier))
    return RedirectResponse(f"/privacy/consents?{urlencode({'customer': customer_id})}", 303)


@router.get("/privacy/processing")
@needs(Action.READ, Area.PRIVACY)
def processing(request: Request) -> Response:
    """The register of processing activities, to print."""
    console = _console(request)
    require_known(request.query_params, FRAME_PARAMETERS)
    facts = processing_register(console.answers.shop)
    return console.page(
        request, "privacy/privacy_processing.html", here=HERE, twin="/api/privacy/processing", register=facts
    )


def _console(request: Request) -> Console:
    return request.app.state.console


def _notice(request: Request) -> str:
    notice = request.query_params.get("notice", "")
    return notice if notice in NOTICES else ""


def _new_request(request: Request, values: dict[str, Any], problem: PatronError | None = None) -> Response:
    console = _console(request)
    zone = ZoneInfo(console.answers.shop.settings.shop.time_zone)
    return console.page(
        request,
        "privacy/privacy_new.html",
        here=HERE,
        status=200 if problem is None else status_of(problem),
        values=values,
        problem=problem,
        today=datetime.now(zone).date().isoformat(),
        kinds=KINDS,
        sources=SOURCES,
    )


def _received_at(context: RequestContext, text: str) -> datetime:
    """The day on which a request was received, by the shop's clock; today's is now. Raises BadPrivacyRequest."""
    now, zone = context.now, ZoneInfo(context.shop.settings.shop.time_zone)
    try:
        day = date.fromisoformat(text) if text else now.astimezone(zone).date()
    except ValueError:
        raise BadPrivacyRequest(DAY_NOT_DATE, where="privacy request", todo=ENTER_DAY) from None
    return now if day == now.astimezone(zone).date() else datetime.combine(day, time(tzinfo=zone)).astimezone(UTC)


def _step(request: Request, request_id: str, notice: str, step: Callable[[RequestContext], object]) -> Response:
    """Take a step, and show the request after it."""
    try:
        step(context_of(request))
    except PatronError as error:
        return _request_page(request, request_id, problem=error)
    return RedirectResponse(f"/privacy/requests/{quote(request_id)}?notice={notice}", 303)


def _request_page(request: Request, request_id: str, problem: PatronError | None = None) -> Response:
    console = _console(request)
    shop, may_act = console.answers.shop, actor_of(request).may(Action.ACT, Area.PRIVACY)
    facts = privacy_request(shop, request_id, now=datetime.now(UTC))
    return console.page(
        request,
        "privacy/privacy_request.html",
        here=HERE,
        twin=f"/api/privacy/requests/{quote(request_id)}",
        status=200 if problem is None else status_of(problem),
        item=facts,
        # why: who only reads sees neither whom it is about nor what they wrote
        content=request_content(shop, request_id) if may_act else None,
        problem=problem,
        rejections=REJECTIONS,
        extensions=EXTENSIONS,
        correctable=CORRECTABLE,
        purposes=_purposes(shop),
        closed=CLOSED,
        notice=_notice(request),
    )


def _purposes(shop: Shop) -> tuple[str, ...]:
    """What a person may object to."""
    consent = shop.policy.consent
    named = (PROFILING, consent.personal_offers, consent.marketing, consent.advertising, consent.events_need)
    return tuple(dict.fromkeys(purpose for purpose in named if purpose))


def _erasure(request: Request, request_id: str, *, is_unconfirmed: bool = False) -> Response:
    console = _console(request)
    try:
        preview = desk.preview_erasure(console.answers.shop, request_id)
    except PatronError as error:
        return _request_page(request, request_id, problem=error)
    status = 422 if is_unconfirmed else 200
    values = {"preview": preview, "request_id": request_id, "is_unconfirmed": is_unconfirmed}
    return console.page(request, "privacy/privacy_erasure.html", here=HERE, status=status, **values)


def _consents(request: Request, *, is_unknown: bool = False, check: Any = None) -> Response:
    console, parameters = _console(request), request.query_params
    require_known(parameters, CONSENT_PARAMETERS)
    customer = parameters.get("customer", "")[:MAX_ID_LENGTH]
    before = bounded_integer(parameters.get("before", ""), 1, MAX_COUNT)
    facts = consent_trail(console.answers.shop, customer_id=customer, before=before)
    named = {"customer": customer, "before": before}
    twin = f"/api/privacy/consents?{urlencode({name: value for name, value in named.items() if value})}".rstrip("?")
    following = {"customer": customer, "before": facts.next_before}
    older = urlencode({name: value for name, value in following.items() if value})
    return console.page(
        request,
        "privacy/privacy_consents.html",
        here=HERE,
        twin="/api/privacy/consents/verification" if check else twin,
        status=404 if is_unknown else 200,
        ledger=facts,
        csv=f"/privacy/consents?{urlencode({'format': 'csv', **({'customer': customer} if customer else {})})}",
        older=f"/privacy/consents?{older}" if facts.next_before else "",
        is_unknown=is_unknown,
        check=check,
    )
