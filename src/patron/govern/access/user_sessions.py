"""Sessions of people who signed in: one row each, which an administrator or its owner can end at once.

The cookie is 32 random bytes, so that its plain SHA-256 is enough to know it again.
"""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from patron.schema.access.access_rights import Actor, Grant, Role, rights_of_user
from patron.schema.errors import WorkspaceBusy
from patron.storage.access.access_tables import SESSIONS, TEAMS, USERS
from patron.storage.shop import Shop

SECRET_BYTES = 32
ID_BYTES = 6
MAX_TEXT_LENGTH = 200
USED_EVERY = timedelta(minutes=1)
"""How exactly the time of the last request is written."""
ACTIVE = "active"
"""State of a user who may sign in."""


@dataclass(frozen=True)
class Browser:
    """Where somebody signs in."""

    address: str
    name: str
    """As it names itself."""


@dataclass(frozen=True)
class Session:
    """One browser in which a person signed in."""

    session_id: str
    actor: Actor
    created_at: datetime
    used_at: datetime
    confirmed_at: datetime
    """When password or second factor were last entered."""
    has_second_factor: bool
    """Whether the user entered one in this session."""
    locale: str
    """Language that the user chose; empty is the shop's."""


def create_session(
    connection: sa.Connection, user_id: str, browser: Browser, *, has_second_factor: bool, at: datetime
) -> str:
    """Begin a session of a user, who has proved to be it; return the secret of its cookie."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    connection.execute(
        sa.insert(SESSIONS).values(
            session_hash=session_hash(secret),
            session_id=secrets.token_hex(ID_BYTES),
            user_id=user_id,
            created_at=at,
            used_at=at,
            confirmed_at=at,
            has_second_factor=has_second_factor,
            address=browser.address[:MAX_TEXT_LENGTH],
            browser=browser.name[:MAX_TEXT_LENGTH],
        )
    )
    return secret


def find_session(shop: Shop, secret: str, *, now: datetime) -> Session | None:
    """The session of a cookie, unless it is unknown, ended, too old, idle for too long, or its user is disabled."""
    access = shop.settings.access
    chosen = (
        sa.select(SESSIONS, USERS, TEAMS.c.segment)
        .join(USERS, USERS.c.user_id == SESSIONS.c.user_id)
        .outerjoin(TEAMS, TEAMS.c.team == USERS.c.team)
        .where(
            SESSIONS.c.session_hash == session_hash(secret),
            SESSIONS.c.ended_at.is_(None),
            SESSIONS.c.used_at > now - timedelta(hours=access.idle_hours),
            SESSIONS.c.created_at > now - timedelta(days=access.session_days),
            USERS.c.state == ACTIVE,
        )
    )
    chosen = chosen.with_only_columns(
        SESSIONS.c.session_id, SESSIONS.c.created_at, SESSIONS.c.used_at, SESSIONS.c.confirmed_at,
        SESSIONS.c.has_second_factor, USERS.c.user_id, USERS.c.email, USERS.c.name, USERS.c.roles, USERS.c.grants,
        USERS.c.locale, USERS.c.team, TEAMS.c.segment, maintain_column_froms=True,
    )  # fmt: skip
    with shop.store.begin() as connection:
        row = connection.execute(chosen).mappings().first()
        if row is None or _lost_team(row):
            return None
    if now - row["used_at"].replace(tzinfo=now.tzinfo) >= USED_EVERY:
        _record_use(shop, row["session_id"], now)
    actor = _actor_of(row)
    return Session(
        row["session_id"],
        actor,
        created_at=row["created_at"],
        used_at=row["used_at"],
        confirmed_at=row["confirmed_at"],
        has_second_factor=row["has_second_factor"],
        locale=row["locale"],
    )


def _record_use(shop: Shop, session_id: str, now: datetime) -> None:
    """Record that a session was used; while others write, a later request does."""
    used = sa.update(SESSIONS).where(SESSIONS.c.session_id == session_id)
    with suppress(WorkspaceBusy), shop.store.begin_without_waiting() as connection:
        connection.execute(used.values(used_at=now))


def actor_of_user(connection: sa.Connection, user_id: str) -> Actor | None:
    """What a user may do by now, without a session; None for one who may not sign in, or whose team is gone."""
    chosen = sa.select(USERS, TEAMS.c.segment).outerjoin(TEAMS, TEAMS.c.team == USERS.c.team)
    row = connection.execute(chosen.where(USERS.c.user_id == user_id, USERS.c.state == ACTIVE)).mappings().first()
    return None if row is None or _lost_team(row) else _actor_of(row)


def _lost_team(row: sa.RowMapping) -> bool:
    """Whether the team is gone, which then would restrict nobody."""
    return bool(row["team"]) and row["segment"] is None


def _actor_of(row: sa.RowMapping) -> Actor:
    rights = rights_of_user([Role(role) for role in row["roles"]], [Grant(grant) for grant in row["grants"]])
    return Actor(
        user_name(row["name"], row["user_id"]),
        rights,
        user_id=row["user_id"],
        email=row["email"],
        segment=row["segment"] or "",
    )


def end_sessions(connection: sa.Connection, user_id: str, *, at: datetime, session_id: str = "", but: str = "") -> int:
    """End one session of a user, or all of them, or all but one; returns how many."""
    chosen = sa.update(SESSIONS).where(SESSIONS.c.user_id == user_id, SESSIONS.c.ended_at.is_(None))
    if session_id:
        chosen = chosen.where(SESSIONS.c.session_id == session_id)
    if but:
        chosen = chosen.where(SESSIONS.c.session_id != but)
    return connection.execute(chosen.values(ended_at=at)).rowcount


def user_name(name: str, user_id: str) -> str:
    """A person as steps and the audit log write it: Ada Lee (user 0a1b2c3d4e5f)."""
    return f"{name} (user {user_id})"


def session_hash(secret: str) -> str:
    """The hash under which a session is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_token(secret: str) -> str:
    """What forms of a session hold: nobody can compute it who does not have the cookie."""
    return hashlib.sha256(f"csrf {secret}".encode()).hexdigest()
