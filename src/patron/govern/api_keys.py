"""Keys that programs use: write keys are public and can only send, secret keys send from a server, read keys read.

A key is 32 random bytes, so its plain SHA-256 is enough to know it again; the key itself is shown once and not kept.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import sqlalchemy as sa

from patron.govern import audit_log
from patron.schema.errors import NotFound, SettingsError
from patron.storage.shop import Shop
from patron.storage.store import API_KEYS

Kind = Literal["write", "secret", "read"]
KEY_PREFIX = "pk"
KEY_BYTES = 24


@dataclass(frozen=True)
class Key:
    """One key, without the secret itself."""

    key_id: str
    source: str
    kind: Kind
    created_at: datetime
    revoked_at: datetime | None = None


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


def find_key(shop: Shop, secret: str) -> Key | None:
    """The key of a secret, unless it is unknown or revoked."""
    with shop.store.begin() as connection:
        row = connection.execute(_SHOWN.where(API_KEYS.c.key_hash == key_hash(secret))).mappings().first()
    return Key(**row) if row and row["revoked_at"] is None else None


def keys_by_hash(shop: Shop) -> dict[str, Key]:
    """Every key that is not revoked, by `key_hash` of its secret."""
    chosen = _SHOWN.add_columns(API_KEYS.c.key_hash).where(API_KEYS.c.revoked_at.is_(None))
    with shop.store.begin() as connection:
        rows = [dict(row) for row in connection.execute(chosen).mappings()]
    return {row.pop("key_hash"): Key(**row) for row in rows}


def list_keys(shop: Shop) -> list[Key]:
    """All keys, oldest first."""
    with shop.store.begin() as connection:
        rows = connection.execute(_SHOWN.order_by(API_KEYS.c.created_at, API_KEYS.c.key_id)).mappings().all()
    return [Key(**row) for row in rows]


def revoke_key(shop: Shop, key_id: str, *, at: datetime) -> None:
    """Refuse a key from now on. Raises NotFound."""
    chosen = sa.update(API_KEYS).where(API_KEYS.c.key_id == key_id, API_KEYS.c.revoked_at.is_(None))
    with shop.store.begin() as connection:
        if not connection.execute(chosen.values(revoked_at=at)).rowcount:
            raise NotFound("no such key in use", where=key_id, todo="List them with `patron keys list`.")
        audit_log.append(shop, connection, "key revoked", {"key_id": key_id}, at=at)


_SHOWN = sa.select(*(API_KEYS.c[name] for name in ("key_id", "source", "kind", "created_at", "revoked_at")))
