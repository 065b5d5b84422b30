"""Links by which somebody sets up the first account, accepts an invitation or sets a password: each works once.

A link holds 32 random bytes, so that its plain SHA-256 is enough to know it again; it is shown once and not kept.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from patron.schema.errors import AccessProblem
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import USER_LINKS

LINK_USED = Sentence("link_used", "the link was used, or is too old")
REQUEST_ANOTHER = Sentence("request_another", "Request another.")

SECRET_BYTES = 32


class LinkKind(StrEnum):
    """What a link is for."""

    SETUP = "setup"
    INVITATION = "invitation"
    RESET = "reset"


PATHS = {LinkKind.SETUP: "/set-up/", LinkKind.INVITATION: "/join/", LinkKind.RESET: "/reset/"}
"""How the address of a link begins."""


def create_link(
    connection: sa.Connection, kind: LinkKind, user_id: str, *, by: str, at: datetime, lasts: timedelta
) -> str:
    """Make a link and return its path; earlier ones of the same kind and user end."""
    end_links(connection, user_id, kind)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    row = {
        "link_hash": _hash(secret),
        "kind": kind.value,
        "user_id": user_id,
        "created_at": at,
        "created_by": by,
        "expires_at": at + lasts,
    }
    connection.execute(sa.insert(USER_LINKS).values(row))
    return PATHS[kind] + secret


def end_links(connection: sa.Connection, user_id: str, kind: LinkKind | None = None) -> None:
    """Delete the links of a user that were not used."""
    chosen = sa.delete(USER_LINKS).where(USER_LINKS.c.user_id == user_id, USER_LINKS.c.used_at.is_(None))
    connection.execute(chosen if kind is None else chosen.where(USER_LINKS.c.kind == kind.value))


def find_link(connection: sa.Connection, kind: LinkKind, secret: str, *, now: datetime) -> str:
    """The user of a link that works; empty for the set-up. Raises AccessProblem."""
    user_id = connection.scalar(sa.select(USER_LINKS.c.user_id).where(*_works(kind, secret, now)))
    if user_id is None:
        raise _spent()
    return user_id


def use_link(connection: sa.Connection, kind: LinkKind, secret: str, *, now: datetime) -> str:
    """Use a link up, and return its user. Raises AccessProblem for one that is unknown, used or too old."""
    user_id = find_link(connection, kind, secret, now=now)
    used = sa.update(USER_LINKS).where(*_works(kind, secret, now)).values(used_at=now)
    if not connection.execute(used).rowcount:  # why: somebody else was quicker
        raise _spent()
    return user_id


def _works(kind: LinkKind, secret: str, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    links = USER_LINKS.c
    is_same = links.link_hash == _hash(secret)
    return (is_same, links.kind == kind.value, links.used_at.is_(None), links.expires_at > now)


def _spent() -> AccessProblem:
    return AccessProblem("link_spent", LINK_USED, status=410, todo=REQUEST_ANOTHER)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
