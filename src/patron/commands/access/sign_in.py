"""Signing in: password, then the second factor of whoever has one; the first sign-in by a link; signing out.

Somebody unknown gets the same answer as somebody who is mistaken, after about the same time: a password is hashed and
an entry is written either way.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from patron.commands.access.second_factor_ticket import create_ticket, read_ticket
from patron.commands.access.sign_in_limits import SignInLimits
from patron.commands.access.single_sign_on_only import require_local_sign_in
from patron.govern.access import audit_log, users
from patron.govern.access.passwords import hash_password, is_outdated, is_password, require_good_password
from patron.govern.access.second_factor import use_code
from patron.govern.access.user_identities import PASSKEY, has_identity
from patron.govern.access.user_links import LinkKind, end_links, find_link, use_link
from patron.govern.access.user_sessions import Browser, Session, create_session, end_sessions, session_hash, user_name
from patron.govern.access.users import Access, User, UserState
from patron.schema.access.access_rights import Grant, Role
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import SIGN_IN_FIRST
from patron.schema.errors import AccessProblem
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import SESSIONS, USERS
from patron.storage.shop import Shop

WRONG_CODE = Sentence("wrong_code", "the code is wrong, was used, or is too old")
EMAIL_OR_PASSWORD_WRONG = Sentence("email_or_password_wrong", "e-mail address or password is wrong")
ACCOUNT_HAS_PASSKEY = Sentence("account_has_passkey", "the account has a passkey")
USERS_EXIST = Sentence("users_exist", "there are users already")
SIGN_IN_WITH_IT = Sentence("sign_in_with_it", "Sign in with it.")

__all__ = ["Browser", "LinkKind", "SignInLimits"]
PASSWORD = "password"  # noqa: S105 - how somebody signed in
WELL_KNOWN = timedelta(days=60)
"""How long an address counts as one of a user's."""


@dataclass(frozen=True)
class Credentials:
    """What somebody enters to sign in."""

    email: str
    password: str


@dataclass(frozen=True)
class SignIn:
    """What a right password leads to: a session, or the question for a second factor."""

    locale: str
    """Language of the user; empty is the shop's."""
    secret: str = ""
    """Of the new session's cookie."""
    ticket: str = ""
    """Proves the password while the second factor is entered."""


def sign_in(
    shop: Shop, entered: Credentials, browser: Browser, *, limits: SignInLimits, replaces: str = "", now: datetime
) -> SignIn:
    """Sign somebody in who knows the password; the session of the cookie that it replaces ends.

    Raises AccessProblem.
    """
    is_known = _is_known_address(shop, entered.email, browser.address, now=now)
    limits.count_attempt(entered.email, browser.address, is_known=is_known, now=now)
    with shop.store.begin() as connection:
        user = users.find_user_by_email(connection, entered.email)
        stored = users.secret_of(connection, user.user_id)["password_hash"] if user else ""
    is_right = is_password(stored, entered.password)
    if user is None or not is_right or user.state != UserState.ACTIVE:
        with shop.store.begin() as connection:
            _log(shop, connection, AuditAction.SIGN_IN_FAILED, user.user_id if user else "", now, step="password")
        raise AccessProblem("sign_in_wrong", EMAIL_OR_PASSWORD_WRONG, status=401)
    limits.forget_attempts(entered.email, browser.address)
    with shop.store.begin() as connection:
        require_local_sign_in(shop, connection, user.user_id)
    if is_outdated(stored):
        stored = hash_password(entered.password)
        with shop.store.begin() as connection:
            users.change_user(connection, user.user_id, password_hash=stored)
    if user.has_second_factor:
        return SignIn(user.locale, ticket=create_ticket(shop, user.user_id, stored, first=PASSWORD, now=now))
    with shop.store.begin() as connection:
        if shop.settings.access.needs_second_factor and has_identity(connection, user.user_id, PASSKEY):
            # why: who only knows the password could set another second factor up
            raise AccessProblem("passkey_needed", ACCOUNT_HAS_PASSKEY, status=403, todo=SIGN_IN_WITH_IT)
        return begin_session(shop, connection, user, browser, factors=PASSWORD, replaces=replaces, now=now)


def enter_second_factor(  # noqa: PLR0913 - what a form and a browser say
    shop: Shop, ticket: str, code: str, browser: Browser, *, limits: SignInLimits, replaces: str = "", now: datetime
) -> SignIn:
    """Sign somebody in who proved the password and has a code. Raises AccessProblem."""
    user_id, first = read_ticket(shop, ticket, now=now)
    limits.count_code(user_id, now=now)
    with shop.store.begin() as connection:
        user = users.find_user(connection, user_id)
        kind = use_code(shop, connection, user_id, code, at=now)
        if kind and user.state == UserState.ACTIVE:
            limits.forget_codes(user_id)
            if kind == "recovery":
                _log_by_user(shop, connection, AuditAction.RECOVERY_CODE_USED, user, now)
            options: dict[str, Any] = {"has_second_factor": True, "replaces": replaces, "now": now}
            return begin_session(shop, connection, user, browser, factors=f"{first} and second factor", **options)
        _log(shop, connection, AuditAction.SIGN_IN_FAILED, user_id, now, step="second factor")
    raise AccessProblem("code_wrong", WRONG_CODE, status=401)


def _is_known_address(shop: Shop, email: str, address: str, *, now: datetime) -> bool:
    """Whether the user of an e-mail address signed in from this address of the network lately."""
    chosen = (
        sa.select(SESSIONS.c.session_id)
        .join(USERS, USERS.c.user_id == SESSIONS.c.user_id)
        .where(USERS.c.email == email.strip().lower(), SESSIONS.c.address == address)
        .where(SESSIONS.c.created_at > now - WELL_KNOWN)
    )
    with shop.store.begin() as connection:
        return connection.execute(chosen.limit(1)).first() is not None


def sign_out(shop: Shop, session: Session, *, now: datetime) -> None:
    """End a session."""
    with shop.store.begin() as connection:
        end_sessions(connection, session.actor.user_id, at=now, session_id=session.session_id)
        _log(shop, connection, AuditAction.SIGNED_OUT, session.actor.user_id, now, by=session.actor.name)


@dataclass(frozen=True)
class NewAccount:
    """What somebody enters at the first sign-in."""

    name: str
    password: str
    email: str = ""
    """Of the first administrator; who is invited has one."""
    locale: str = ""


def set_up(shop: Shop, link: str, account: NewAccount, browser: Browser, *, now: datetime) -> SignIn:
    """Make the first administrator, who is privacy officer, too. Raises AccessProblem once there are users."""
    name, email = users.normal_name(account.name), users.normal_email(account.email)
    require_link(shop, LinkKind.SETUP, link, now=now)
    require_good_password(account.password, (name, email, shop.settings.shop.name))
    password_hash = hash_password(account.password)
    with shop.store.begin() as connection:
        users.lock_users(connection)
        use_link(connection, LinkKind.SETUP, link, now=now)
        if users.has_users(connection):
            raise AccessProblem("link_spent", USERS_EXIST, status=410, todo=SIGN_IN_FIRST)
        everything = Access((Role.ADMIN, Role.PRIVACY_OFFICER), tuple(Grant))  # why: a small shop is one person
        user_id = users.add_user(connection, email, name, everything, by="set-up link", at=now)
        return _activate(shop, connection, user_id, account, password_hash, browser, now)


def join(shop: Shop, link: str, account: NewAccount, browser: Browser, *, now: datetime) -> SignIn:
    """Accept an invitation. Raises AccessProblem."""
    name = users.normal_name(account.name)
    user = invited_user(shop, link, now=now)
    require_good_password(account.password, (name, user.email, shop.settings.shop.name))
    password_hash = hash_password(account.password)
    with shop.store.begin() as connection:
        user_id = use_link(connection, LinkKind.INVITATION, link, now=now)
        users.change_user(connection, user_id, name=name)
        return _activate(shop, connection, user_id, account, password_hash, browser, now)


def invited_user(shop: Shop, link: str, *, now: datetime) -> User:
    """Who an invitation is for. Raises AccessProblem."""
    return _link_user(shop, LinkKind.INVITATION, link, now=now)


def reset_password(shop: Shop, link: str, password: str, *, now: datetime) -> None:
    """Set a password by a link; all sessions end, the second factor stays. Raises AccessProblem."""
    user = _link_user(shop, LinkKind.RESET, link, now=now)
    require_good_password(password, (user.name, user.email, shop.settings.shop.name))
    password_hash = hash_password(password)
    with shop.store.begin() as connection:
        use_link(connection, LinkKind.RESET, link, now=now)
        users.change_user(connection, user.user_id, password_hash=password_hash)
        end_sessions(connection, user.user_id, at=now)
        _log_by_user(shop, connection, AuditAction.PASSWORD_RESET, user, now)


def require_link(shop: Shop, kind: LinkKind, link: str, *, now: datetime) -> None:
    """Refuse a link that does not work (any more). Raises AccessProblem."""
    with shop.store.begin() as connection:
        find_link(connection, kind, link, now=now)


def _link_user(shop: Shop, kind: LinkKind, link: str, *, now: datetime) -> User:
    with shop.store.begin() as connection:
        return users.find_user(connection, find_link(connection, kind, link, now=now))


def _activate(  # noqa: PLR0913, PLR0917 - one transaction
    shop: Shop,
    connection: sa.Connection,
    user_id: str,
    account: NewAccount,
    password_hash: str,
    browser: Browser,
    now: datetime,
) -> SignIn:
    values = {"password_hash": password_hash, "state": UserState.ACTIVE.value, "locale": account.locale}
    users.change_user(connection, user_id, **values)
    user = users.find_user(connection, user_id)
    _log_by_user(shop, connection, AuditAction.USER_JOINED, user, now)
    return begin_session(shop, connection, user, browser, factors=PASSWORD, now=now)


def begin_session(  # noqa: PLR0913 - who, where and how
    shop: Shop,
    connection: sa.Connection,
    user: User,
    browser: Browser,
    *,
    factors: str,
    has_second_factor: bool = False,
    replaces: str = "",
    now: datetime,
) -> SignIn:
    """Begin a session of somebody who proved to be a user, and how; the one that this browser had ends."""
    if replaces:
        earlier = sa.update(SESSIONS).where(SESSIONS.c.session_hash == session_hash(replaces))
        connection.execute(earlier.where(SESSIONS.c.ended_at.is_(None)).values(ended_at=now))
    end_links(connection, user.user_id, LinkKind.RESET)
    secret = create_session(connection, user.user_id, browser, has_second_factor=has_second_factor, at=now)
    users.change_user(connection, user.user_id, signed_in_at=now)
    _log_by_user(shop, connection, AuditAction.SIGNED_IN, user, now, factors=factors)
    return SignIn(user.locale, secret)


def _log_by_user(
    shop: Shop, connection: sa.Connection, action: AuditAction, user: User, at: datetime, **details: str
) -> None:
    """Log what somebody did who proved to be the user."""
    _log(shop, connection, action, user.user_id, at, by=user_name(user.name, user.user_id), **details)


def _log(
    shop: Shop, connection: sa.Connection, action: AuditAction, user_id: str, at: datetime, **details: str
) -> None:
    audit_log.append(shop, connection, action, {"user_id": user_id, **details}, at=at)
