"""Who works here: users, teams and what each role may do, and one person's sessions; no secret is in any of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from patron.answers.insight.digest import DigestState, digest_state
from patron.govern.access.operations import operation
from patron.govern.access.second_factor import count_recovery_codes
from patron.govern.access.user_identities import PASSKEY, Identity, list_identities
from patron.govern.access.users import User, find_user, list_users
from patron.schema.access.access_rights import TABLE, Action, Area, Right, Role, rights_of_role
from patron.storage.access.access_tables import SESSIONS, TEAMS, USERS
from patron.storage.segments.segment_definitions import definitions
from patron.storage.shop import Shop

__all__ = ["User"]
READ_ACCESS = Right(Action.READ, Area.ACCESS)


@dataclass(frozen=True)
class Team:
    """People who see the customers of a segment only."""

    team: str
    segment: str
    """Empty is every customer."""
    member_count: int
    created_at: datetime
    created_by: str


@dataclass(frozen=True)
class RoleRights:
    """What one role may do, by area."""

    role: Role
    actions: Mapping[Area, tuple[Action, ...]]


@dataclass(frozen=True)
class OpenSession:
    """A browser in which a user is signed in."""

    session_id: str
    address: str
    browser: str
    created_at: datetime
    used_at: datetime
    has_second_factor: bool


@dataclass(frozen=True)
class Account:
    """One person's account."""

    user: User
    recovery_code_count: int
    """Codes that were not used."""
    sessions: tuple[OpenSession, ...]
    passkeys: tuple[Identity, ...]
    accounts: tuple[Identity, ...]
    """At issuers of a single sign-on."""
    digest: DigestState
    """What the person is sent by e-mail after runs."""


@operation(READ_ACCESS, "GET /api/users")
def people(shop: Shop) -> tuple[User, ...]:
    """Everybody who may sign in, is invited or was disabled."""
    with shop.store.begin() as connection:
        return list_users(connection)


@operation(READ_ACCESS, "GET /api/users/{user_id}")
def account(shop: Shop, user_id: str, *, now: datetime) -> Account:
    """One user with open sessions."""
    access = shop.settings.access
    chosen = (
        sa.select(SESSIONS)
        .where(SESSIONS.c.user_id == user_id, SESSIONS.c.ended_at.is_(None))
        .where(SESSIONS.c.used_at > now - timedelta(hours=access.idle_hours))
        .where(SESSIONS.c.created_at > now - timedelta(days=access.session_days))
        .order_by(SESSIONS.c.used_at.desc())
    )
    with shop.store.begin() as connection:
        user = find_user(connection, user_id)
        identities = list_identities(connection, user_id)
        codes = count_recovery_codes(connection, user_id)
        digest = digest_state(connection, user_id)
        rows = connection.execute(chosen).mappings().all()
    sessions = (
        OpenSession(
            row["session_id"],
            row["address"],
            browser=row["browser"],
            created_at=row["created_at"].replace(tzinfo=UTC),
            used_at=row["used_at"].replace(tzinfo=UTC),
            has_second_factor=row["has_second_factor"],
        )
        for row in rows
    )
    passkeys = tuple(identity for identity in identities if identity.issuer == PASSKEY)
    accounts = tuple(identity for identity in identities if identity.issuer != PASSKEY)
    return Account(user, codes, sessions=tuple(sessions), passkeys=passkeys, accounts=accounts, digest=digest)


@operation(READ_ACCESS, "GET /api/teams")
def teams(shop: Shop) -> tuple[Team, ...]:
    """Every team and the segment whose customers it sees."""
    members = sa.select(USERS.c.team, sa.func.count().label("count")).group_by(USERS.c.team).subquery()
    chosen = sa.select(TEAMS, members.c.count).outerjoin(members, members.c.team == TEAMS.c.team)
    with shop.store.begin() as connection:
        rows = connection.execute(chosen.order_by(TEAMS.c.team)).mappings().all()
    return tuple(
        Team(
            row["team"],
            row["segment"],
            member_count=row["count"] or 0,
            created_at=row["created_at"].replace(tzinfo=UTC),
            created_by=row["created_by"],
        )
        for row in rows
    )


def segment_choices(shop: Shop) -> tuple[str, ...]:
    """Names of the segments that may restrict a team."""
    return tuple(sorted(definitions(shop.store)))


@operation(READ_ACCESS, "GET /api/roles")
def role_rights() -> tuple[RoleRights, ...]:
    """What each role may do, by area."""
    lines = []
    for role in Role:
        rights = rights_of_role(role)
        actions = {area: tuple(one for one in Action if (one, area) in rights) for area in TABLE}
        lines.append(RoleRights(role, {area: some for area, some in actions.items() if some}))
    return tuple(lines)
