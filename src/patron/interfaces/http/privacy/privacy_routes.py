"""Export and erasure of one person, which a shop's server requests with a secret key."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from patron.commands.customers.resolve_person import PersonIdentifier
from patron.commands.privacy.export import export_customer
from patron.commands.privacy.forget import ErasureCertificate, forget
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, needs
from patron.interfaces.http.access.customer_scope import require_visible_person
from patron.schema.access.access_rights import Action, Area

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None


class Person(BaseModel):
    """A person, identified in exactly one way; in a body only, never in an address."""

    model_config = ConfigDict(extra="forbid")

    user_id: Name = None
    email: Name = None
    phone: Name = None
    anonymous_id: Name = None
    customer_id: Name = None

    @model_validator(mode="after")
    def _in_one_way(self) -> Self:
        if len(self.identifier) != 1:
            raise ValueError(f"identify the person by exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def identifier(self) -> dict[str, str]:
        """The one identifier."""
        return {key: value for key, value in vars(self).items() if value is not None}


router = APIRouter(prefix="/api/people", tags=["one person"], route_class=GuardedRoute)


@router.post("/forget")
@needs(Action.ACT, Area.PRIVACY)
def forget_person(request: Request, person: Person) -> ErasureCertificate:
    """Erase a person permanently, and accept nothing about them any more; the certificate is in the audit log too."""
    require_visible_person(request, PersonIdentifier(**person.identifier))
    return forget(context_of(request), **person.identifier)


@router.post("/export")
@needs(Action.EXPORT, Area.PRIVACY)
def export_person(request: Request, person: Person) -> dict[str, Any]:
    """Everything that is known of a person, with identifiers and texts in clear."""
    require_visible_person(request, PersonIdentifier(**person.identifier))
    return export_customer(context_of(request), **person.identifier)
