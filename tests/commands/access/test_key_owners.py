"""Whose an API key is: it may never do more than they, sees no other customers, and stops with them."""

from datetime import UTC, datetime

import pytest

from patron.commands.access import manage_users
from patron.commands.access.identify_actor import identify_key
from patron.commands.access.manage_keys import create_key, list_keys, rotate_key
from patron.govern.access import audit_log, users
from patron.govern.access.api_keys import keys_by_hash
from patron.govern.access.request_context import RequestContext
from patron.govern.access.user_sessions import user_name
from patron.schema.access.access_rights import Actor, Grant, Role, rights_of_user
from patron.schema.errors import BadKey, BadKeyTerms, NotFound
from patron.storage.access.access_tables import TEAMS

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
EXPORTS = {"export:customers", "export:segments"}


def join(shop, name="ada", roles=(Role.ADMIN,), grants=(), team=""):
    """A user, as who they ask."""
    with shop.store.begin() as connection:
        access = users.Access(tuple(roles), tuple(grants), team)
        user_id = users.add_user(connection, f"{name}@example.com", name, access, by="test", at=NOW)
        users.change_user(connection, user_id, state="active", password_hash="of nothing")  # noqa: S106 - of nobody
    return Actor(user_name(name, user_id), rights_of_user(roles, grants), user_id=user_id)


def add_team(shop, name, segment):
    with shop.store.begin() as connection:
        row = {"team": name, "segment": segment, "created_at": NOW, "created_by": "test"}
        connection.execute(TEAMS.insert().values(row))


def rights(shop, key):
    return {str(right) for right in identify_key(shop, key.key, now=NOW).rights}


def is_refused(shop, key):
    with pytest.raises(BadKey):
        identify_key(shop, key.key, now=NOW)
    return True


def test_a_key_may_no_more_than_its_maker_at_any_time(shop):
    ada = join(shop)
    with pytest.raises(BadKeyTerms, match="you do not have export:segments yourself"):
        create_key(RequestContext(shop, ada, now=NOW), "bi", "secret", scopes=["read:segments", "export:segments"])
    assert (list_keys(shop), audit_log.entries(shop.store)[-1].action) == ([], "key refused")
    key = create_key(RequestContext(shop, ada, now=NOW), "bi", "secret")
    assert not rights(shop, key) & EXPORTS
    assert "act:privacy" not in rights(shop, key), "an administrator is no privacy officer"
    assert {"read:customers", "approve:campaigns", "act:storefront"} <= rights(shop, key)
    access = manage_users.Access((Role.ADMIN,), (Grant.EXPORT,))
    manage_users.set_access(RequestContext.from_name(shop, "test", now=NOW), ada.user_id, access)
    assert rights(shop, key) & EXPORTS == EXPORTS, "with a right of the owner the key has it too"
    join(shop, "ben")
    manage_users.set_access(
        RequestContext.from_name(shop, "test", now=NOW), ada.user_id, manage_users.Access((Role.VIEWER,))
    )
    assert {right for right in rights(shop, key) if not right.startswith("read:")} == {"act:storefront"}


def test_who_rotates_a_key_gets_no_more_than_they_may(shop):
    ben, old = join(shop, "ben"), create_key(RequestContext.from_name(shop, now=NOW), "erp", "secret")
    assert rights(shop, old) >= EXPORTS, "a key of the command line is nobody's"
    new = rotate_key(RequestContext(shop, ben, now=NOW), old.key_id)
    assert not rights(shop, new) & EXPORTS


def test_keys_stop_with_their_owner_and_go_on_with_them(shop):
    join(shop, "ben")
    ada = join(shop)
    secret, public = (create_key(RequestContext(shop, ada, now=NOW), "web", kind) for kind in ("secret", "write"))
    assert identify_key(shop, secret.key, now=NOW).name.endswith(f" of user {ada.user_id}")
    manage_users.disable(RequestContext.from_name(shop, "test", now=NOW), ada.user_id)
    assert is_refused(shop, secret)
    assert [key.kind for key in keys_by_hash(shop).values()] == ["write"], "events of shoppers go on"
    assert rights(shop, public) == {"act:storefront"}
    manage_users.enable(RequestContext.from_name(shop, "test", now=NOW), ada.user_id)
    assert rights(shop, secret)
    assert len(keys_by_hash(shop)) == 2


def test_a_key_sees_the_customers_that_its_owner_sees(shop):
    join(shop, "ben")
    add_team(shop, "West", "west")
    ada = join(shop, team="West")
    key = create_key(RequestContext(shop, ada, now=NOW), "bi", "secret")
    actor = identify_key(shop, key.key, now=NOW)
    assert (actor.segment, actor.may("act", "storefront")) == ("west", False)
    manage_users.set_access(
        RequestContext.from_name(shop, "test", now=NOW), ada.user_id, manage_users.Access((Role.ADMIN,))
    )
    assert identify_key(shop, key.key, now=NOW).segment == ""
    with pytest.raises(NotFound):
        create_key(RequestContext(shop, ada, now=NOW), "bi", "read", segment="nowhere")


def test_a_key_restricted_to_a_segment_is_refused_when_its_owner_is_restricted_to_another(shop, monkeypatch):
    monkeypatch.setattr("patron.commands.access.manage_keys.definition", lambda _store, _name: None)
    join(shop, "ben")
    ada = join(shop)
    key = create_key(RequestContext(shop, ada, now=NOW), "bi", "read", segment="vip")
    assert identify_key(shop, key.key, now=NOW).segment == "vip"
    assert (
        identify_key(shop, rotate_key(RequestContext.from_name(shop, now=NOW), key.key_id).key, now=NOW).segment
        == "vip"
    )
    add_team(shop, "West", "west")
    manage_users.set_access(
        RequestContext.from_name(shop, "test", now=NOW), ada.user_id, manage_users.Access((Role.ADMIN,), (), "West")
    )
    assert is_refused(shop, key)
    with pytest.raises(BadKeyTerms, match="another segment"):
        create_key(
            RequestContext(shop, Actor("", ada.rights, ada.user_id, segment="west"), now=NOW),
            "bi",
            "read",
            segment="vip",
        )
