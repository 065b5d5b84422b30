"""Passkeys: who has one signs in by it alone, and nobody else does, whatever they send."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from passkey_device import PRESENT, Device
from patron.commands.access import manage_users, passkeys
from patron.commands.access.passkeys import PasskeyPlace, passkey_place
from patron.commands.access.sign_in import Browser, Credentials, SignInLimits, sign_in
from patron.govern.access import audit_log, users
from patron.govern.access.passwords import hash_password
from patron.govern.access.request_context import RequestContext
from patron.govern.access.user_identities import list_identities
from patron.govern.access.user_sessions import create_session, find_session
from patron.schema.access.access_rights import Role
from patron.schema.errors import AccessProblem
from patron.storage.access.access_tables import SESSIONS
from patron.storage.settings import Settings

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
HERE = Browser("10.0.0.1", "Firefox")
PLACE = PasskeyPlace("localhost", "http://localhost:8321")
PASSWORD = "copper lantern drifts seaward"  # noqa: S105 - of nobody


def join(shop, name="ada", *, password_hash="of nothing"):  # noqa: S107 - of nobody
    """A user with a session; the id and the session."""
    with shop.store.begin() as connection:
        access = users.Access((Role.ADMIN,))
        user_id = users.add_user(connection, f"{name}@example.com", name, access, by="test", at=NOW)
        users.change_user(connection, user_id, state="active", password_hash=password_hash)
        secret = create_session(connection, user_id, HERE, has_second_factor=False, at=NOW)
    return find_session(shop, secret, now=NOW)


def add(shop, session, device, *, name="Laptop", place=PLACE, now=NOW):
    options = passkeys.new_passkey_options(shop, session, place, now=now)
    passkeys.add_passkey(shop, session, place, device.make(options), name=name, now=now)


def enter(shop, device, *, options=None, place=PLACE, now=NOW):
    limits = SignInLimits()
    options = options or passkeys.sign_in_options(shop, place, HERE.address, limits=limits, now=now)
    return passkeys.sign_in_with_passkey(shop, place, device.sign(options), HERE, limits=limits, now=now)


def refusal(action, *arguments, **options):
    with pytest.raises(AccessProblem) as refused:
        action(*arguments, **options)
    return refused.value.problem


def identities(shop, session):
    with shop.store.begin() as connection:
        return list_identities(connection, session.actor.user_id)


def actions(shop):
    return [entry.action for entry in audit_log.entries(shop.store)]


def test_a_passkey_signs_its_owner_in_with_both_factors_and_says_when(shop):
    session, device, phone = join(shop), Device(), Device()
    add(shop, session, device)
    add(shop, session, phone, name="Phone", now=NOW + timedelta(minutes=1))
    later = NOW + timedelta(days=2)
    signed_in = enter(shop, device, now=later)
    found = find_session(shop, signed_in.secret, now=later)
    assert (found.actor.user_id, found.has_second_factor) == (session.actor.user_id, True)
    assert [(identity.name, identity.used_at) for identity in identities(shop, session)] == [
        ("Laptop", later),
        ("Phone", None),
    ]
    added = [
        json.loads(entry.details)["by"] for entry in audit_log.entries(shop.store) if entry.action == "passkey added"
    ]
    assert added == [session.actor.name] * 2
    assert enter(shop, phone, now=later).secret != signed_in.secret


def test_what_a_passkey_signed_signs_nobody_in_a_second_time_or_late(shop):
    device = Device()
    add(shop, join(shop), device)
    options = passkeys.sign_in_options(shop, PLACE, HERE.address, limits=SignInLimits(), now=NOW)
    answer, limits = device.sign(options), SignInLimits()
    passkeys.sign_in_with_passkey(shop, PLACE, answer, HERE, limits=limits, now=NOW)
    again = refusal(passkeys.sign_in_with_passkey, shop, PLACE, answer, HERE, limits=limits, now=NOW)
    assert again == "passkey_expired"
    options = passkeys.sign_in_options(shop, PLACE, HERE.address, limits=limits, now=NOW)
    assert refusal(enter, shop, device, options=options, now=NOW + timedelta(minutes=11)) == "passkey_expired"
    made_up = {"challenge": "AAAA"}
    assert refusal(enter, shop, device, options=made_up) == "passkey_expired"


@pytest.mark.parametrize("change", ["origin", "name", "flags", "user", "key", "sign_count", "id"])
def test_a_passkey_that_is_not_what_it_should_be_signs_nobody_in(shop, change):
    session, device = join(shop), Device()
    add(shop, session, device)
    enter(shop, device)
    forged = {
        "origin": "http://localhost:8322",
        "name": "elsewhere.example",
        "flags": PRESENT,
        "user": b"0" * 12,
        "key": Device().key,
        "sign_count": 1,
        "id": Device().id,
    }[change]
    setattr(device, change, forged)
    assert refusal(enter, shop, device) == "passkey_wrong"
    last = actions(shop)[-1]
    assert last == ("sign-in failed" if change == "id" else "passkey refused")


def test_a_question_to_one_session_adds_no_passkey_to_another(shop):
    ada, eve = join(shop), join(shop, "eve")
    options = passkeys.new_passkey_options(shop, ada, PLACE, now=NOW)
    answer = Device().make(options)
    assert refusal(passkeys.add_passkey, shop, eve, PLACE, answer, name="Eve's", now=NOW) == "passkey_expired"
    assert refusal(passkeys.add_passkey, shop, ada, PLACE, answer, name="late", now=NOW) == "passkey_expired"
    device = Device()
    add(shop, ada, device)
    assert refusal(add, shop, eve, device) == "identity_taken"
    careless = Device()
    careless.flags = PRESENT
    assert refusal(add, shop, ada, careless) == "passkey_wrong", "its user was not verified"
    old = replace(ada, confirmed_at=NOW - timedelta(minutes=16))
    assert refusal(add, shop, old, Device()) == "confirm_first"


@pytest.mark.parametrize(
    "answer", ["", "{", "[]", "{}", '{"response": {}}', '{"response": {"clientDataJSON": 1}}', "9" * 30_000]
)
def test_what_is_no_answer_of_a_browser_is_refused(shop, answer):
    limits = SignInLimits()
    assert refusal(passkeys.sign_in_with_passkey, shop, PLACE, answer, HERE, limits=limits, now=NOW) == "passkey_wrong"


def test_a_removed_passkey_and_one_of_a_disabled_user_sign_nobody_in(shop):
    session, device, other = join(shop), Device(), Device()
    ben = join(shop, "ben")
    add(shop, session, device)
    add(shop, ben, other)
    passkey_id = identities(shop, session)[0].subject
    passkeys.remove_passkey(shop, ben, passkey_id, now=NOW)
    assert len(identities(shop, session)) == 1, "nobody removes another's"
    passkeys.remove_passkey(shop, session, passkey_id, now=NOW)
    assert refusal(enter, shop, device) == "passkey_wrong"
    manage_users.disable(RequestContext.from_name(shop, "test", now=NOW), ben.actor.user_id)
    assert refusal(enter, shop, other) == "passkey_wrong"
    manage_users.enable(RequestContext.from_name(shop, "test", now=NOW), ben.actor.user_id)
    assert enter(shop, other).secret


def test_nobody_removes_the_only_way_in(shop):
    session, device = join(shop, password_hash=""), Device()
    add(shop, session, device)
    passkey_id = identities(shop, session)[0].subject
    assert refusal(passkeys.remove_passkey, shop, session, passkey_id, now=NOW) == "last_way_in"
    manage_users.remove_second_factor(RequestContext.from_name(shop, "test", now=NOW), session.actor.user_id)
    assert identities(shop, session) == (), "who lost the device is helped by an administrator"


def test_a_passkey_confirms_who_signed_in_a_while_ago_and_only_them(shop):
    session, device, ben = join(shop), Device(), join(shop, "ben")
    other = Device()
    add(shop, session, device)
    add(shop, ben, other)

    def confirm(who, by, limits):
        options = passkeys.confirmation_options(shop, who, PLACE, now=later)
        passkeys.confirm_with_passkey(shop, who, PLACE, by.sign(options), limits=limits, now=later)

    later = NOW + timedelta(hours=1)
    assert refusal(confirm, session, other, SignInLimits()) == "passkey_wrong"
    confirm(session, device, SignInLimits())
    with shop.store.begin() as connection:
        rows = connection.execute(sa.select(SESSIONS.c.session_id, SESSIONS.c.confirmed_at)).all()
    confirmed_at = {row.session_id: row.confirmed_at.replace(tzinfo=UTC) for row in rows}
    assert (confirmed_at[session.session_id], confirmed_at[ben.session_id]) == (later, NOW)
    answer = device.sign(passkeys.confirmation_options(shop, session, PLACE, now=later))
    wrong = refusal(passkeys.sign_in_with_passkey, shop, PLACE, answer, HERE, limits=SignInLimits(), now=later)
    assert wrong == "passkey_expired", "an answer to one question answers no other"


def test_where_a_second_factor_is_needed_a_password_does_not_stand_in_for_a_passkey(shop):
    session = join(shop, password_hash=hash_password(PASSWORD))
    add(shop, session, Device())
    settings = shop.settings
    access = settings.access.model_copy(update={"needs_second_factor": True})
    shop.settings = Settings.model_copy(settings, update={"access": access})
    entered = Credentials("ada@example.com", PASSWORD)
    assert refusal(sign_in, shop, entered, HERE, limits=SignInLimits(), now=NOW) == "passkey_needed"


def test_passkeys_are_bound_to_the_name_of_the_settings_or_to_this_machine(shop):
    assert passkey_place(shop, "http", "localhost:8321") == PLACE
    assert passkey_place(shop, "http", "127.0.0.1:8321") is None
    assert passkey_place(shop, "https", "crm.example.com") is None, "it is not in the settings"
    for url, place in (
        ("https://CRM.example.com", PasskeyPlace("crm.example.com", "https://crm.example.com")),
        ("https://crm.example.com:8443", PasskeyPlace("crm.example.com", "https://crm.example.com:8443")),
        ("https://10.0.0.5", None),
    ):
        access = shop.settings.access.model_copy(update={"public_url": url})
        shop.settings = Settings.model_copy(shop.settings, update={"access": access})
        host = url.partition("://")[2].lower()
        assert passkey_place(shop, "http", host) == place, "a proxy speaks http to us"
