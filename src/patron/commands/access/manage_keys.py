"""Keys of programs: created, listed, rotated and revoked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from patron.collect.inbox.workspace_inbox import remember_source
from patron.govern.access import api_keys
from patron.govern.access.api_keys import DEFAULT_DAYS, MAX_DAYS, MAX_OVERLAP, MAX_SOURCE_LENGTH, Key, KeyTerms
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import KEY_RIGHTS, Action, Actor, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import BadKeyTerms
from patron.schema.sentences import Sentence
from patron.storage.segments.segment_definitions import definition
from patron.storage.shop import Shop

RIGHTS_NOT_YOURS = Sentence("rights_not_yours", "you do not have {names} yourself")
TEAM_OF_OTHER_SEGMENT = Sentence("team_of_other_segment", "your team sees the customers of another segment")
LEAVE_RIGHT_OUT = Sentence("leave_right_out", "Leave it out, or ask somebody who has it to make the key.")
LEAVE_SEGMENT_OUT = Sentence("leave_segment_out", "Leave it out: the key sees what you see.")

__all__ = ["DEFAULT_DAYS", "MAX_DAYS", "MAX_OVERLAP", "MAX_SOURCE_LENGTH", "Key", "KeyTerms"]


ADMINISTER = Right(Action.ADMINISTER, Area.ACCESS)
KeyKind = Literal["write", "read", "secret"]
KeyId = Annotated[str, Field(max_length=40, description="Id of the key, as the list has it.")]
Source = Annotated[
    str, Field(min_length=1, max_length=MAX_SOURCE_LENGTH, description="Source of the events sent with it.")
]
Scopes = Annotated[
    Sequence[str] | None,
    Field(
        max_length=max(len(rights) for rights in KEY_RIGHTS.values()),
        description="Rights, such as read:segments (default: all of the kind).",
    ),
]
Days = Annotated[
    int | None,
    Field(ge=1, le=MAX_DAYS, description="Lifetime (default: 365 days; without end for write keys)."),
]
SegmentName = Annotated[
    str, Field(max_length=100, description="Segment outside which it sees no customer (default: its maker's).")
]
OverlapHours = Annotated[float, Field(ge=0, le=168)]


@dataclass(frozen=True)
class NewKey:
    """A new key; the key itself is shown this once."""

    key: str
    key_id: str
    source: str
    kind: str
    scopes: tuple[str, ...] | None
    """Rights, as `action:area`; None is all that keys of its kind may do."""
    expires_at: datetime | None


@operation(ADMINISTER, "POST /api/keys", audit=AuditAction.KEY_CREATED, needs_password=True)
def create_key(
    context: RequestContext,
    source: Source,
    kind: KeyKind = "write",
    *,
    scopes: Scopes = None,
    days: Days = None,
    segment: SegmentName = "",
) -> NewKey:
    """Create a key; this answer alone holds it.

    A user who makes one that is not public owns it. Scopes beyond the maker's rights are refused, and written to the
    audit log. Raises BadKeyTerms, NotFound.
    """
    if segment:
        definition(context.shop.store, segment)
    is_owned = bool(context.actor.user_id) and kind != "write"
    terms = KeyTerms(
        kind,
        None if scopes is None else tuple(scopes),
        days,
        user_id=context.actor.user_id if is_owned else "",
        segment=segment,
    )
    if is_owned:
        _require_rights(context, terms)
    secret, key = api_keys.create_key(context.shop, source, terms, at=context.now, by=context.by)
    remember_source(context.shop, key.source)
    return _new_key(secret, key)


def grantable_rights(maker: Actor, kind: str) -> frozenset[Right]:
    """Rights that a key of a kind may have when somebody makes it."""
    if not maker.user_id or kind == "write":
        return KEY_RIGHTS[kind]
    owner = api_keys.Owner(maker.name, maker.rights, maker.segment)
    return KEY_RIGHTS[kind] & api_keys.grantable(owner, is_restricted=bool(maker.segment))


def _require_rights(context: RequestContext, terms: KeyTerms) -> None:
    """Refuse a key that may more than its maker, or sees other customers. Raises BadKeyTerms."""
    maker = context.actor
    beyond = sorted(set(terms.scopes or ()) - {str(right) for right in grantable_rights(maker, terms.kind)})
    if beyond:
        with context.shop.store.begin() as connection:
            context.record(connection, AuditAction.KEY_REFUSED, {"kind": terms.kind, "scopes": beyond})
        what = RIGHTS_NOT_YOURS(names=", ".join(beyond))
        raise BadKeyTerms(what, where="--scope", todo=LEAVE_RIGHT_OUT)
    if maker.segment and terms.segment not in {"", maker.segment}:
        what = TEAM_OF_OTHER_SEGMENT
        raise BadKeyTerms(what, where="--segment", todo=LEAVE_SEGMENT_OUT)


@operation(Right(Action.READ, Area.ACCESS), "GET /api/keys")
def list_keys(shop: Shop) -> list[Key]:
    """Every key, oldest first, without the secrets."""
    return api_keys.list_keys(shop)


@operation(ADMINISTER, "POST /api/keys/{key_id}/rotate", audit=AuditAction.KEY_ROTATED, needs_password=True)
def rotate_key(context: RequestContext, key_id: KeyId, *, overlap_hours: OverlapHours = 24) -> NewKey:
    """Create a key like this one, which then expires; this answer alone holds the new one.

    One that is not public is then its maker's. Raises NotFound, BadKeyTerms.
    """
    options: dict[str, Any] = {"overlap": timedelta(hours=overlap_hours), "user_id": context.actor.user_id}
    return _new_key(*api_keys.rotate_key(context.shop, key_id, **options, at=context.now, by=context.by))


@operation(ADMINISTER, "POST /api/keys/{key_id}/revoke", audit=AuditAction.KEY_REVOKED, needs_password=True)
def revoke_key(context: RequestContext, key_id: KeyId) -> None:
    """Refuse a key from now on."""
    api_keys.revoke_key(context.shop, key_id, at=context.now, by=context.by)


def _new_key(secret: str, key: Key) -> NewKey:
    return NewKey(secret, key.key_id, source=key.source, kind=key.kind, scopes=key.scopes, expires_at=key.expires_at)
