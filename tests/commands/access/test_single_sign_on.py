"""Single sign-on: who the issuer vouches for gets in as the user of that account, and nobody by a forged answer."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from joserfc.jwk import RSAKey
from pydantic import ValidationError

from oidc_issuer import CLIENT, SECRET, local_issuer
from passkey_device import Device
from patron.commands.access import manage_users, passkeys
from patron.commands.access.passkeys import PasskeyPlace
from patron.commands.access.sign_in import Browser, Credentials, SignInLimits, sign_in
from patron.commands.access.single_sign_on import (
    SECRET_VARIABLE,
    IssuerCallback,
    Purpose,
    begin_single_sign_on,
    complete_single_sign_on,
)
from patron.commands.access.user_account import offer_factor
from patron.govern.access import audit_log, users
from patron.govern.access.passwords import hash_password
from patron.govern.access.request_context import RequestContext
from patron.govern.access.user_sessions import create_session, find_session
from patron.schema.access.access_rights import Role
from patron.schema.errors import AccessProblem
from patron.storage.access.oidc_settings import OidcSettings
from patron.storage.settings import Settings

HERE = Browser("10.0.0.1", "Firefox")
URI = "http://localhost:8321/sign-in/sso/callback"
PASSWORD = "copper lantern drifts seaward"  # noqa: S105 - of nobody


@pytest.fixture
def issuer():
    with local_issuer() as opened:
        yield opened


@pytest.fixture
def shop(shop, issuer, monkeypatch):
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    configure(shop, issuer)
    return shop


def configure(shop, issuer, **options):
    oidc = OidcSettings(issuer=issuer.url, client_id=CLIENT, **options)
    shop.settings = Settings.model_copy(shop.settings, update={"oidc": oidc})


def now():
    return datetime.now(UTC)


def join(shop, name="ada", *, state="active", password_hash="of nothing"):  # noqa: S107 - of nobody
    """The session of a user who signed in by a password."""
    with shop.store.begin() as connection:
        access = users.Access((Role.ADMIN,))
        user_id = users.add_user(connection, f"{name}@example.com", name, access, by="test", at=now())
        users.change_user(connection, user_id, state=state, password_hash=password_hash)
        secret = create_session(connection, user_id, HERE, has_second_factor=False, at=now())
    return find_session(shop, secret, now=now())


def back_of(issuer, redirect, **changes):
    said = issuer.answer(redirect.url)
    return replace(IssuerCallback(said["state"], said["code"], "", said["iss"], redirect.secret), **changes)


def travel(shop, issuer, purpose=Purpose.SIGN_IN, *, session=None, link="", at=None, changes=None):
    options = {"session": session, "link": link, "limits": SignInLimits(), "now": at or now()}
    back = replace(
        back_of(issuer, begin_single_sign_on(shop, purpose, URI, HERE.address, **options)), **(changes or {})
    )
    return complete_single_sign_on(shop, back, HERE, session=session, now=at or now())


def refusal(action, *arguments, **options):
    with pytest.raises(AccessProblem) as refused:
        action(*arguments, **options)
    return refused.value.problem


def user_of(shop, result):
    return find_session(shop, result.signed_in.secret, now=now()).actor


def test_who_linked_an_account_signs_in_by_it_and_by_no_password(shop, issuer):
    session = join(shop, password_hash=hash_password(PASSWORD))
    assert refusal(travel, shop, issuer) == "sso_unknown", "an e-mail address alone links nothing"
    assert travel(shop, issuer, Purpose.LINK, session=session).signed_in is None
    assert user_of(shop, travel(shop, issuer)).user_id == session.actor.user_id
    entered, limits = Credentials("ada@example.com", PASSWORD), SignInLimits()
    assert refusal(sign_in, shop, entered, HERE, limits=limits, now=now()) == "sso_only"
    assert (
        refusal(sign_in, shop, replace(entered, password=PASSWORD[1:]), HERE, limits=limits, now=now())
        == "sign_in_wrong"
    )
    assert (
        refusal(manage_users.reset_link, RequestContext.from_name(shop, "test", now=now()), "ada@example.com")
        == "sso_only"
    )
    configure(shop, issuer, is_only_way=False)
    assert sign_in(shop, entered, HERE, limits=limits, now=now()).secret
    configure(shop, issuer)
    manage_users.unlink_accounts(RequestContext.from_name(shop, "test", now=now()), "ada@example.com")
    assert sign_in(shop, entered, HERE, limits=limits, now=now()).secret
    assert refusal(travel, shop, issuer) == "sso_unknown"


FORGERIES = {
    "another nonce": lambda claims, header, key: ({**claims, "nonce": "x"}, header, key),
    "no nonce": lambda claims, header, key: ({n: v for n, v in claims.items() if n != "nonce"}, header, key),
    "another audience": lambda claims, header, key: ({**claims, "aud": "another client"}, header, key),
    "two audiences": lambda claims, header, key: ({**claims, "aud": [CLIENT, "another"], "azp": CLIENT}, header, key),
    "another issuer": lambda claims, header, key: ({**claims, "iss": "https://evil.example"}, header, key),
    "expired": lambda claims, header, key: ({**claims, "exp": claims["iat"] - 61}, header, key),
    "of the future": lambda claims, header, key: ({**claims, "iat": claims["iat"] + 600}, header, key),
    "no end": lambda claims, header, key: ({n: v for n, v in claims.items() if n != "exp"}, header, key),
    "no subject": lambda claims, header, key: ({**claims, "sub": ""}, header, key),
    "a list as subject": lambda claims, header, key: ({**claims, "sub": ["ada-1"]}, header, key),
    "no signature": lambda claims, header, _key: (claims, {**header, "alg": "none"}, None),
    "a key of its own": lambda claims, header, key: (claims, header, RSAKey.generate_key(2048, {"kid": key.kid})),
    "another access token": lambda claims, header, key: ({**claims, "at_hash": "x"}, header, key),
    "the public key as a shared secret": lambda claims, header, key: (
        claims, {**header, "alg": "HS256"}, key.as_pem(private=False),
    ),
    "the client's secret": lambda claims, header, _key: (
        claims, {**header, "alg": "HS256"}, SECRET.encode(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_signs_nobody_in(shop, issuer, forgery):
    session = join(shop)
    travel(shop, issuer, Purpose.LINK, session=session)
    linked = audit_log.entries(shop.store)[-1]
    assert (linked.action, json.loads(linked.details)["by"]) == ("account linked", session.actor.name)
    issuer.forge = FORGERIES[forgery]
    assert refusal(travel, shop, issuer) == "sso_refused"
    last = audit_log.entries(shop.store)[-1]
    assert (last.action, "sso_refused" in str(last.details)) == ("sign-in failed", True)


def test_an_answer_counts_once_in_time_and_in_the_browser_that_asked(shop, issuer):
    session, limits = join(shop), SignInLimits()
    travel(shop, issuer, Purpose.LINK, session=session)

    def depart():
        return begin_single_sign_on(shop, Purpose.SIGN_IN, URI, HERE.address, limits=limits, now=now())

    first, second = depart(), depart()
    assert (
        refusal(complete_single_sign_on, shop, back_of(issuer, first, secret=second.secret), HERE, now=now())
        == "sign_in_again"
    )
    assert refusal(complete_single_sign_on, shop, back_of(issuer, first), HERE, now=now()) == "sign_in_again", (
        "it was used up"
    )
    back = back_of(issuer, second)
    complete_single_sign_on(shop, back, HERE, now=now())
    assert refusal(complete_single_sign_on, shop, back, HERE, now=now()) == "sign_in_again"
    late = now() + timedelta(minutes=11)
    assert refusal(complete_single_sign_on, shop, back_of(issuer, depart()), HERE, now=late) == "sign_in_again"
    assert refusal(travel, shop, issuer, changes={"issuer": "https://evil.example"}) == "sso_refused"
    assert refusal(travel, shop, issuer, changes={"error": "access_denied"}) == "sso_refused"
    third, fourth = depart(), depart()
    code = issuer.answer(third.url)["code"]
    assert (
        refusal(complete_single_sign_on, shop, back_of(issuer, fourth, code=code), HERE, now=now()) == "sso_unreachable"
    ), "a code of another request has another verifier"


def test_an_answer_to_another_session_links_and_confirms_nothing(shop, issuer):
    ada, eve = join(shop), join(shop, "eve")
    for purpose in (Purpose.LINK, Purpose.CONFIRM):
        redirect = begin_single_sign_on(shop, purpose, URI, HERE.address, session=eve, limits=SignInLimits(), now=now())
        back = back_of(issuer, redirect)
        assert refusal(complete_single_sign_on, shop, back, HERE, session=ada, now=now()) == "sign_in_again"
    travel(shop, issuer, Purpose.LINK, session=ada)
    assert refusal(travel, shop, issuer, Purpose.LINK, session=eve) == "identity_taken"
    assert refusal(travel, shop, issuer, Purpose.CONFIRM, session=eve) == "sso_not_again"
    assert travel(shop, issuer, Purpose.CONFIRM, session=ada).purpose == Purpose.CONFIRM
    issuer.forge = lambda claims, header, key: ({**claims, "auth_time": claims["iat"] - 600}, header, key)
    assert refusal(travel, shop, issuer, Purpose.CONFIRM, session=ada) == "sso_not_again"
    old = replace(ada, confirmed_at=now() - timedelta(minutes=16))
    assert refusal(travel, shop, issuer, Purpose.LINK, session=old) == "confirm_first"


def test_new_keys_of_the_issuer_are_read_and_its_clock_may_be_a_minute_off(shop, issuer):
    travel(shop, issuer, Purpose.LINK, session=join(shop))
    issuer.rotate()
    later = now() + timedelta(minutes=2)
    issuer.clock = lambda: later + timedelta(seconds=50)
    assert travel(shop, issuer, at=later).signed_in.secret
    assert issuer.requests.count("/keys") == 2
    issuer.clock = lambda: later + timedelta(seconds=90)
    assert refusal(travel, shop, issuer, at=later) == "sso_refused"


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
    ],
)
def test_an_issuer_that_says_it_is_another_or_leads_astray_is_not_gone_to(shop, issuer, said):
    issuer.metadata = said
    assert refusal(travel, shop, issuer) == "sso_refused"


def test_somebody_unknown_becomes_a_user_only_where_the_settings_say_so(shop, issuer):
    join(shop, "ben")
    issuer.person |= {"sub": "cleo-1", "email": "Cleo@Example.com", "name": "Cleo"}
    assert refusal(travel, shop, issuer) == "sso_unknown"
    configure(shop, issuer, unknown_users="create", new_user_role=Role.ANALYST, mail_domains=("example.com",))
    assert user_of(shop, travel(shop, issuer)).email == "cleo@example.com"
    again = travel(shop, issuer)
    with shop.store.begin() as connection:
        cleo = users.find_user_by_email(connection, "cleo@example.com")
        assert (cleo.roles, cleo.grants, cleo.has_password) == ((Role.ANALYST,), (), False)
        assert user_of(shop, again).user_id == cleo.user_id
    for person, problem in (
        ({"sub": "eve-1", "email": "ben@example.com"}, "sso_email_taken"),
        ({"sub": "eve-2", "email": "eve@evil.example"}, "sso_domain"),
        ({"sub": "eve-3", "email": "eve@example.com", "email_verified": False}, "sso_domain"),
        ({"sub": "eve-4", "email": ["eve@example.com"]}, "sso_domain"),
    ):
        issuer.person |= {"email_verified": True, **person}
        assert refusal(travel, shop, issuer) == problem
    configure(shop, issuer, unknown_users="create", role_claim="groups", roles={"crm": Role.VIEWER})
    issuer.person |= {"sub": "eve-5", "email_verified": "no", "groups": "crm"}
    assert refusal(travel, shop, issuer) == "sso_email"
    manage_users.disable(RequestContext.from_name(shop, "test", now=now()), cleo.user_id)
    issuer.person |= {"sub": "cleo-1"}
    assert refusal(travel, shop, issuer) == "sso_disabled"


def test_groups_of_the_issuer_are_roles_with_each_sign_in(shop, issuer):
    join(shop, "ben")
    roles = {"crm": Role.MARKETER, "crm-leads": Role.APPROVER, "crm-admins": Role.ADMIN}
    configure(shop, issuer, unknown_users="create", role_claim="groups", roles=roles)
    assert refusal(travel, shop, issuer) == "sso_no_role"
    for groups, expected in ((["crm", "crm-leads", "x"], {"marketer", "approver"}), ("crm", {"marketer"})):
        issuer.person |= {"groups": groups}
        user_id = user_of(shop, travel(shop, issuer)).user_id
        with shop.store.begin() as connection:
            assert set(users.find_user(connection, user_id).roles) == expected
    issuer.person |= {"groups": [{"crm": 1}]}
    assert refusal(travel, shop, issuer) == "sso_no_role"


def test_an_invitation_is_accepted_with_an_account_once(shop, issuer):
    compose = lambda *_arguments: None  # noqa: E731 - no letter is sent
    link = manage_users.invite(
        RequestContext.from_name(shop, "test", now=now()),
        "ben@work.example",
        manage_users.Access((Role.VIEWER,)),
        compose=compose,
    )
    secret = link.path.rpartition("/")[2]
    actor = user_of(shop, travel(shop, issuer, Purpose.JOIN, link=secret))
    assert (actor.user_id, actor.name.partition(" (")[0]) == (link.user.user_id, "Ada Lee")
    assert refusal(travel, shop, issuer, Purpose.JOIN, link=secret) == "link_spent"
    assert user_of(shop, travel(shop, issuer)).user_id == link.user.user_id


def test_a_second_factor_at_the_issuer_counts_where_it_says_so(shop, issuer):
    session = join(shop)
    travel(shop, issuer, Purpose.LINK, session=session)

    def has_factor():
        return find_session(shop, travel(shop, issuer).signed_in.secret, now=now()).has_second_factor

    assert not has_factor()
    issuer.person |= {"amr": ["pwd", "mfa"]}
    assert has_factor()
    with shop.store.begin() as connection:
        users.change_user(connection, session.actor.user_id, totp_secret=b"x")
    assert travel(shop, issuer).signed_in.ticket == ""
    issuer.person |= {"amr": ["pwd"]}
    assert travel(shop, issuer).signed_in.ticket, "who has a code is asked for it"
    configure(shop, issuer, is_second_factor=True)
    assert has_factor()


def test_an_account_at_the_issuer_makes_no_second_factor_for_who_has_a_passkey(shop, issuer):
    session, device, place = join(shop), Device(), PasskeyPlace("localhost", "http://localhost:8321")
    made = device.make(passkeys.new_passkey_options(shop, session, place, now=now()))
    passkeys.add_passkey(shop, session, place, made, name="Laptop", now=now())
    travel(shop, issuer, Purpose.LINK, session=session)
    access = shop.settings.access.model_copy(update={"needs_second_factor": True})
    shop.settings = Settings.model_copy(shop.settings, update={"access": access})
    secret = travel(shop, issuer).signed_in.secret
    entered = find_session(shop, secret, now=now())
    assert not entered.has_second_factor
    assert refusal(offer_factor, shop, entered) == "passkey_first"
    assert refusal(passkeys.new_passkey_options, shop, entered, place, now=now()) == "passkey_first"
    options = passkeys.confirmation_options(shop, entered, place, now=now())
    passkeys.confirm_with_passkey(shop, entered, place, device.sign(options), limits=SignInLimits(), now=now())
    proved = find_session(shop, secret, now=now())
    assert proved.has_second_factor
    assert offer_factor(shop, proved).secret


@pytest.mark.parametrize(
    "options",
    [
        {"issuer": "http://login.example.com", "client_id": "x"},
        {"issuer": "https://login.example.com"},
        {"issuer": "https://login.example.com", "client_id": "x", "scopes": ("email",)},
        {"issuer": "https://login.example.com", "client_id": "x", "role_claim": "groups"},
        {"issuer": "https://login.example.com", "client_id": "x", "unknown_users": "create"},
        {"issuer": "https://login.example.com", "client_id": "x", "client_secret": "in the open"},
        {"issuer": "https://login.example.com", "client_id": "x", "roles": {"a": "king"}, "role_claim": "groups"},
    ],
)
def test_settings_that_would_not_be_safe_are_refused(options):
    with pytest.raises(ValidationError):
        OidcSettings(**options)
