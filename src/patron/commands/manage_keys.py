"""Keys of programs: created, listed and revoked."""

from dataclasses import dataclass
from datetime import datetime

from patron.collect.workspace_inbox import remember_source
from patron.govern import api_keys
from patron.storage.shop import Shop


@dataclass(frozen=True)
class NewKey:
    """A new key; the key itself is shown this once."""

    key: str
    key_id: str
    source: str
    kind: str


def create_key(shop: Shop, source: str, kind: str = "write", *, now: datetime) -> NewKey:
    """Create a key of a source. Raises SettingsError for an unknown kind or a source without a name."""
    secret, key = api_keys.create_key(shop, source, kind, at=now)
    remember_source(shop, key.source)
    return NewKey(secret, key.key_id, key.source, key.kind)


def list_keys(shop: Shop) -> list[api_keys.Key]:
    """All keys, oldest first, without the secrets."""
    return api_keys.list_keys(shop)


def revoke_key(shop: Shop, key_id: str, *, now: datetime) -> None:
    """Refuse a key from now on. Raises NotFound."""
    api_keys.revoke_key(shop, key_id, at=now)
