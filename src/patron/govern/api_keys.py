"""Keys that programs use: write keys are public and can only send, secret keys send from a server, read keys read.

A key is 32 random bytes, so its plain SHA-256 is enough to know it again; the key itself is shown once and not kept.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa

from patron.govern import audit_log
from patron.schema.access_rights import KEY_RIGHTS, Right
from patron.schema.errors import NotFound, SettingsError
from patron.storage.shop import Shop
from patron.storage.store import API_KEYS

Kind = Literal["write", "secret", "read"]
KEY_PREFIX = "pk"
KEY_BYTES = 24
TIMES = ("created_at", "revoked_at", "expires_at", "used_at")


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


def key_hash(secret: str) -> str:
    """The hash under which a key is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create_key(shop: Shop, source: str, kind: str, *, at: datetime) -> tuple[str, Key]:
    """Make a key of a source; return it and its description. Raises SettingsError for an unknown kind or no source."""
    if kind not in get_args(Kind):
        raise SettingsError(f"{kind!r} is not a kind of key", where="--kind", todo=f"Use {', '.join(get_args(Kind))}.")
    if not source.strip() or not source.isprintable() or len(source) > 60:
        raise SettingsError("needs 1 to 60 printable characters", where="--source", todo="Name it, such as web.")
    secret = f"{KEY_PREFIX}_{kind}_{secrets.token_urlsafe(KEY_BYTES)}"
    key = Key(key_hash(secret)[:12], source.strip(), kind, at)  # pyright: ignore[reportArgumentType] - checked above
    with shop.store.begin() as connection:
        connection.execute(sa.insert(API_KEYS).values(key_hash=key_hash(secret), **vars(key)))
        audit_log.append(
            shop, connection, "key created", {"key_id": key.key_id, "source": key.source, "kind": kind}, at=at
        )
    return secret, key


def find_key(shop: Shop, secret: str, *, now: datetime) -> Key | None:
    """The key of a secret, unless it is unknown, revoked or expired."""
    with shop.store.begin() as connection:
        row = connection.execute(_SHOWN.where(API_KEYS.c.key_hash == key_hash(secret))).mappings().first()
    key = _key_of(row) if row else None
    is_valid = key and key.revoked_at is None and (key.expires_at is None or now < key.expires_at)
    return key if is_valid else None


def key_rights(key: Key) -> frozenset[Right]:
    """What a key may do: all of its kind, or its scopes among that."""
    rights = KEY_RIGHTS[key.kind]
    return rights if key.scopes is None else rights & {Right.parse(one) for one in key.scopes}


def keys_by_hash(shop: Shop) -> dict[str, Key]:
    """Every key that is not revoked, by `key_hash` of its secret."""
    chosen = _SHOWN.add_columns(API_KEYS.c.key_hash).where(API_KEYS.c.revoked_at.is_(None))
    with shop.store.begin() as connection:
        rows = [dict(row) for row in connection.execute(chosen).mappings()]
    return {row.pop("key_hash"): _key_of(row) for row in rows}


def list_keys(shop: Shop) -> list[Key]:
    """All keys, oldest first."""
    with shop.store.begin() as connection:
        rows = connection.execute(_SHOWN.order_by(API_KEYS.c.created_at, API_KEYS.c.key_id)).mappings().all()
    return [_key_of(row) for row in rows]


def revoke_key(shop: Shop, key_id: str, *, at: datetime) -> None:
    """Refuse a key from now on. Raises NotFound."""
    chosen = sa.update(API_KEYS).where(API_KEYS.c.key_id == key_id, API_KEYS.c.revoked_at.is_(None))
    with shop.store.begin() as connection:
        if not connection.execute(chosen.values(revoked_at=at)).rowcount:
            raise NotFound("no such key in use", where=key_id, todo="List them with `patron keys list`.")
        audit_log.append(shop, connection, "key revoked", {"key_id": key_id}, at=at)


def _key_of(row: Mapping[Any, Any]) -> Key:
    """A row as a key; a list of scopes that JSON has becomes a tuple."""
    times = {name: row[name] and row[name].replace(tzinfo=UTC) for name in TIMES}
    return Key(**{**row, **times, "scopes": None if row["scopes"] is None else tuple(row["scopes"])})


_SHOWN = sa.select(*(API_KEYS.c[one.name] for one in fields(Key)))
