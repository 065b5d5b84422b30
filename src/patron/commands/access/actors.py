"""Who takes a step, as it is written: a person, a user who signed in, a key and whose it is, or a person by a key."""

import re
import unicodedata

from patron.govern.access.api_keys import Key, Owner
from patron.schema.access.access_rights import Actor

USER_AT_THE_END = re.compile(r"^(?P<person>.+) \(user (?P<user_id>[0-9a-f]+)\)$", re.DOTALL)
KEY_AT_THE_END = re.compile(
    r"(?:^|^(?P<person>.+) via )key .* \((?P<key_id>[0-9a-f]{12})\)(?: of user (?P<user_id>[0-9a-f]{12}))?$", re.DOTALL
)


def key_actor(key: Key, owner: Owner | None = None) -> str:
    """A key and the user whose it is, as a step writes it: key crm (1f0c6c1b9e2d) of user 5f4e3d2c1b0a."""
    return f"key {key.source} ({key.key_id})" + (f" of user {key.user_id}" if owner else "")


def step_actor(actor: Actor, name: str = "") -> str:
    """Who takes a step: a user is who signed in, whatever name they give; whoever uses a key may give theirs."""
    return f"{name.strip()} via {actor.name}" if actor.key_id and name.strip() else actor.name


def is_same_actor(first: str, second: str) -> bool:
    """Whether two actors are one: the same user or key, keys of one user, or of the same name."""
    (name, ids), (other_name, other_ids) = _parts(first), _parts(second)
    return bool(ids & other_ids) or (bool(name) and name == other_name)


def is_in_any_hand(actor: str) -> bool:
    """Whether it is a key that is nobody's: whoever signs in may hold it too, whatever name they give with it."""
    match = KEY_AT_THE_END.match(actor.strip())
    return match is not None and not match["user_id"]


def is_second_person(approver: str, author: str) -> bool:
    """Whether surely another person approves than the one who wrote it."""
    return not (is_same_actor(approver, author) or is_in_any_hand(approver) or is_in_any_hand(author))


def _parts(actor: str) -> tuple[str, frozenset[str]]:
    """The person's name however it is written, and ids of user and key."""
    user = USER_AT_THE_END.match(actor.strip())
    if user:
        return _spelling(user["person"]), frozenset({user["user_id"]})
    match = KEY_AT_THE_END.match(actor.strip())
    if match is None:
        return _spelling(actor), frozenset()
    ids = frozenset(one for one in (match["key_id"], match["user_id"]) if one)
    return _spelling(match["person"] or ""), ids


def _spelling(name: str) -> str:
    """Case, blanks, and letters in other forms or widths do not matter."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
