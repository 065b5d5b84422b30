"""Passkeys (WebAuthn): added to an account, signed in with, removed.

A passkey counts as both factors: the device holds the key, and asks for finger, face or PIN before it signs. It is
bound to the console's name, so that a page under another name cannot ask for it.
"""

import json
import re
from binascii import Error as Base64Error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, generate_challenge
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from patron.commands.access.sign_in import Browser, SignIn, begin_session
from patron.commands.access.sign_in_limits import SignInLimits
from patron.commands.access.single_sign_on_only import require_local_sign_in
from patron.commands.access.user_account import require_confirmed, require_passkey_used
from patron.govern.access import audit_log, users
from patron.govern.access.sign_in_challenges import Challenge, ChallengeKind, create_challenge, use_challenge
from patron.govern.access.user_identities import (
    PASSKEY,
    Identity,
    PublicKey,
    add_identity,
    find_identity,
    list_identities,
    normal_name,
    public_key,
    record_use,
    remove_identity,
)
from patron.govern.access.user_sessions import Session
from patron.govern.access.users import User, UserState
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import REMOVE_ONE
from patron.schema.errors import AccessProblem
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import SESSIONS
from patron.storage.shop import Shop

PASSKEY_UNKNOWN = Sentence("passkey_unknown", "the passkey is unknown here, or was not used")
PASSKEY_REQUEST_EXPIRED = Sentence("passkey_request_expired", "the request to the passkey has expired")
LAST_SIGN_IN_WAY = Sentence("last_sign_in_way", "there would be no way left to sign in")
PASSKEY_COUNT = Sentence("passkey_count", "a user has at most {count} passkeys")
TRY_AGAIN = Sentence("try_again", "Try again.")
ADD_ANOTHER_FIRST = Sentence("add_another_first", "Add another way to sign in first.")

MAX_PASSKEYS = 20
MAX_ANSWER_LENGTH = 20_000
LOCAL_NAME = "localhost"
"""The one name by which browsers know passkeys without HTTPS."""
TIMEOUT_MS = 120_000
"""How long a browser waits for its user."""
HTTPS_PORT = 443
WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{1,1400}")
"""Id of a passkey, in base64url."""
NEEDS_USER = UserVerificationRequirement.REQUIRED
MALFORMED = (WebAuthnException, Base64Error, ValueError, TypeError, KeyError, AttributeError)
"""What the library raises for an answer that it cannot read or that proves nothing."""


@dataclass(frozen=True)
class PasskeyPlace:
    """The name that passkeys are bound to, and the address of pages that may ask for them."""

    name: str
    """Relying party id, a host."""
    origin: str


def passkey_place(shop: Shop, scheme: str, host: str) -> PasskeyPlace | None:
    """Where a request for a host, with its port, may use passkeys; None where no browser does.

    That is the name of the settings, or this machine as localhost; an address in numbers is no name.
    """
    public = urlsplit(shop.settings.access.public_url)
    parts = urlsplit(f"//{host}")
    name = (parts.hostname or "").lower()
    if public.hostname and name == public.hostname and not _is_address(name):
        port = f":{public.port}" if public.port not in {None, HTTPS_PORT} else ""
        return PasskeyPlace(name, f"https://{name}{port}")
    return PasskeyPlace(LOCAL_NAME, f"{scheme}://{host}") if name == LOCAL_NAME else None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def new_passkey_options(shop: Shop, session: Session, place: PasskeyPlace, *, now: datetime) -> dict[str, Any]:
    """What a browser needs to make a passkey. Raises AccessProblem where the password was not entered lately."""
    require_confirmed(session, now=now)
    require_passkey_used(shop, session)
    with shop.store.begin() as connection:
        user = users.find_user(connection, session.actor.user_id)
        passkeys = [identity for identity in list_identities(connection, user.user_id) if identity.issuer == PASSKEY]
        _require_room(passkeys)
        challenge = generate_challenge()
        create_challenge(shop, connection, ChallengeKind.NEW_PASSKEY, challenge, user_id=user.user_id, at=now)
    options = generate_registration_options(
        rp_id=place.name,
        rp_name=shop.settings.shop.name or "Patron",
        user_id=user.user_id.encode(),
        user_name=user.email,
        user_display_name=user.name,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=NEEDS_USER
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(base64url_to_bytes(passkey.subject)) for passkey in passkeys
        ],
    )
    return json.loads(options_to_json(options))


def add_passkey(shop: Shop, session: Session, place: PasskeyPlace, answer: str, *, name: str, now: datetime) -> None:
    """Add the passkey that a browser made; this session counts as one with two factors. Raises AccessProblem."""
    require_confirmed(session, now=now)
    require_passkey_used(shop, session)
    name, user_id = normal_name(name), session.actor.user_id
    challenge = _challenge_in(answer)
    with shop.store.begin() as connection:
        used = use_challenge(shop, connection, ChallengeKind.NEW_PASSKEY, challenge, now=now)
    if used is None or used.user_id != user_id:
        raise _expiry_problem()
    with _verifying(shop, user_id, now):
        registration = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=place.name,
            expected_origin=place.origin,
            require_user_verification=True,
        )
    identity = Identity(
        PASSKEY,
        bytes_to_base64url(registration.credential_id),
        user_id=user_id,
        name=name,
        created_at=now,
        used_at=None,
    )
    with shop.store.begin() as connection:
        users.lock_users(connection)
        _require_room([one for one in list_identities(connection, user_id) if one.issuer == PASSKEY])
        add_identity(connection, identity, proof=PublicKey(registration.credential_public_key, registration.sign_count))
        mine = sa.update(SESSIONS).where(SESSIONS.c.session_id == session.session_id)
        connection.execute(mine.values(has_second_factor=True))
        _log(shop, connection, AuditAction.PASSKEY_ADDED, user_id, now, name=name, by=session.actor.name)


def remove_passkey(shop: Shop, session: Session, passkey_id: str, *, now: datetime) -> None:
    """Take a passkey of one's own away. Raises AccessProblem where the password was not entered lately."""
    require_confirmed(session, now=now)
    user_id = session.actor.user_id
    with shop.store.begin() as connection:
        users.lock_users(connection)
        identity = find_identity(connection, PASSKEY, passkey_id)
        require_sign_in_method(connection, users.find_user(connection, user_id), without=passkey_id)
        if identity and remove_identity(connection, user_id, PASSKEY, passkey_id):
            _log(shop, connection, AuditAction.PASSKEY_REMOVED, user_id, now, name=identity.name, by=session.actor.name)


def require_sign_in_method(connection: sa.Connection, user: User, *, without: str) -> None:
    """Refuse to take the last way away by which somebody signs in. Raises AccessProblem."""
    others = [identity for identity in list_identities(connection, user.user_id) if identity.subject != without]
    if not user.has_password and not others:
        raise AccessProblem("last_way_in", LAST_SIGN_IN_WAY, status=409, todo=ADD_ANOTHER_FIRST)


def sign_in_options(
    shop: Shop, place: PasskeyPlace, address: str, *, limits: SignInLimits, now: datetime
) -> dict[str, Any]:
    """What a browser needs to offer the passkeys of whoever sits there. Raises AccessProblem for too many."""
    limits.count_address(address, now=now)
    challenge = generate_challenge()
    with shop.store.begin() as connection:
        create_challenge(shop, connection, ChallengeKind.SIGN_IN, challenge, at=now)
    return _request_options(place, challenge)


def sign_in_with_passkey(  # noqa: PLR0913 - what a form and a browser say
    shop: Shop,
    place: PasskeyPlace,
    answer: str,
    browser: Browser,
    *,
    limits: SignInLimits,
    replaces: str = "",
    now: datetime,
) -> SignIn:
    """Sign somebody in by a passkey, which is both factors. Raises AccessProblem."""
    limits.count_address(browser.address, now=now)
    user_id = _verify(shop, place, ChallengeKind.SIGN_IN, answer, now=now)
    with shop.store.begin() as connection:
        require_local_sign_in(shop, connection, user_id)
        user = users.find_user(connection, user_id)
        if user.state == UserState.ACTIVE:
            options: dict[str, Any] = {"has_second_factor": True, "replaces": replaces, "now": now}
            return begin_session(shop, connection, user, browser, factors=PASSKEY, **options)
        _log(shop, connection, AuditAction.SIGN_IN_FAILED, user_id, now, step="passkey of a user who may not sign in")
    raise _wrong()


def confirmation_options(shop: Shop, session: Session, place: PasskeyPlace, *, now: datetime) -> dict[str, Any]:
    """What a browser needs to ask somebody who signed in for a passkey again."""
    challenge, user_id = generate_challenge(), session.actor.user_id
    with shop.store.begin() as connection:
        passkeys = [identity.subject for identity in list_identities(connection, user_id) if identity.issuer == PASSKEY]
        create_challenge(shop, connection, ChallengeKind.CONFIRM, challenge, user_id=user_id, at=now)
    return _request_options(place, challenge, passkeys)


def confirm_with_passkey(
    shop: Shop, session: Session, place: PasskeyPlace, answer: str, *, limits: SignInLimits, now: datetime
) -> None:
    """Note that somebody proved again who they are, as by their password. Raises AccessProblem."""
    user_id = session.actor.user_id
    limits.count_code(user_id, now=now)
    if _verify(shop, place, ChallengeKind.CONFIRM, answer, now=now) != user_id:
        raise _wrong()
    limits.forget_codes(user_id)
    with shop.store.begin() as connection:
        mine = sa.update(SESSIONS).where(SESSIONS.c.session_id == session.session_id)
        connection.execute(mine.values(confirmed_at=now, has_second_factor=True))


def _request_options(place: PasskeyPlace, challenge: bytes, passkey_ids: list[str] | None = None) -> dict[str, Any]:
    allowed = [PublicKeyCredentialDescriptor(base64url_to_bytes(passkey_id)) for passkey_id in passkey_ids or ()]
    options = generate_authentication_options(
        rp_id=place.name,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        allow_credentials=allowed,
        user_verification=NEEDS_USER,
    )
    return json.loads(options_to_json(options))


def _verify(shop: Shop, place: PasskeyPlace, kind: ChallengeKind, answer: str, *, now: datetime) -> str:
    """The user whose passkey signed a challenge of this kind; what fails is in the audit log. Raises AccessProblem."""
    challenge, passkey_id = _challenge_in(answer), _passkey_in(answer)
    with shop.store.begin() as connection:
        used: Challenge | None = use_challenge(shop, connection, kind, challenge, now=now)
        identity = find_identity(connection, PASSKEY, passkey_id)
        key = public_key(connection, passkey_id)
    if used is None:
        raise _expiry_problem()
    if identity is None or key is None:
        with shop.store.begin() as connection:
            _log(shop, connection, AuditAction.SIGN_IN_FAILED, "", now, step="unknown passkey")
        raise _wrong()
    with _verifying(shop, identity.user_id, now):
        proved = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=place.name,
            expected_origin=place.origin,
            credential_public_key=key.key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
        if _handle_in(answer) != identity.user_id or (used.user_id and used.user_id != identity.user_id):
            raise ValueError("the passkey is somebody else's")
        with shop.store.begin() as connection:
            if not record_use(connection, PASSKEY, passkey_id, at=now, sign_count=proved.new_sign_count):
                raise ValueError("the passkey did not count on")
    return identity.user_id


@contextmanager
def _verifying(shop: Shop, user_id: str, now: datetime) -> Iterator[None]:
    """Refuse, and log, what proves nothing. Raises AccessProblem."""
    try:
        yield
    except MALFORMED as error:
        with shop.store.begin() as connection:
            _log(shop, connection, AuditAction.PASSKEY_REFUSED, user_id, now, why=type(error).__name__)
        raise _wrong() from error


def _content(answer: str) -> dict[str, Any]:
    """An answer of a browser. Raises AccessProblem for what is none."""
    try:
        content = json.loads(answer[: MAX_ANSWER_LENGTH + 1])
    except (ValueError, RecursionError) as error:
        raise _wrong() from error
    if not isinstance(content, dict) or not isinstance(content.get("response"), dict):
        raise _wrong()
    return content


def _challenge_in(answer: str) -> bytes:
    try:
        client = json.loads(base64url_to_bytes(_content(answer)["response"]["clientDataJSON"]))
        return base64url_to_bytes(client["challenge"])
    except MALFORMED:
        raise _wrong() from None


def _passkey_in(answer: str) -> str:
    passkey_id = _content(answer).get("id")
    return passkey_id if isinstance(passkey_id, str) and WELL_FORMED.fullmatch(passkey_id) else ""


def _handle_in(answer: str) -> str:
    """The user whom the passkey was made for, as it says."""
    return base64url_to_bytes(_content(answer)["response"]["userHandle"]).decode()


def _require_room(passkeys: list[Identity]) -> None:
    if len(passkeys) >= MAX_PASSKEYS:
        raise AccessProblem("passkey_count", PASSKEY_COUNT(count=MAX_PASSKEYS), todo=REMOVE_ONE)


def _wrong() -> AccessProblem:
    return AccessProblem("passkey_wrong", PASSKEY_UNKNOWN, status=401)


def _expiry_problem() -> AccessProblem:
    return AccessProblem("passkey_expired", PASSKEY_REQUEST_EXPIRED, status=401, todo=TRY_AGAIN)


def _log(
    shop: Shop, connection: sa.Connection, action: AuditAction, user_id: str, at: datetime, **details: str
) -> None:
    audit_log.append(shop, connection, action, {"user_id": user_id, **details}, at=at)
