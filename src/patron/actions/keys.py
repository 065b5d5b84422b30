"""Keys of programs: made, listed and revoked."""

from dataclasses import dataclass
from datetime import UTC, datetime

from patron.actions.collector import remember
from patron.base.errors import BadKey
from patron.base.shop import Shop
from patron.govern import access


@dataclass(frozen=True)
class NewKey:
    """A key that was just made; the key itself is shown this once."""

    key: str
    key_id: str
    source: str
    kind: str


def create_key(shop: Shop, source: str, kind: str = "write") -> NewKey:
    """Make a key of a source. Raises SettingsError for an unknown kind or a source without a name."""
    told, key = access.create_key(shop, source, kind, at=datetime.now(UTC))
    remember(shop, key.source)
    return NewKey(told, key.key_id, key.source, key.kind)


def list_keys(shop: Shop) -> list[access.Key]:
    """All keys, oldest first, without the secrets."""
    return access.list_keys(shop)


def revoke_key(shop: Shop, key_id: str) -> None:
    """Refuse a key from now on. Raises NotFound."""
    access.revoke_key(shop, key_id, at=datetime.now(UTC))


def require_key(shop: Shop, told: str, kind: access.Kind) -> None:
    """Let keys of one kind pass. Raises BadKey: 401 for one that is unknown or revoked, 403 for one of another kind."""
    found = access.find_key(shop, told) if told else None
    todo = f"Make one: patron keys create --source SOURCE --kind {kind}."
    if found is None:
        raise BadKey(401, "the key is missing, unknown or revoked", todo=todo)
    if found.kind != kind:
        raise BadKey(403, f"this needs a {kind} key, and a {found.kind} key came", todo=todo)
