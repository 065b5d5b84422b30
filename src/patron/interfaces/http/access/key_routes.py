"""API keys for administrators: listed, created, rotated and revoked; a secret is shown once."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from patron.commands.access.manage_keys import (
    MAX_DAYS,
    MAX_SOURCE_LENGTH,
    Key,
    NewKey,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from patron.commands.access.user_account import is_confirmed
from patron.interfaces.http.access.access_control import GuardedRoute, context_of, needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.known_parameters import require_known_parameters
from patron.schema.access.access_rights import KEY_RIGHTS, Action, Area
from patron.schema.errors import NotAllowed
from patron.schema.sentences import Sentence

PASSWORD_NOT_LATELY = Sentence("password_not_lately", "the password was not entered recently")
CONFIRM_THEN_REPEAT = Sentence("confirm_then_repeat", "Enter it at /account/confirm, then repeat.")

KeyId = Annotated[str, Path(max_length=40, description="Id of the key, as the list has it.")]
KeyKind = Literal["write", "read", "secret"]
MAX_SCOPES = max(len(rights) for rights in KEY_RIGHTS.values())
MAX_OVERLAP_HOURS = 168


class KeyBody(BaseModel):
    """What a new key is for, may do, and how long it lasts."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(min_length=1, max_length=MAX_SOURCE_LENGTH, description="Source of the events sent with it.")
    kind: KeyKind = "write"
    scopes: list[str] | None = Field(
        default=None, max_length=MAX_SCOPES, description="Rights, such as read:segments (default: all of the kind)."
    )
    days: int | None = Field(
        default=None, ge=1, le=MAX_DAYS, description="Lifetime (default: 365 days; without end for write keys)."
    )
    segment: str = Field(
        default="", max_length=100, description="Segment outside which it sees no customer (default: its maker's)."
    )


class RotationBody(BaseModel):
    """How long the old key still works."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: float = Field(default=24, ge=0, le=MAX_OVERLAP_HOURS)


def _require_confirmed(request: Request) -> None:
    """Refuse a session whose password was not entered lately, as the page of keys does. Raises NotAllowed."""
    session = request.state.session
    if session is not None and not is_confirmed(session, now=datetime.now(UTC)):
        raise NotAllowed(403, PASSWORD_NOT_LATELY, todo=CONFIRM_THEN_REPEAT)


Confirmed = Depends(_require_confirmed)
router = APIRouter(
    prefix="/api/keys", tags=["keys"], route_class=GuardedRoute, dependencies=[Depends(require_known_parameters)]
)


@router.get("")
@needs(Action.READ, Area.ACCESS)
def keys(request: Request) -> list[Key]:
    """Every key, oldest first, without the secrets."""
    return list_keys(answers_of(request).shop)


@router.post("", dependencies=[Confirmed])
@needs(Action.ADMINISTER, Area.ACCESS)
def create(request: Request, body: KeyBody) -> NewKey:
    """Create a key; this answer alone holds it."""
    options: dict[str, Any] = {"scopes": body.scopes, "days": body.days, "segment": body.segment}
    return create_key(context_of(request), body.source, body.kind, **options)


@router.post("/{key_id}/rotate", dependencies=[Confirmed])
@needs(Action.ADMINISTER, Area.ACCESS)
def rotate(request: Request, key_id: KeyId, body: RotationBody) -> NewKey:
    """Create a key like this one, which then expires; this answer alone holds the new one."""
    return rotate_key(context_of(request), key_id, overlap_hours=body.overlap_hours)


@router.post("/{key_id}/revoke", status_code=204, dependencies=[Confirmed])
@needs(Action.ADMINISTER, Area.ACCESS)
def revoke(request: Request, key_id: KeyId) -> None:
    """Refuse a key from now on."""
    revoke_key(context_of(request), key_id)
