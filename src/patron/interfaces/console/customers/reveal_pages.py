"""Who a customer is, for one look: after it the page shows the mask again."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from patron.commands.customers.customer_contacts import RevealReason, reveal_contacts, show_contacts
from patron.interfaces.console.page_frame import Console
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, form_of, needs
from patron.schema.access.access_rights import Action, Area
from patron.schema.errors import BadQuery

router = APIRouter(route_class=GuardedRoute)
PART = "contacts"
"""Id of the element that the script exchanges."""


@router.get("/customers/{customer_id}/contacts")
@needs(Action.READ, Area.CUSTOMERS)
def contacts(request: Request, customer_id: str) -> Response:
    """Who a customer is, masked, with the form that reveals it."""
    return _contacts_page(request, customer_id)


@router.post("/customers/{customer_id}/reveal")
@needs(Action.REVEAL, Area.CUSTOMERS)
def reveal(request: Request, customer_id: str) -> Response:
    """Who a customer is, in clear, on this one page; the audit log records who sees it, and why."""
    console: Console = request.app.state.console
    form = form_of(request)
    reason = RevealReason(form.get("reason", "")[:40], form.get("note", ""))
    try:
        shown = reveal_contacts(
            console.answers.shop, customer_id, actor=actor_of(request), reason=reason, now=datetime.now(UTC)
        )
    except BadQuery:
        return _contacts_page(request, customer_id, status=422, is_reason_missing=True)
    return _page(request, customer_id, contacts=shown)


def _contacts_page(request: Request, customer_id: str, **more: Any) -> Response:
    console: Console = request.app.state.console
    return _page(request, customer_id, contacts=show_contacts(console.answers.shop, customer_id), **more)


def _page(request: Request, customer_id: str, *, status: int = 200, **facts: Any) -> Response:
    console: Console = request.app.state.console
    answer = console.page(
        request,
        "customers/contacts.html",
        here="customers",
        twin=f"/api/customers/{customer_id}/contacts",
        status=status,
        fragments={PART: "customers/contacts_part.html"},
        customer_id=customer_id,
        **{"is_reason_missing": False, **facts},
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer
