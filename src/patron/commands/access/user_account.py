"""What a person changes of their account: name, language, password, second factor, sessions."""

import base64
from binascii import Error as Base64Error
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from patron.commands.access.sign_in_limits import SignInLimits
from patron.govern.access import audit_log, users
from patron.govern.access.passwords import hash_password, is_password, require_good_password
from patron.govern.access.second_factor import (
    create_recovery_codes,
    matching_step,
    new_totp_secret,
    remove_factor,
    set_totp,
    totp_address,
)
from patron.govern.access.user_identities import PASSKEY, has_identity
from patron.govern.access.user_links import LinkKind, end_links
from patron.govern.access.user_sessions import Session, end_sessions
from patron.govern.access.users import User
from patron.govern.customers.sealed_texts import seal, unseal
from patron.schema.access.audit_actions import AuditAction
from patron.schema.errors import AccessProblem, WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import SESSIONS
from patron.storage.shop import Shop

PASSWORD_AGAIN = Sentence("password_again", "this needs your password again")
SESSION_WITHOUT_PASSKEY = Sentence(
    "session_without_passkey", "the account has a passkey, and this session did not use it"
)
NO_PASSWORD = Sentence("no_password", "the account has no password")
SECOND_FACTOR_EXISTS = Sentence("second_factor_exists", "two-step sign-in is on already")
WRONG_OR_OLD_CODE = Sentence("wrong_or_old_code", "the code is wrong or too old")
SECOND_FACTOR_NEEDED = Sentence("second_factor_needed", "this shop requires two-step sign-in of everybody")
NO_SECOND_FACTOR = Sentence("no_second_factor", "two-step sign-in is off")
ENTER_AND_REPEAT = Sentence("enter_and_repeat", "Enter it, then try again.")
TURN_OFF_FIRST = Sentence("turn_off_first", "Turn it off first.")
FORM_EXPIRED = Sentence("form_expired", "the form has expired")
PASSWORD_WRONG = Sentence("password_wrong", "the password is wrong")
USE_PASSKEY = Sentence("use_passkey", "Use the passkey at /account/confirm.")
START_OVER = Sentence("start_over", "Start again.")

CONFIRMED_FOR = timedelta(minutes=15)
"""How long a password counts for steps that matter."""


@dataclass(frozen=True)
class FactorOffer:
    """A second factor that waits for its first code."""

    secret: str
    """For the app, in base 32."""
    address: str
    """The same as a picture says it."""
    sealed: str
    """The secret, encrypted for the form that confirms it."""


def is_confirmed(session: Session, *, now: datetime) -> bool:
    """Whether the password was entered so lately that steps that matter need not ask for it."""
    return now - session.confirmed_at.replace(tzinfo=now.tzinfo) < CONFIRMED_FOR


def require_confirmed(session: Session, *, now: datetime) -> None:
    """Refuse a step that matters in a session that was not confirmed lately. Raises AccessProblem (403)."""
    if not is_confirmed(session, now=now):
        raise AccessProblem("confirm_first", PASSWORD_AGAIN, status=403, todo=ENTER_AND_REPEAT)


def require_passkey_used(shop: Shop, session: Session) -> None:
    """Refuse another factor to who has a passkey and did not use it, where everybody needs two. Raises AccessProblem.

    Else who has the first factor only, such as the account at the issuer, could make a second one.
    """
    if session.has_second_factor or not shop.settings.access.needs_second_factor:
        return
    with shop.store.begin() as connection:
        if has_identity(connection, session.actor.user_id, PASSKEY):
            what = SESSION_WITHOUT_PASSKEY
            raise AccessProblem("passkey_first", what, status=403, todo=USE_PASSKEY)


def confirm(shop: Shop, session: Session, password: str, *, limits: SignInLimits, now: datetime) -> None:
    """Note that the password was entered again. Raises AccessProblem for a wrong one."""
    if not password:
        raise AccessProblem("password_wrong", NO_PASSWORD)
    _require_password(shop, session, password, limits=limits, now=now)
    changed = sa.update(SESSIONS).where(SESSIONS.c.session_id == session.session_id)
    with shop.store.begin() as connection:
        connection.execute(changed.values(confirmed_at=now))


def save_profile(shop: Shop, session: Session, *, name: str, locale: str, now: datetime) -> None:
    """Change name and language. Raises AccessProblem."""
    with shop.store.begin() as connection:
        users.change_user(connection, session.actor.user_id, name=users.normal_name(name), locale=locale)
        _log(shop, connection, AuditAction.USER_PROFILE_CHANGED, session, now)


def change_password(
    shop: Shop, session: Session, password: str, new_password: str, *, limits: SignInLimits, now: datetime
) -> None:
    """Change the password; other sessions and links end. Raises AccessProblem."""
    user = _require_password(shop, session, password, limits=limits, now=now)
    require_good_password(new_password, (user.name, user.email, shop.settings.shop.name))
    password_hash = hash_password(new_password)
    with shop.store.begin() as connection:
        users.change_user(connection, user.user_id, password_hash=password_hash)
        end_sessions(connection, user.user_id, at=now, but=session.session_id)
        end_links(connection, user.user_id, LinkKind.RESET)
        _log(shop, connection, AuditAction.PASSWORD_CHANGED, session, now)


def offer_factor(shop: Shop, session: Session) -> FactorOffer:
    """A secret for an app; nothing is stored before a code proves it. Raises AccessProblem where there is one."""
    require_passkey_used(shop, session)
    with shop.store.begin() as connection:
        user = users.find_user(connection, session.actor.user_id)
    if user.has_second_factor:
        raise AccessProblem("factor_on", SECOND_FACTOR_EXISTS, status=409, todo=TURN_OFF_FIRST)
    secret = new_totp_secret()
    return _offer(shop, user, secret)


def turn_factor_on(
    shop: Shop, session: Session, sealed: str, code: str, *, limits: SignInLimits, now: datetime
) -> tuple[str, ...]:
    """Turn the offered second factor on; return recovery codes; other sessions end. Raises AccessProblem."""
    require_passkey_used(shop, session)
    user_id = session.actor.user_id
    limits.count_code(user_id, now=now)
    secret = offered_secret(shop, session, sealed)
    step = matching_step(secret, code, at=now)
    if step is None:
        raise AccessProblem("code_wrong", WRONG_OR_OLD_CODE)
    with shop.store.begin() as connection:
        users.lock_users(connection)
        if users.find_user(connection, user_id).has_second_factor:
            raise AccessProblem("factor_on", SECOND_FACTOR_EXISTS, status=409)
        set_totp(shop, connection, user_id, secret, step=step)
        codes = create_recovery_codes(connection, user_id)
        mine = sa.update(SESSIONS).where(SESSIONS.c.session_id == session.session_id)
        connection.execute(mine.values(has_second_factor=True, confirmed_at=now))
        end_sessions(connection, user_id, at=now, but=session.session_id)
        _log(shop, connection, AuditAction.SECOND_FACTOR_ON, session, now)
    limits.forget_codes(user_id)
    return codes


def same_offer(shop: Shop, session: Session, sealed: str) -> FactorOffer:
    """The offer that a form holds, to show it again. Raises AccessProblem."""
    with shop.store.begin() as connection:
        user = users.find_user(connection, session.actor.user_id)
    return _offer(shop, user, offered_secret(shop, session, sealed))


def offered_secret(shop: Shop, session: Session, sealed: str) -> str:
    """The secret that a form holds for this user. Raises AccessProblem."""
    try:
        return unseal(shop, _purpose(session.actor.user_id), base64.urlsafe_b64decode(sealed.encode()))
    except (WorkspaceError, Base64Error, ValueError):
        raise AccessProblem("code_wrong", FORM_EXPIRED, todo=START_OVER) from None


def turn_factor_off(shop: Shop, session: Session, password: str, *, limits: SignInLimits, now: datetime) -> None:
    """Turn the second factor off; other sessions end. Raises AccessProblem, also where everybody must have one."""
    if shop.settings.access.needs_second_factor:
        raise AccessProblem("factor_needed", SECOND_FACTOR_NEEDED, status=409)
    user = _require_password(shop, session, password, limits=limits, now=now)
    with shop.store.begin() as connection:
        remove_factor(connection, user.user_id)
        end_sessions(connection, user.user_id, at=now, but=session.session_id)
        _log(shop, connection, AuditAction.SECOND_FACTOR_OFF, session, now)


def renew_recovery_codes(
    shop: Shop, session: Session, password: str, *, limits: SignInLimits, now: datetime
) -> tuple[str, ...]:
    """New recovery codes instead of the earlier ones, shown once. Raises AccessProblem."""
    user = _require_password(shop, session, password, limits=limits, now=now)
    if not user.has_second_factor:
        raise AccessProblem("factor_off", NO_SECOND_FACTOR, status=409)
    with shop.store.begin() as connection:
        codes = create_recovery_codes(connection, user.user_id)
        _log(shop, connection, AuditAction.RECOVERY_CODES_CREATED, session, now)
    return codes


def end_my_sessions(shop: Shop, session: Session, *, session_id: str = "", now: datetime) -> int:
    """End one session of this user, or all others; returns how many."""
    user_id = session.actor.user_id
    with shop.store.begin() as connection:
        count = end_sessions(
            connection, user_id, at=now, session_id=session_id, but="" if session_id else session.session_id
        )
        if count:
            _log(shop, connection, AuditAction.SESSIONS_ENDED, session, now, count=count)
    return count


def _require_password(shop: Shop, session: Session, password: str, *, limits: SignInLimits, now: datetime) -> User:
    """The user of a session whose password this is; a wrong one is in the audit log. Raises AccessProblem.

    Who has none proved who they are in another way lately.
    """
    user_id = session.actor.user_id
    limits.count_code(user_id, now=now)
    with shop.store.begin() as connection:
        user, stored = users.find_user(connection, user_id), users.secret_of(connection, user_id)["password_hash"]
    if not user.has_password and not password:
        require_confirmed(session, now=now)
    elif not is_password(stored, password):
        with shop.store.begin() as connection:
            _log(shop, connection, AuditAction.PASSWORD_REFUSED, session, now)
        raise AccessProblem("password_wrong", PASSWORD_WRONG)
    limits.forget_codes(user_id)
    return user


def _offer(shop: Shop, user: User, secret: str) -> FactorOffer:
    address = totp_address(secret, account=user.email, issuer=shop.settings.shop.name or "Patron")
    sealed = base64.urlsafe_b64encode(seal(shop, _purpose(user.user_id), secret)).decode()
    return FactorOffer(secret, address, sealed)


def _purpose(user_id: str) -> str:
    return f"offered second factor {user_id}"


def _log(
    shop: Shop, connection: sa.Connection, action: AuditAction, session: Session, at: datetime, **details: object
) -> None:
    actor = session.actor
    audit_log.append(shop, connection, action, {"user_id": actor.user_id, **details}, at=at, by=actor.name)
