"""Corrections of who is one customer: what they would do is shown first, and any of them can be undone."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from patron.answers.customers.identity_preview import IdentityPreview, linked_identities, preview_merge, preview_unlink
from patron.answers.customers.list_access import ListAccess
from patron.commands.customers.correct_identity import merge_customers, unlink_id
from patron.commands.customers.customer_contacts import masked_ids
from patron.interfaces.console.customers.customer_card_pages import show_customer
from patron.interfaces.console.page_frame import FRAME_PARAMETERS
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, form_of, needs
from patron.interfaces.http.access.customer_scope import require_visible, visible_of
from patron.interfaces.http.known_parameters import require_known
from patron.schema.access.access_rights import Action, Area
from patron.service.customer_search import find_by_text

router = APIRouter(route_class=GuardedRoute)
MAX_MATCHES = 10


@router.get("/customers/{customer_id}/identity")
@needs(Action.READ, Area.CUSTOMERS)
def identity(request: Request, customer_id: str) -> Response:
    """The ids of a customer, and what a correction would do."""
    require_visible(request, [customer_id])
    parameters = request.query_params
    require_known(parameters, ("unlink", "merge", "done", *FRAME_PARAMETERS))
    preview = None
    if parameters.get("merge"):
        require_visible(request, [parameters["merge"]])
    if parameters.get("unlink") or parameters.get("merge"):
        preview = preview_of(request, customer_id)
    return _page(request, customer_id, preview=preview)


@router.post("/customers/{customer_id}/identity/find")
@needs(Action.ACT, Area.CUSTOMERS)
def find(request: Request, customer_id: str) -> Response:
    """Find the customer to join with, by what staff know of them; it leaves no address."""
    require_visible(request, [customer_id])
    text = form_of(request).get("other", "").strip()
    visible = visible_of(request)
    matches = find_by_text(request.app.state.answers.shop, text, visible=visible, limit=MAX_MATCHES)
    others = [match for match in matches if match != customer_id]
    if len(others) == 1:
        return RedirectResponse(f"{_path(customer_id)}?merge={quote(others[0])}", 303)
    return _page(request, customer_id, matches=others)


@router.post("/customers/{customer_id}/identity")
@needs(Action.ACT, Area.CUSTOMERS)
def correct(request: Request, customer_id: str) -> Response:
    """Join with another customer, or take an id out, from the next run on."""
    form = form_of(request)
    require_visible(request, [customer_id])
    if other := form.get("merge"):
        require_visible(request, [other])
        merge_customers(context_of(request), customer_id, other)
        return RedirectResponse(f"{_path(customer_id)}?done=merged", 303)
    unlink_id(context_of(request), customer_id, form.get("unlink", ""))
    return RedirectResponse(f"{_path(customer_id)}?done=unlinked", 303)


def preview_of(request: Request, customer_id: str) -> IdentityPreview:
    """What the correction in an address would do. Raises NotFound, BadQuery."""
    access, parameters = ListAccess(context_of(request)), request.query_params
    shop = access.cache.shop
    if token := parameters.get("unlink"):
        return preview_unlink(shop, customer_id, token, index=access.index)
    return preview_merge(shop, customer_id, parameters.get("merge", ""), index=access.index)


def _page(
    request: Request,
    customer_id: str,
    *,
    preview: IdentityPreview | None = None,
    matches: list[str] | None = None,
) -> Response:
    parameters, shop = request.query_params, request.app.state.answers.shop
    identities = linked_identities(shop, customer_id)
    return show_customer(
        request,
        customer_id,
        view="identity",
        identities=identities,
        masked_ids=masked_ids(shop, [one.token for one in identities]),
        preview=preview,
        matches=matches,
        unlink=parameters.get("unlink", ""),
        merge=parameters.get("merge", ""),
        done_identity=parameters.get("done", "") if parameters.get("done") in {"merged", "unlinked"} else "",
        done=None,
    )


def _path(customer_id: str) -> str:
    return f"/customers/{quote(customer_id, safe='')}/identity"
