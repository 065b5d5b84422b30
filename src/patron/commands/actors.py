"""Who takes a step, as it is written: a person, a user who signed in, an API key, or a person by way of a key."""

import re
import unicodedata

from patron.govern.api_keys import Key
from patron.schema.access_rights import Actor

USER_AT_THE_END = re.compile(r"^(?P<person>.+) \(user (?P<user_id>[0-9a-f]+)\)$", re.DOTALL)
KEY_AT_THE_END = re.compile(r"(?:^|^(?P<person>.+) via )key .* \((?P<key_id>[0-9a-f]{12})\)$", re.DOTALL)


def key_actor(key: Key, name: str = "") -> str:
    """A key, with the name of whoever uses it if it says one: A. Lee via key crm (1f0c6c1b9e2d)."""
    by_key = f"key {key.source} ({key.key_id})"
    return f"{name.strip()} via {by_key}" if name.strip() else by_key


def step_actor(actor: Actor, name: str = "") -> str:
    """Who takes a step: a user is who signed in, whatever name they give; whoever uses a key may give theirs."""
    return f"{name.strip()} via {actor.name}" if actor.key_id and name.strip() else actor.name


def is_same_actor(first: str, second: str) -> bool:
    """Whether two actors may be one: the same user or key, whatever names they give, or of the same name."""
    (name, first_id), (other_name, other_id) = _parts(first), _parts(second)
    has_same_id = bool(first_id) and first_id == other_id
    return has_same_id or (bool(name) and name == other_name)


def _parts(actor: str) -> tuple[str, str]:
    """The person's name however it is written, and the id of the user or key; each empty without one."""
    user = USER_AT_THE_END.match(actor.strip())
    if user:
        return _spelling(user["person"]), user["user_id"]
    match = KEY_AT_THE_END.match(actor.strip())
    return (_spelling(match["person"] or ""), match["key_id"]) if match else (_spelling(actor), "")


def _spelling(name: str) -> str:
    """Case, blanks, and letters in other forms or widths do not matter."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
