"""Keys of programs: created, listed, rotated and revoked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from patron.collect.workspace_inbox import remember_source
from patron.govern import api_keys
from patron.govern.api_keys import DEFAULT_DAYS, LONGEST_SOURCE, MAX_DAYS, MAX_OVERLAP, Key, KeyTerms
from patron.storage.shop import Shop

__all__ = ["DEFAULT_DAYS", "LONGEST_SOURCE", "MAX_DAYS", "MAX_OVERLAP", "Key", "KeyTerms"]


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


def create_key(  # noqa: PLR0913 - what a key is
    shop: Shop,
    source: str,
    kind: str = "write",
    *,
    scopes: Iterable[str] | None = None,
    days: int | None = None,
    by: str = "",
    now: datetime,
) -> NewKey:
    """Create a key of a source. Raises BadKeyTerms."""
    terms = KeyTerms(kind, None if scopes is None else tuple(scopes), days)
    secret, key = api_keys.create_key(shop, source, terms, at=now, by=by)
    remember_source(shop, key.source)
    return _new_key(secret, key)


def list_keys(shop: Shop) -> list[Key]:
    """All keys, oldest first, without the secrets."""
    return api_keys.list_keys(shop)


def rotate_key(shop: Shop, key_id: str, *, overlap_hours: float = 24, by: str = "", now: datetime) -> NewKey:
    """Create a key like this one, which ends after the overlap. Raises NotFound, BadKeyTerms."""
    return _new_key(*api_keys.rotate_key(shop, key_id, overlap=timedelta(hours=overlap_hours), at=now, by=by))


def revoke_key(shop: Shop, key_id: str, *, by: str = "", now: datetime) -> None:
    """Refuse a key from now on. Raises NotFound."""
    api_keys.revoke_key(shop, key_id, at=now, by=by)


def _new_key(secret: str, key: Key) -> NewKey:
    return NewKey(secret, key.key_id, key.source, key.kind, key.scopes, key.expires_at)
