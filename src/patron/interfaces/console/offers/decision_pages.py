"""The pages of the decision ledger: parse, call one answer, render."""

from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.offers.decision_ledger import MAX_EXPORTED, MAX_NAME_LENGTH, PAGE_SIZE, DecisionPage, decision_of
from patron.answers.offers.decision_ledger import decisions as decisions_of
from patron.commands.offers.confirm_offers import confirm_offers
from patron.commands.offers.download_offers import download_offers
from patron.interfaces.console.page_frame import FRAME_PARAMETERS, Console
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, needs, of_whole_shop
from patron.interfaces.http.access.customer_scope import rows_of, visible_of
from patron.interfaces.http.error_status import status_of
from patron.interfaces.http.integer_bounds import bounded_integer
from patron.interfaces.http.known_parameters import require_known
from patron.interfaces.http.list_file import fields_of, list_file
from patron.interfaces.i18n.decision_texts import decision_sentences
from patron.schema.access.access_rights import Action, Area
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import PatronError, WorkspaceError
from patron.schema.list_pages import MAX_PAGE

LIST_PARAMETERS = ("run", "reason", "page", "format", "notice")
OFFERS_FILE = "offers.csv"
CONFIRMED = "confirmed"
"""Notice after the offers of a run were confirmed."""
FILE_COLUMNS = (
    "decision_id",
    "run_id",
    "as_of",
    "customer_id",
    "action",
    "reason",
    "expected_net_value_cents",
    "effect_cents",
    "cost_cents",
    "propensity",
)

router = APIRouter(route_class=GuardedRoute)


@router.get("/decisions")
@needs(Action.READ, Area.OFFERS)
def decisions(request: Request) -> Response:
    """The decisions of a run, counted by reason and filtered."""
    return _list_page(request, request.query_params.get("run", "")[:MAX_NAME_LENGTH])


@router.post("/decisions/runs/{run_id}/confirmation")
@needs(Action.ACT, Area.OFFERS)
def confirm(request: Request, run_id: str) -> Response:
    """Confirm that the offers of a run were sent."""
    try:
        confirm_offers(context_of(request), run_id)
    except WorkspaceError as error:
        return _list_page(request, run_id, problem=error)
    return RedirectResponse(f"/decisions?{urlencode({'run': run_id, 'notice': CONFIRMED})}", 303)


@router.get("/decisions/runs/{run_id}/file")
@needs(Action.EXPORT, Area.OFFERS)
@of_whole_shop
def download(request: Request, run_id: str) -> Response:
    """The offers of a run, for a mail system of the shop's own."""
    content = download_offers(context_of(request), run_id)
    headers = {"Content-Disposition": f'attachment; filename="{OFFERS_FILE}"', "Cache-Control": "no-store"}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


def _list_page(request: Request, run: str, problem: PatronError | None = None) -> Response:
    console: Console = request.app.state.console
    parameters = request.query_params
    require_known(parameters, (*LIST_PARAMETERS, *FRAME_PARAMETERS))
    is_file = parameters.get("format") == "csv"
    listing = decisions_of(
        console.answers.shop,
        run_id=run,
        reason=parameters.get("reason", "")[:MAX_NAME_LENGTH],
        page=bounded_integer(parameters.get("page", ""), 1, MAX_PAGE) or 1,
        size=MAX_EXPORTED if is_file else PAGE_SIZE,
        only=rows_of(visible_of(request)),
    )
    if is_file:
        rows = [fields_of(row) for row in listing.rows]
        return list_file(request, ExportedList.DECISIONS, rows, area=Area.OFFERS, columns=FILE_COLUMNS)
    page = listing.page
    return console.page(
        request,
        "offers/decisions.html",
        here="decisions",
        twin=address(listing, run, page, "/api/decisions"),
        status=200 if problem is None else status_of(problem),
        listing=listing,
        notice=CONFIRMED if parameters.get("notice") == CONFIRMED else "",
        problem=problem,
        csv=address(listing, run, 1, "/decisions", format="csv"),
        previous=address(listing, run, page - 1) if page > 1 else "",
        next=address(listing, run, page + 1) if page < listing.page_count else "",
    )


@router.get("/decisions/{decision_id}")
@needs(Action.READ, Area.OFFERS)
def decision(request: Request, decision_id: str) -> Response:
    """One decision with its alternatives."""
    console: Console = request.app.state.console
    texts = console.words(request)
    run_id, only = request.query_params.get("run", "")[:MAX_NAME_LENGTH], rows_of(visible_of(request))
    detail = decision_of(console.answers.shop, [decision_id], run_id=run_id, only=only)
    names = {offer.id: offer.name for offer in console.answers.shop.policy.offers if offer.name}
    return console.page(
        request,
        "offers/decision.html",
        here="decisions",
        twin=f"/api/decisions/{quote(detail.decision_id)}?{urlencode({'run': detail.run_id})}",
        decision=detail,
        sentences=list(decision_sentences(detail, names, texts, console.formats(texts))),
    )


def address(listing: DecisionPage, run: str, page: int, path: str = "/decisions", **more: str) -> str:
    """Address of one state of the list; what is not asked for is not named."""
    values = {"run": run, "reason": listing.reason, "page": "" if page <= 1 else str(page), **more}
    parameters = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{parameters}" if parameters else path
