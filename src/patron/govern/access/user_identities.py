"""Other ways than a password by which people are known: their passkeys, and their accounts at an OpenID issuer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from patron.schema.common_sentences import NAME_LENGTH
from patron.schema.errors import AccessProblem
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import IDENTITIES

IDENTITY_TAKEN = Sentence("identity_taken", "this passkey or account belongs to a user already")
REMOVE_THERE = Sentence("remove_there", "Remove it there first.")

PASSKEY = "passkey"
"""Stands where others have the address of their issuer."""
MAX_NAME_LENGTH = 60


@dataclass(frozen=True)
class Identity:
    """A passkey, or an account at an issuer, without its key."""

    issuer: str
    """Address of the issuer, or `passkey`."""
    subject: str
    """Who the issuer says it is, or the passkey's id; the issuer alone knows what it means."""
    user_id: str
    name: str
    """As its owner calls it."""
    created_at: datetime
    used_at: datetime | None
    """Last sign-in by it."""


class PublicKey(NamedTuple):
    """What proves a passkey."""

    key: bytes
    """COSE."""
    sign_count: int
    """Of its last use; 0 for passkeys that do not count."""


def list_identities(connection: sa.Connection, user_id: str) -> tuple[Identity, ...]:
    """Passkeys and accounts of a user, oldest first."""
    chosen = sa.select(IDENTITIES).where(IDENTITIES.c.user_id == user_id)
    rows = connection.execute(chosen.order_by(IDENTITIES.c.created_at, IDENTITIES.c.subject)).mappings()
    return tuple(_identity_of(row) for row in rows)


def find_identity(connection: sa.Connection, issuer: str, subject: str) -> Identity | None:
    """Whose account at an issuer, or passkey, this is."""
    row = connection.execute(sa.select(IDENTITIES).where(*_is(issuer, subject))).mappings().first()
    return _identity_of(row) if row else None


def public_key(connection: sa.Connection, passkey_id: str) -> PublicKey | None:
    """What proves a passkey."""
    chosen = sa.select(IDENTITIES.c.content, IDENTITIES.c.sign_count).where(*_is(PASSKEY, passkey_id))
    row = connection.execute(chosen).first()
    return PublicKey(row.content, row.sign_count) if row else None


def has_identity(connection: sa.Connection, user_id: str, issuer: str) -> bool:
    """Whether a user has an account at an issuer, or a passkey."""
    chosen = sa.select(IDENTITIES.c.subject).where(IDENTITIES.c.user_id == user_id, IDENTITIES.c.issuer == issuer)
    return connection.execute(chosen.limit(1)).first() is not None


def add_identity(
    connection: sa.Connection, identity: Identity, *, proof: PublicKey | None = None, is_used: bool = False
) -> None:
    """Let a user sign in by it. Raises AccessProblem where it is somebody's already."""
    if find_identity(connection, identity.issuer, identity.subject):
        what = IDENTITY_TAKEN
        raise AccessProblem("identity_taken", what, status=409, todo=REMOVE_THERE)
    row = {
        "issuer": identity.issuer,
        "subject": identity.subject,
        "user_id": identity.user_id,
        "name": normal_name(identity.name),
        "created_at": identity.created_at,
        "used_at": identity.created_at if is_used else None,
        "content": proof.key if proof else None,
        "sign_count": proof.sign_count if proof else None,
    }
    connection.execute(sa.insert(IDENTITIES).values(row))


def record_use(
    connection: sa.Connection, issuer: str, subject: str, *, at: datetime, sign_count: int | None = None
) -> bool:
    """Write that somebody signed in by it; false where a passkey has not counted on, as one of two copies does not."""
    used = sa.update(IDENTITIES).where(*_is(issuer, subject))
    if sign_count is not None:
        stored = IDENTITIES.c.sign_count
        used = used.where(stored < sign_count if sign_count else stored == 0).values(sign_count=sign_count)
    return bool(connection.execute(used.values(used_at=at)).rowcount)


def remove_identity(connection: sa.Connection, user_id: str, issuer: str, subject: str) -> bool:
    """Take a passkey or an account of a user away; false where there is no such one."""
    mine = (*_is(issuer, subject), IDENTITIES.c.user_id == user_id)
    return bool(connection.execute(sa.delete(IDENTITIES).where(*mine)).rowcount)


def remove_passkeys(connection: sa.Connection, user_id: str) -> int:
    """Take all passkeys of a user away; returns how many there were."""
    mine = (IDENTITIES.c.user_id == user_id, IDENTITIES.c.issuer == PASSKEY)
    return connection.execute(sa.delete(IDENTITIES).where(*mine)).rowcount


def normal_name(text: str) -> str:
    """A name on one line. Raises AccessProblem for an empty or too long one."""
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise AccessProblem("passkey_name", NAME_LENGTH(count=MAX_NAME_LENGTH))
    return name


def _is(issuer: str, subject: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (IDENTITIES.c.issuer == issuer, IDENTITIES.c.subject == subject)


def _identity_of(row: sa.RowMapping) -> Identity:
    return Identity(
        row["issuer"],
        row["subject"],
        user_id=row["user_id"],
        name=row["name"],
        created_at=row["created_at"].replace(tzinfo=UTC),
        used_at=row["used_at"] and row["used_at"].replace(tzinfo=UTC),
    )
