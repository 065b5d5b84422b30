"""People who sign in: who they are, what they may do, and the rule that there is always an administrator."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email

from patron.schema.access.access_rights import Grant, Role
from patron.schema.common_sentences import EMAIL_TAKEN, NAME_LENGTH, NO_SUCH_TEAM, ONE_OF_NAMES
from patron.schema.errors import AccessProblem, NotFound
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import TEAMS, USERS

NO_SUCH_USER = Sentence("no_such_user", "no such user")
LAST_ADMINISTRATOR = Sentence("last_administrator", "this is the last administrator")
NEEDS_ROLE = Sentence("needs_role", "a user without a role can do nothing")
LIST_USERS = Sentence("list_users", "List them with `patron users list`.")
OTHER_ADMINISTRATOR = Sentence("other_administrator", "Make somebody else an administrator first.")
NAME_ROLE = Sentence("name_role", "Name a role.")
NOT_EMAIL_ADDRESS = Sentence("not_email_address", "this is not an e-mail address")
NOT_ONE_OF_THEM = Sentence("not_one_of_them", "{name!r} is not one of them")

ID_BYTES = 6
MAX_NAME_LENGTH = 80
Choice = TypeVar("Choice", Role, Grant)


class UserState(StrEnum):
    """Whether somebody may sign in."""

    INVITED = "invited"
    """Not yet: the invitation was not accepted."""
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True)
class User:
    """One person, without any secret."""

    user_id: str
    email: str
    name: str
    roles: tuple[Role, ...]
    grants: tuple[Grant, ...]
    team: str
    state: UserState
    locale: str
    """Language; empty is the shop's."""
    has_second_factor: bool
    """Whether the password is followed by a code."""
    has_password: bool
    created_at: datetime
    created_by: str
    signed_in_at: datetime | None


@dataclass(frozen=True)
class Access:
    """What somebody may do: roles, rights next to them, and the team that restricts customers."""

    roles: tuple[Role, ...]
    grants: tuple[Grant, ...] = ()
    team: str = ""


def list_users(connection: sa.Connection) -> tuple[User, ...]:
    """Everybody, in order of their names."""
    rows = connection.execute(sa.select(USERS).order_by(sa.func.lower(USERS.c.name), USERS.c.user_id)).mappings()
    return tuple(_user_of(row) for row in rows)


def find_user(connection: sa.Connection, user_id: str) -> User:
    """One user. Raises NotFound."""
    row = connection.execute(sa.select(USERS).where(USERS.c.user_id == user_id)).mappings().first()
    if row is None:
        raise NotFound(NO_SUCH_USER, where=user_id[:40], todo=LIST_USERS)
    return _user_of(row)


def find_user_by_email(connection: sa.Connection, email: str) -> User | None:
    """The user of an address, whatever its case."""
    row = connection.execute(sa.select(USERS).where(USERS.c.email == email.strip().lower())).mappings().first()
    return _user_of(row) if row else None


def resolve_user(connection: sa.Connection, name: str) -> User:
    """The user of an id or an e-mail address. Raises NotFound."""
    return find_user_by_email(connection, name) or find_user(connection, name.strip())


def secret_of(connection: sa.Connection, user_id: str) -> sa.RowMapping:
    """Hash of the password and the encrypted second factor of a user. Raises NotFound."""
    chosen = sa.select(USERS.c.password_hash, USERS.c.totp_secret, USERS.c.totp_step)
    row = connection.execute(chosen.where(USERS.c.user_id == user_id)).mappings().first()
    if row is None:
        raise NotFound(NO_SUCH_USER, where=user_id[:40])
    return row


def add_user(connection: sa.Connection, email: str, name: str, access: Access, *, by: str, at: datetime) -> str:
    """Add somebody who has no password yet; return the user's id. Raises AccessProblem for an address in use."""
    email = normal_email(email)
    if find_user_by_email(connection, email):
        raise AccessProblem("email_taken", EMAIL_TAKEN, status=409)
    user_id = secrets.token_hex(ID_BYTES)
    row = {
        "user_id": user_id,
        "email": email,
        "name": normal_name(name),
        **access_columns(connection, access),
        "password_hash": "",
        "state": UserState.INVITED.value,
        "locale": "",
        "created_at": at,
        "created_by": by,
    }
    connection.execute(sa.insert(USERS).values(row))
    return user_id


def change_user(connection: sa.Connection, user_id: str, **values: object) -> None:
    """Change columns of a user. Raises NotFound, and AccessProblem where no active administrator would be left."""
    lock_users(connection)
    was_admin = _is_admin(find_user(connection, user_id))
    connection.execute(sa.update(USERS).where(USERS.c.user_id == user_id).values(values))
    if was_admin and not any(_is_admin(user) for user in list_users(connection)):
        raise AccessProblem(
            "last_admin",
            LAST_ADMINISTRATOR,
            status=409,
            todo=OTHER_ADMINISTRATOR,
        )


def has_users(connection: sa.Connection) -> bool:
    """Whether anybody has set up an account."""
    chosen = sa.select(USERS.c.user_id).where(USERS.c.state != UserState.INVITED.value)
    return connection.execute(chosen.limit(1)).first() is not None


def access_columns(connection: sa.Connection, access: Access) -> dict[str, Any]:
    """What somebody may do, as the table has it. Raises AccessProblem for no role or an unknown team."""
    if not access.roles:
        raise AccessProblem("no_role", NEEDS_ROLE, todo=NAME_ROLE)
    if access.team and not connection.execute(sa.select(TEAMS.c.team).where(TEAMS.c.team == access.team)).first():
        raise AccessProblem("no_team", NO_SUCH_TEAM, where=access.team[:MAX_NAME_LENGTH])
    return {
        "roles": [role.value for role in Role if role in access.roles],
        "grants": [grant.value for grant in Grant if grant in access.grants],
        "team": access.team,
    }


def normal_email(text: str) -> str:
    """An address in lower case. Raises AccessProblem; nothing is looked up."""
    try:
        checked = validate_email(text.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise AccessProblem("email_invalid", NOT_EMAIL_ADDRESS) from None
    return checked.normalized.lower()


def normal_name(text: str) -> str:
    """A name on one line. Raises AccessProblem for an empty or too long one."""
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise AccessProblem("name_invalid", NAME_LENGTH(count=MAX_NAME_LENGTH))
    return name


def parse_roles(texts: Iterable[str]) -> tuple[Role, ...]:
    """Roles by their names. Raises AccessProblem."""
    return tuple(_parse(Role, text) for text in texts)


def parse_grants(texts: Iterable[str]) -> tuple[Grant, ...]:
    """Rights next to roles by their names. Raises AccessProblem."""
    return tuple(_parse(Grant, text) for text in texts)


def lock_users(connection: sa.Connection) -> None:
    """Let no other transaction change users until this one ends; SQLite's writes do so by themselves."""
    if connection.dialect.name == "sqlite":
        connection.execute(sa.update(USERS).where(sa.false()).values(name=USERS.c.name))
    else:
        connection.execute(sa.text("lock table users in share row exclusive mode"))


def _parse(kind: type[Choice], text: str) -> Choice:
    try:
        return kind(text.strip().lower().replace("-", "_"))
    except ValueError:
        todo = ONE_OF_NAMES(names=", ".join(one.value for one in kind))
        raise AccessProblem("no_role", NOT_ONE_OF_THEM(name=text[:MAX_NAME_LENGTH]), todo=todo) from None


def _is_admin(user: User) -> bool:
    return user.state == UserState.ACTIVE and Role.ADMIN in user.roles


def _user_of(row: sa.RowMapping) -> User:
    return User(
        row["user_id"],
        row["email"],
        name=row["name"],
        roles=tuple(Role(role) for role in row["roles"]),
        grants=tuple(Grant(grant) for grant in row["grants"]),
        team=row["team"],
        state=UserState(row["state"]),
        locale=row["locale"],
        has_second_factor=row["totp_secret"] is not None,
        has_password=bool(row["password_hash"]),
        created_at=row["created_at"].replace(tzinfo=UTC),
        created_by=row["created_by"],
        signed_in_at=row["signed_in_at"] and row["signed_in_at"].replace(tzinfo=UTC),
    )
