"""Single sign-on: to an OpenID Connect issuer and back, as a user who is known by issuer and subject.

An e-mail address makes nobody a user who exists: an account at the issuer is linked by who is signed in, or by an
invitation. Somebody unknown is refused, or becomes a new user where the settings say so.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from patron.commands.access.oidc_issuer import LEEWAY_SECONDS, AuthorizationRequest, Issuer
from patron.commands.access.second_factor_ticket import create_ticket
from patron.commands.access.sign_in import Browser, SignIn, begin_session
from patron.commands.access.sign_in_limits import SignInLimits
from patron.commands.access.user_account import require_confirmed
from patron.govern.access import audit_log, users
from patron.govern.access.sign_in_challenges import Challenge, ChallengeKind, create_challenge, use_challenge
from patron.govern.access.user_identities import MAX_NAME_LENGTH, Identity, add_identity, find_identity, record_use
from patron.govern.access.user_links import LinkKind, find_link, use_link
from patron.govern.access.user_sessions import Session, user_name
from patron.govern.access.users import Access, UserState
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import EMAIL_TAKEN, SIGN_IN_AGAIN, SIGN_IN_TOO_LONG, USER_CANNOT_SIGN_IN
from patron.schema.errors import AccessProblem, SettingsError
from patron.schema.sentences import Sentence
from patron.storage.access.access_tables import SESSIONS
from patron.storage.access.oidc_settings import OidcSettings
from patron.storage.shop import Shop

CONNECT_ACCOUNT = Sentence("connect_account", "Sign in as before, and connect the account on your account page.")
NO_SINGLE_SIGN_ON = Sentence("no_single_sign_on", "single sign-on is not set up")
OTHER_ISSUER = Sentence("other_issuer", "the answer comes from another issuer")
ISSUER_NOBODY = Sentence("issuer_nobody", "the issuer did not sign anybody in")
DOMAIN_NOT_ALLOWED = Sentence("domain_not_allowed", "the domain of the e-mail address is not allowed")
ACCOUNT_UNKNOWN = Sentence("account_unknown", "no user is connected to this account")
NO_VERIFIED_EMAIL = Sentence("no_verified_email", "the issuer sent no verified e-mail address")
NO_GROUP_ROLE = Sentence("no_group_role", "none of the user's groups has a role")
NAME_CLIENT_SECRET = Sentence(
    "name_client_secret", "Name a client_secret_file in [oidc] that can be read, or set {variable}."
)
SIGN_IN_BY_PASSWORD = Sentence("sign_in_by_password", "Sign in by password.")
ISSUER_DID_NOT_VERIFY = Sentence("issuer_did_not_verify", "the issuer did not verify the user again")
ASK_FOR_INVITATION = Sentence("ask_for_invitation", "Ask for an invitation.")
ASK_ADMINISTRATOR = Sentence("ask_administrator", "Ask an administrator.")
CLIENT_SECRET_UNREADABLE = Sentence("client_secret_unreadable", "the client secret cannot be read")
SIGN_OUT_THEN_IN = Sentence("sign_out_then_in", "Sign out, then sign in again.")

SECRET_VARIABLE = "PATRON_OIDC_CLIENT_SECRET"  # noqa: S105 - the name of a variable
SECRET_BYTES = 32
BY = "single sign-on"
"""As sessions, tickets and the audit log have it."""
MAX_CODE_LENGTH = 4_000
_ISSUERS: WeakKeyDictionary[Shop, Issuer] = WeakKeyDictionary()


class Purpose(StrEnum):
    """Why somebody goes to the issuer."""

    SIGN_IN = "sign-in"
    LINK = "link"
    """To sign in by it from now on."""
    JOIN = "join"
    """To accept an invitation."""
    CONFIRM = "confirm"
    """Before a step that matters."""


@dataclass(frozen=True)
class IssuerRedirect:
    """The way to the issuer."""

    url: str
    secret: str
    """Of the cookie by which the browser is known again that went there."""


@dataclass(frozen=True)
class IssuerCallback:
    """What a browser brings from the issuer."""

    state: str
    code: str
    error: str
    issuer: str
    """As the answer names it (RFC 9207); empty where it does not."""
    secret: str
    """Of the cookie."""


@dataclass(frozen=True)
class SignOnResult:
    """What became of a visit to the issuer."""

    purpose: Purpose
    path: str
    """Where to go on."""
    signed_in: SignIn | None = None
    """None for who was signed in before."""


@dataclass(frozen=True)
class Person:
    """Who somebody is at the issuer."""

    subject: str
    email: str
    """Verified; else empty."""
    name: str
    values: frozenset[str]
    """Of the claim that lists roles."""
    has_second_factor: bool
    signed_in_at: float
    """When they last gave proof to the issuer, seconds since 1970; 0 where it does not say."""


@dataclass(frozen=True)
class _Visit:
    """Somebody who came back from the issuer."""

    person: Person
    challenge: Challenge
    browser: Browser
    replaces: str
    now: datetime


def issuer_of(shop: Shop) -> Issuer:
    """The issuer of the settings. Raises AccessProblem without one, SettingsError for a secret that cannot be read."""
    settings = shop.settings.oidc
    if not settings.is_configured:
        raise AccessProblem("sso_off", NO_SINGLE_SIGN_ON, status=404, todo=SIGN_IN_BY_PASSWORD)
    known = _ISSUERS.get(shop)
    if known is None or known.settings != settings:
        known = _ISSUERS[shop] = Issuer(settings, _client_secret(shop, settings))
    return known


def begin_single_sign_on(  # noqa: PLR0913 - where from and where to
    shop: Shop,
    purpose: Purpose,
    redirect_uri: str,
    address: str,
    *,
    session: Session | None = None,
    link: str = "",
    path: str = "/",
    limits: SignInLimits,
    now: datetime,
) -> IssuerRedirect:
    """Go to the issuer, which leads back once, to this browser, within ten minutes. Raises AccessProblem."""
    limits.count_address(address, now=now)
    if purpose is Purpose.LINK and session:
        require_confirmed(session, now=now)
    if purpose is Purpose.JOIN:
        with shop.store.begin() as connection:
            find_link(connection, LinkKind.INVITATION, link, now=now)
    secret, state, nonce, verifier = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(4))
    issuer, request = issuer_of(shop), AuthorizationRequest(redirect_uri, state, nonce, verifier)
    url = issuer.authorization_url(request, is_again=purpose is Purpose.CONFIRM, now=now)
    content = {"purpose": purpose.value, "uri": redirect_uri, "nonce": nonce, "verifier": verifier, "path": path}
    content |= {"link": link, "browser": _hash(secret), **_issuer_content(issuer.settings)}
    user_id = session.actor.user_id if session and purpose in {Purpose.LINK, Purpose.CONFIRM} else ""
    options: dict[str, Any] = {"user_id": user_id, "content": content, "at": now}
    with shop.store.begin() as connection:
        create_challenge(shop, connection, ChallengeKind.ISSUER, state.encode(), **options)
    return IssuerRedirect(url, secret)


def complete_single_sign_on(
    shop: Shop,
    callback: IssuerCallback,
    browser: Browser,
    *,
    session: Session | None = None,
    replaces: str = "",
    now: datetime,
) -> SignOnResult:
    """Sign somebody in, link, join or confirm, as they went to the issuer for. Raises AccessProblem."""
    challenge = _use_challenge(shop, callback, now=now)
    purpose, path = Purpose(challenge.content["purpose"]), challenge.content["path"]
    try:
        visit = _Visit(_person(shop, challenge, callback, now=now), challenge, browser, replaces, now)
        if purpose in {Purpose.LINK, Purpose.CONFIRM}:
            if session is None or session.actor.user_id != challenge.user_id:
                raise _sign_in_again()
            (_link if purpose is Purpose.LINK else _confirm)(shop, session, visit)
            return SignOnResult(purpose, path)
        return SignOnResult(purpose, path, (_join if purpose is Purpose.JOIN else _sign_in)(shop, visit))
    except AccessProblem as problem:
        with shop.store.begin() as connection:
            _log(shop, connection, AuditAction.SIGN_IN_FAILED, challenge.user_id, now, step=BY, why=problem.problem)
        raise


def _use_challenge(shop: Shop, callback: IssuerCallback, *, now: datetime) -> Challenge:
    """Use up what this browser went to the issuer with. Raises AccessProblem."""
    with shop.store.begin() as connection:
        challenge = use_challenge(shop, connection, ChallengeKind.ISSUER, callback.state.encode(), now=now)
    # why: else a page could sign a browser in as somebody else, by an answer of the issuer to another one
    if challenge is None or not hmac.compare_digest(challenge.content["browser"], _hash(callback.secret)):
        raise _sign_in_again()
    settings = shop.settings.oidc
    is_same = _issuer_content(settings).items() <= challenge.content.items()
    if not is_same or callback.issuer not in {"", settings.issuer}:
        raise AccessProblem("sso_refused", OTHER_ISSUER, status=401, todo=SIGN_IN_AGAIN)
    return challenge


def _person(shop: Shop, challenge: Challenge, callback: IssuerCallback, *, now: datetime) -> Person:
    settings = shop.settings.oidc
    issuer = issuer_of(shop)
    content = challenge.content
    announces = issuer.metadata(now=now).get("authorization_response_iss_parameter_supported") is True
    if callback.error or not 0 < len(callback.code) <= MAX_CODE_LENGTH or (announces and not callback.issuer):
        raise AccessProblem("sso_refused", ISSUER_NOBODY, status=401, todo=SIGN_IN_AGAIN)
    request = AuthorizationRequest(content["uri"], callback.state, content["nonce"], content["verifier"])
    claims = issuer.claims(request, callback.code, now=now)
    is_verified = settings.trusts_email or claims.get("email_verified") in (True, "true")
    email = claims["email"].strip().lower() if is_verified and isinstance(claims.get("email"), str) else ""
    if settings.mail_domains and email.rpartition("@")[2] not in settings.mail_domains:
        raise AccessProblem("sso_domain", DOMAIN_NOT_ALLOWED, status=403)
    listed = claims.get(settings.role_claim) if settings.role_claim else None
    listed = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
    amr, at = claims.get("amr"), claims.get("auth_time")
    return Person(
        claims["sub"],
        email,
        name=name if isinstance(name := claims.get("name"), str) else "",
        values=frozenset(one for one in listed if isinstance(one, str)),
        has_second_factor=settings.is_second_factor or (isinstance(amr, list) and "mfa" in amr),
        signed_in_at=at if isinstance(at, int | float) else 0,
    )


def _sign_in(shop: Shop, visit: _Visit) -> SignIn:
    person, now = visit.person, visit.now
    with shop.store.begin() as connection:
        users.lock_users(connection)
        identity = find_identity(connection, shop.settings.oidc.issuer, person.subject)
        user_id = identity.user_id if identity else _create(shop, connection, person, now)
        if users.find_user(connection, user_id).state != UserState.ACTIVE:
            raise AccessProblem("sso_disabled", USER_CANNOT_SIGN_IN, status=403, todo=ASK_ADMINISTRATOR)
        _set_roles(shop, connection, user_id, person, now)
        return _begin_session(shop, connection, user_id, visit)


def _join(shop: Shop, visit: _Visit) -> SignIn:
    """Accept an invitation."""
    person, now = visit.person, visit.now
    with shop.store.begin() as connection:
        users.lock_users(connection)
        user_id = use_link(connection, LinkKind.INVITATION, visit.challenge.content["link"], now=now)
        named = {"name": users.normal_name(person.name[: users.MAX_NAME_LENGTH])} if person.name.strip() else {}
        users.change_user(connection, user_id, state=UserState.ACTIVE.value, **named)
        by = user_name(users.find_user(connection, user_id).name, user_id)
        _add(shop, connection, user_id, person, now, by=by)
        _log(shop, connection, AuditAction.USER_JOINED, user_id, now, by=by)
        _set_roles(shop, connection, user_id, person, now)
        return _begin_session(shop, connection, user_id, visit)


def _link(shop: Shop, session: Session, visit: _Visit) -> None:
    with shop.store.begin() as connection:
        _add(shop, connection, session.actor.user_id, visit.person, visit.now, by=session.actor.name)


def _confirm(shop: Shop, session: Session, visit: _Visit) -> None:
    """Note that somebody signed in at the issuer again, just now."""
    since = (visit.challenge.created_at - timedelta(seconds=LEEWAY_SECONDS)).timestamp()
    with shop.store.begin() as connection:
        identity = find_identity(connection, shop.settings.oidc.issuer, visit.person.subject)
        is_same = identity is not None and identity.user_id == session.actor.user_id
        if not is_same or visit.person.signed_in_at < since:
            raise AccessProblem("sso_not_again", ISSUER_DID_NOT_VERIFY, status=401, todo=SIGN_OUT_THEN_IN)
        mine = sa.update(SESSIONS).where(SESSIONS.c.session_id == session.session_id)
        connection.execute(mine.values(confirmed_at=visit.now))


def _begin_session(shop: Shop, connection: sa.Connection, user_id: str, visit: _Visit) -> SignIn:
    """A session, or the question for a code where the issuer asked for no second factor and the user has one."""
    user = users.find_user(connection, user_id)
    has_factor = visit.person.has_second_factor
    now = visit.now
    record_use(connection, shop.settings.oidc.issuer, visit.person.subject, at=now)
    if user.has_second_factor and not has_factor:
        stored = users.secret_of(connection, user_id)["password_hash"]
        return SignIn(user.locale, ticket=create_ticket(shop, user_id, stored, first=BY, now=now))
    options: dict[str, Any] = {"has_second_factor": has_factor, "replaces": visit.replaces, "now": now}
    return begin_session(shop, connection, user, visit.browser, factors=BY, **options)


def _create(shop: Shop, connection: sa.Connection, person: Person, now: datetime) -> str:
    """A new user for somebody unknown, where the settings say so. Raises AccessProblem."""
    settings = shop.settings.oidc
    if settings.unknown_users != "create":
        raise AccessProblem("sso_unknown", ACCOUNT_UNKNOWN, status=403, todo=ASK_FOR_INVITATION)
    if not person.email:
        raise AccessProblem("sso_email", NO_VERIFIED_EMAIL, status=403)
    if users.find_user_by_email(connection, person.email):
        todo = CONNECT_ACCOUNT
        raise AccessProblem("sso_email_taken", EMAIL_TAKEN, status=409, todo=todo)
    roles = _roles(settings, person) or (settings.new_user_role,)
    name = person.name.strip()[: users.MAX_NAME_LENGTH] or person.email.partition("@")[0]
    user_id = users.add_user(connection, person.email, name, Access(roles), by=BY, at=now)
    users.change_user(connection, user_id, state=UserState.ACTIVE.value)
    _log(shop, connection, AuditAction.USER_CREATED, user_id, now, by=BY, roles=sorted(roles))
    _add(shop, connection, user_id, person, now, by=BY)
    return user_id


def _set_roles(shop: Shop, connection: sa.Connection, user_id: str, person: Person, now: datetime) -> None:
    """Give a user the roles that the issuer names, where it does. Raises AccessProblem."""
    roles, user = _roles(shop.settings.oidc, person), users.find_user(connection, user_id)
    if roles and set(roles) != set(user.roles):
        columns = users.access_columns(connection, Access(roles, user.grants, user.team))
        users.change_user(connection, user_id, **columns)
        _log(shop, connection, AuditAction.USER_ACCESS_CHANGED, user_id, now, by=BY, roles=sorted(roles))


def _roles(settings: OidcSettings, person: Person) -> tuple[Any, ...]:
    """Roles of somebody's groups; none where the settings name no claim. Raises AccessProblem for nobody's."""
    if not settings.role_claim:
        return ()
    roles = {settings.roles[value] for value in person.values if value in settings.roles}
    if not roles:
        raise AccessProblem("sso_no_role", NO_GROUP_ROLE, status=403, todo=ASK_ADMINISTRATOR)
    return tuple(roles)


def _add(shop: Shop, connection: sa.Connection, user_id: str, person: Person, now: datetime, *, by: str) -> None:
    settings = shop.settings.oidc
    identity = Identity(
        settings.issuer,
        person.subject,
        user_id=user_id,
        name=settings.label[:MAX_NAME_LENGTH],
        created_at=now,
        used_at=None,
    )
    add_identity(connection, identity)
    _log(shop, connection, AuditAction.ACCOUNT_LINKED, user_id, now, issuer=settings.issuer, by=by)


def _client_secret(shop: Shop, settings: OidcSettings) -> str:
    """The secret of this console at the issuer; empty for a public client. Raises SettingsError."""
    if not settings.client_secret_file:
        return os.environ.get(SECRET_VARIABLE, "")
    file = shop.folder / settings.client_secret_file
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        todo = NAME_CLIENT_SECRET(variable=SECRET_VARIABLE)
        raise SettingsError(CLIENT_SECRET_UNREADABLE, where=str(file), todo=todo) from error


def _issuer_content(settings: OidcSettings) -> Mapping[str, str]:
    return {"issuer": settings.issuer, "client_id": settings.client_id}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _sign_in_again() -> AccessProblem:
    return AccessProblem("sign_in_again", SIGN_IN_TOO_LONG, status=401, todo=SIGN_IN_AGAIN)


def _log(
    shop: Shop, connection: sa.Connection, action: AuditAction, user_id: str, at: datetime, **details: object
) -> None:
    audit_log.append(shop, connection, action, {"user_id": user_id, **details}, at=at)
