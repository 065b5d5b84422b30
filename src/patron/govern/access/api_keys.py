"""Keys that programs use: write keys are public and can only send, secret keys send from a server, read keys read.

A key is 32 random bytes, so its plain SHA-256 is enough to know it again; the key itself is shown once and not kept.
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import sqlalchemy as sa

from patron.govern.access import audit_log
from patron.govern.access.user_sessions import ACTIVE, user_name
from patron.schema.access.access_rights import KEY_RIGHTS, Grant, Right, Role, rights_of_user
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NEEDS_NAME, USE_24_HOURS, USE_NAMES
from patron.schema.errors import BadKeyTerms, NotFound
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import API_KEYS, TEAMS, USERS
from patron.storage.shop import Shop

BOTH_KEYS_HOURS = Sentence("both_keys_hours", "both keys can work for 0 to {hours} hours")
NOT_KEY_KIND = Sentence("not_key_kind", "{name!r} is not a kind of key")
KEY_DAYS = Sentence("key_days", "a key lasts 1 to {count} days")
KEY_CANNOT_HAVE = Sentence("key_cannot_have", "a {kind} key cannot have {names}")
KEY_NEEDS_SCOPE = Sentence("key_needs_scope", "a key needs a scope")
SUCH_AS_WEB = Sentence("such_as_web", "Such as web.")
NO_KEY_IN_USE = Sentence("no_key_in_use", "no key with this id is in use")
ROTATE_KEY = Sentence("rotate_key", "Rotate the key when it ends.")

Kind = Literal["write", "secret", "read"]
KEY_PREFIX = "pk"
KEY_BYTES = 24
TIMES = ("created_at", "revoked_at", "expires_at", "used_at")
DEFAULT_DAYS, MAX_DAYS = 365, 730
"""Lifetime of a key, days."""
MAX_SOURCE_LENGTH = 60
MAX_OVERLAP = timedelta(days=7)
"""Longest time for which a rotated key still works."""
USED_EVERY = timedelta(hours=1)
"""How exactly the time of the last request is written."""
LIST_KEYS = Sentence("list_keys", "List them with `patron keys list`.")


@dataclass(frozen=True)
class KeyTerms:
    """What a new key may do, and for how long."""

    kind: str = "write"
    scopes: tuple[str, ...] | None = None
    """Rights, as `action:area`; None is all that keys of its kind may do."""
    days: int | None = None
    """Lifetime; None is DEFAULT_DAYS, and without end for write keys, which stand in public pages."""
    user_id: str = ""
    """Whose key it is: it may never do more than they, and stops with them; empty for the shop's own."""
    segment: str = ""
    """Segment outside which it sees no customer; empty is every customer."""

    def __post_init__(self) -> None:
        """Check them. Raises BadKeyTerms."""
        kinds = get_args(Kind)
        if self.kind not in kinds:
            raise BadKeyTerms(NOT_KEY_KIND(name=self.kind), where="--kind", todo=USE_NAMES(names=", ".join(kinds)))
        if self.days is not None and not 1 <= self.days <= MAX_DAYS:
            raise BadKeyTerms(KEY_DAYS(count=MAX_DAYS), where="--expires-days", todo=ROTATE_KEY)
        allowed = {str(right) for right in KEY_RIGHTS[self.kind]}
        beyond = sorted(set(self.scopes or ()) - allowed)
        if beyond or self.scopes == ():
            what = KEY_CANNOT_HAVE(kind=self.kind, names=", ".join(beyond)) if beyond else KEY_NEEDS_SCOPE
            raise BadKeyTerms(what, where="--scope", todo=USE_NAMES(names=", ".join(sorted(allowed))))

    def expires_at(self, at: datetime) -> datetime | None:
        """When a key made at this time ends."""
        days = self.days or (None if self.kind == "write" else DEFAULT_DAYS)
        return at + timedelta(days=days) if days else None


@dataclass(frozen=True)
class Owner:
    """The person whose key it is, as of now."""

    name: str
    """As steps and the audit log write it."""
    rights: frozenset[Right]
    segment: str
    """Segment outside which they see no customer; empty is every customer."""


@dataclass(frozen=True)
class Key:
    """One key, without the secret itself."""

    key_id: str
    source: str
    kind: Kind
    created_at: datetime
    revoked_at: datetime | None = None
    scopes: tuple[str, ...] | None = None
    """Rights, as `action:area`; None is all that keys of its kind may do."""
    expires_at: datetime | None = None
    """None for keys of before they had to expire."""
    used_at: datetime | None = None
    """Last request, to the hour."""
    created_by: str = ""
    user_id: str = ""
    """Whose key it is; empty for the shop's own."""
    segment: str = ""
    """Segment outside which it sees no customer; empty is every customer."""

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def is_use_due(self, now: datetime) -> bool:
        """Whether the time of its last use is to be written."""
        return self.used_at is None or now - self.used_at >= USED_EVERY

    def may(self, right: Right) -> bool:
        """Whether it has a right."""
        return right in KEY_RIGHTS[self.kind] and (self.scopes is None or str(right) in self.scopes)


def key_hash(secret: str) -> str:
    """The hash under which a key is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create_key(shop: Shop, source: str, terms: KeyTerms, *, at: datetime, by: str = "") -> tuple[str, Key]:
    """Make a key of a source; return it and its description. Raises BadKeyTerms for a source without a name."""
    if not source.strip() or not source.isprintable() or len(source) > MAX_SOURCE_LENGTH:
        raise BadKeyTerms(NEEDS_NAME(count=MAX_SOURCE_LENGTH), where="--source", todo=SUCH_AS_WEB)
    with shop.store.begin() as connection:
        secret, key = _add_key(connection, source.strip(), terms, expires_at=terms.expires_at(at), at=at, by=by)
        audit_log.append(shop, connection, AuditAction.KEY_CREATED, _details(key, by), at=at)
    return secret, key


def rotate_key(
    shop: Shop, key_id: str, *, overlap: timedelta, user_id: str = "", at: datetime, by: str = ""
) -> tuple[str, Key]:
    """Make a key like this one, which ends after the overlap; return the new one. Raises NotFound, BadKeyTerms.

    A key that is not public becomes that of `user_id`, who gets its secret.
    """
    if not timedelta() <= overlap <= MAX_OVERLAP:
        hours = int(MAX_OVERLAP / timedelta(hours=1))
        raise BadKeyTerms(BOTH_KEYS_HOURS(hours=hours), where="--overlap-hours", todo=USE_24_HOURS)
    with shop.store.begin() as connection:
        row = connection.execute(_SHOWN.where(API_KEYS.c.key_id == key_id)).mappings().first()
        old = _key_of(row) if row else None
        if old is None or not old.is_valid(at):
            raise NotFound(NO_KEY_IN_USE, where=key_id, todo=LIST_KEYS)
        owner = user_id if user_id and old.kind != "write" else old.user_id
        terms = KeyTerms(old.kind, old.scopes, user_id=owner, segment=old.segment)
        lifetime = old.expires_at - old.created_at if old.expires_at else None
        expires_at = at + lifetime if lifetime else terms.expires_at(at)
        secret, key = _add_key(connection, old.source, terms, expires_at=expires_at, at=at, by=by)
        ends_at = min(at + overlap, old.expires_at or at + overlap)
        connection.execute(sa.update(API_KEYS).where(API_KEYS.c.key_id == key_id).values(expires_at=ends_at))
        details = {**_details(key, by), "instead_of": key_id, "until": ends_at.isoformat()}
        audit_log.append(shop, connection, AuditAction.KEY_ROTATED, details, at=at)
    return secret, key


def _add_key(
    connection: sa.Connection, source: str, terms: KeyTerms, *, expires_at: datetime | None, at: datetime, by: str
) -> tuple[str, Key]:
    secret = f"{KEY_PREFIX}_{terms.kind}_{secrets.token_urlsafe(KEY_BYTES)}"
    scopes = None if terms.scopes is None else tuple(sorted(set(terms.scopes)))
    kind: Any = terms.kind
    options: dict[str, Any] = {"scopes": scopes, "expires_at": expires_at, "created_by": by}
    options |= {"user_id": terms.user_id, "segment": terms.segment}
    key = Key(key_hash(secret)[:12], source, kind, at, **options)
    connection.execute(
        sa.insert(API_KEYS).values(key_hash=key_hash(secret), **{f.name: getattr(key, f.name) for f in fields(Key)})
    )
    return secret, key


def _details(key: Key, by: str) -> dict[str, object]:
    details: dict[str, object] = {"key_id": key.key_id, "source": key.source, "kind": key.kind}
    details |= {"scopes": list(key.scopes)} if key.scopes is not None else {}
    details |= {"user_id": key.user_id} if key.user_id else {}
    details |= {"segment": key.segment} if key.segment else {}
    details |= {"expires_at": key.expires_at.isoformat()} if key.expires_at else {}
    return details | ({"by": by} if by else {})


def find_key(shop: Shop, secret: str, *, now: datetime) -> tuple[Key, Owner | None] | None:
    """The key of a secret and whose it is, unless it is unknown, revoked, expired, or its owner may not sign in.

    That it was used is written.
    """
    with shop.store.begin() as connection:
        row = connection.execute(_SHOWN.where(API_KEYS.c.key_hash == key_hash(secret))).mappings().first()
        key = _key_of(row) if row else None
        if key is None or not key.is_valid(now):
            return None
        owner = _owner(connection, key.user_id) if key.user_id else None
        if key.user_id and owner is None:
            return None
        if key.is_use_due(now):
            _mark_used(connection, [key.key_id], now)
    return key, owner


def _owner(connection: sa.Connection, user_id: str) -> Owner | None:
    """Whose key it is, where they may sign in."""
    chosen = sa.select(USERS, TEAMS.c.segment).outerjoin(TEAMS, TEAMS.c.team == USERS.c.team)
    chosen = chosen.where(USERS.c.user_id == user_id, USERS.c.state == ACTIVE)
    row = connection.execute(chosen).mappings().first()
    if row is None or (row["team"] and row["segment"] is None):  # why: a team that is gone restricts nobody
        return None
    rights = rights_of_user([Role(role) for role in row["roles"]], [Grant(grant) for grant in row["grants"]])
    return Owner(user_name(row["name"], user_id), rights, row["segment"] or "")


def mark_used(shop: Shop, key_ids: Collection[str], *, at: datetime) -> None:
    """Write that keys were used."""
    with shop.store.begin() as connection:
        _mark_used(connection, key_ids, at)


def _mark_used(connection: sa.Connection, key_ids: Collection[str], at: datetime) -> None:
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    connection.execute(sa.update(API_KEYS).where(API_KEYS.c.key_id.in_(key_ids)).values(used_at=hour))


def key_rights(key: Key, owner: Owner | None = None) -> frozenset[Right]:
    """What a key may do: all of its kind, or its scopes among that; never more than its owner.

    What only programs do, which no role has, is not bounded by the owner; but a key that sees some customers only
    serves no storefront, which is for all of them.
    """
    rights = frozenset(right for right in KEY_RIGHTS[key.kind] if key.may(right))
    is_restricted = bool(key.segment or (owner and owner.segment))
    return rights if owner is None and not is_restricted else rights & grantable(owner, is_restricted=is_restricted)


def grantable(owner: Owner | None, *, is_restricted: bool = False) -> frozenset[Right]:
    """What a key of somebody may do at most."""
    of_programs = frozenset() if is_restricted else KEY_RIGHTS["write"]
    everything = frozenset[Right]().union(*KEY_RIGHTS.values()) - KEY_RIGHTS["write"]
    return of_programs | (everything if owner is None else owner.rights)


def keys_by_hash(shop: Shop) -> dict[str, Key]:
    """Every key that is neither revoked nor of somebody who may not sign in, by `key_hash` of its secret."""
    active = sa.select(USERS.c.user_id).where(USERS.c.state == ACTIVE)
    chosen = _SHOWN.add_columns(API_KEYS.c.key_hash).where(API_KEYS.c.revoked_at.is_(None))
    chosen = chosen.where(sa.or_(API_KEYS.c.user_id == "", API_KEYS.c.user_id.in_(active)))
    with shop.store.begin() as connection:
        rows = [dict(row) for row in connection.execute(chosen).mappings()]
    return {row.pop("key_hash"): _key_of(row) for row in rows}


def list_keys(shop: Shop) -> list[Key]:
    """All keys, oldest first."""
    with shop.store.begin() as connection:
        rows = connection.execute(_SHOWN.order_by(API_KEYS.c.created_at, API_KEYS.c.key_id)).mappings().all()
    return [_key_of(row) for row in rows]


def revoke_key(shop: Shop, key_id: str, *, at: datetime, by: str = "") -> None:
    """Refuse a key from now on. Raises NotFound."""
    chosen = sa.update(API_KEYS).where(API_KEYS.c.key_id == key_id, API_KEYS.c.revoked_at.is_(None))
    with shop.store.begin() as connection:
        if not connection.execute(chosen.values(revoked_at=at)).rowcount:
            raise NotFound(NO_KEY_IN_USE, where=key_id, todo=LIST_KEYS)
        audit_log.append(
            shop, connection, AuditAction.KEY_REVOKED, {"key_id": key_id} | ({"by": by} if by else {}), at=at
        )


def _key_of(row: Mapping[Any, Any]) -> Key:
    """A row as a key; a list of scopes that JSON has becomes a tuple."""
    times = {name: row[name] and row[name].replace(tzinfo=UTC) for name in TIMES}
    return Key(**{**row, **times, "scopes": None if row["scopes"] is None else tuple(row["scopes"])})


_SHOWN = sa.select(*(API_KEYS.c[field_.name] for field_ in fields(Key)))
