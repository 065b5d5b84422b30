"""Who has an id of the shop's, an e-mail address or a telephone number."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from patron.interfaces.http.access.access_control import GuardedRoute, needs
from patron.interfaces.http.access.customer_scope import visible_of
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import Action, Area
from patron.service.customer_lookup import CustomerLookup, lookup_customer

router = APIRouter(tags=["last run"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)])


class LookUp(BaseModel):
    """The shop's own customer id, an e-mail address or a telephone number: in a body only, never in an address."""

    shop_id: str = Field(min_length=1, max_length=200)


@router.post("/api/customers/lookup")
@needs(Action.READ, Area.CUSTOMERS)
def lookup(request: Request, body: LookUp) -> CustomerLookup:
    """Opaque id and live profile of the customer with one of the shop's own ids, an e-mail address or phone number."""
    return lookup_customer(answers_of(request).shop, body.shop_id, now=datetime.now(UTC), visible=visible_of(request))
