"""Who sends a request: the owner of a session, or an API key."""

from dataclasses import replace
from datetime import datetime

from patron.commands.access.actors import key_actor
from patron.govern.access.api_keys import find_key, key_rights
from patron.govern.access.user_sessions import Session, csrf_token, find_session
from patron.schema.access.access_rights import Actor
from patron.schema.errors import BadKey
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop

CREATE_SECRET_KEY = Sentence("create_secret_key", "Create one: patron keys create --source SOURCE --kind secret.")
KEY_SEGMENT_CHANGED = Sentence(
    "key_segment_changed", "the key is restricted to a segment, but its owner has since been restricted to another one"
)
KEY_INVALID = Sentence("key_invalid", "the key is missing, unknown, revoked or expired")
MAKE_NEW_KEY = Sentence("make_new_key", "Make a new key.")

__all__ = ["Session", "csrf_token", "identify_key", "identify_session"]


def identify_key(shop: Shop, secret: str, *, now: datetime) -> Actor:
    """The key of a request. Raises BadKey (401) for one that is unknown, revoked or expired."""
    owned_key = find_key(shop, secret, now=now) if secret else None
    if owned_key is None:
        todo = CREATE_SECRET_KEY
        raise BadKey(401, KEY_INVALID, todo=todo)
    key, owner = owned_key
    restrictions = {one for one in (key.segment, owner.segment if owner else "") if one}
    if len(restrictions) > 1:
        what = KEY_SEGMENT_CHANGED
        raise BadKey(401, what, todo=MAKE_NEW_KEY)
    rights = key_rights(key, owner)
    return Actor(key_actor(key, owner), rights, key_id=key.key_id, segment=restrictions.pop() if restrictions else "")


def identify_session(shop: Shop, secret: str, *, now: datetime) -> Session | None:
    """The session of a cookie; None for one that is unknown, ended or too old.

    Where everybody needs a second factor, who has not entered one may do nothing but set it up.
    """
    session = find_session(shop, secret, now=now)
    if session and shop.settings.access.needs_second_factor and not session.has_second_factor:
        return replace(session, actor=replace(session.actor, rights=frozenset()))
    return session
