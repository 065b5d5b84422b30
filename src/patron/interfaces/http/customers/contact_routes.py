"""Who a customer is: masked for whoever reads customers, and in clear for who may see it and says why."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from patron.commands.customers.customer_contacts import CustomerContacts, RevealReason, masked_contacts, reveal_contacts
from patron.interfaces.http.access.access_control import GuardedRoute, actor_of, needs
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.schema.customers.customer_contacts import REVEAL_REASONS, unknown_customer
from patron.service.customer_search import suggest_customers


class RevealBody(BaseModel):
    """Why somebody sees who a customer is."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=40, description=f"One of {', '.join(REVEAL_REASONS)}.")
    note: str = Field(default="", max_length=300, description="A line of your own; kept encrypted in the audit log.")


class SearchBody(BaseModel):
    """What somebody typed: in a body only, never in an address."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=200, description="Name, e-mail address, phone number, the shop's id or an opaque id.")


router = APIRouter(
    prefix="/api/customers",
    tags=["one person"],
    route_class=GuardedRoute,
    dependencies=[Depends(require_known_parameters)],
)


@router.post("/search")
@needs(Action.READ, Area.CUSTOMERS)
def search(request: Request, body: SearchBody) -> tuple[CustomerContacts, ...]:
    """The first customers whom a text names, masked."""
    return suggest_customers(answers_of(request).shop, body.text, visible=visible_of(request))


@router.get("/{customer_id}/contacts")
@needs(Action.READ, Area.CUSTOMERS)
def contacts(request: Request, customer_id: str) -> CustomerContacts:
    """Name, addresses, numbers and the shop's own ids of a customer, masked."""
    masked = masked_contacts(answers_of(request).shop, [customer_id]).get(customer_id)
    if masked is None:
        raise unknown_customer(customer_id)
    return masked


@router.post("/{customer_id}/reveal")
@needs(Action.REVEAL, Area.CUSTOMERS)
def reveal(request: Request, response: Response, customer_id: str, body: RevealBody) -> CustomerContacts:
    """The same in clear; the audit log records who sees it, and why."""
    response.headers["Cache-Control"] = "no-store"
    reason = RevealReason(body.reason, body.note)
    shop = answers_of(request).shop
    return reveal_contacts(shop, customer_id, actor=actor_of(request), reason=reason, now=datetime.now(UTC))
