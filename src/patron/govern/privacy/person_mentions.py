"""Find out whether a text mentions a person, by the tokens of the values in it; the values stay unknown."""

import json
import re
from collections.abc import Iterator

from patron.govern.vault import FOLDED, PREFIXES, Vault
from patron.schema.outreach.channels import ADDRESS_KINDS

OF_TRAITS = frozenset(kind.name for kind in ADDRESS_KINDS if kind.is_trait)
KINDS = tuple(kind for kind in PREFIXES if kind not in {"event", "identifier", FOLDED, *OF_TRAITS})
CELL = re.compile(r"[^,;\t|\"\r\n]+")
SHORT_NUMBER = re.compile(r"-?\d{1,6}(\.\d+)?")
SAYS_WHO = re.compile(r"(?i)user|customer|client|member|visitor|household|person|buyer|anonymous|distinct|email|phone")
"""Keys under which a short number is somebody; elsewhere it is a quantity, a product or a price."""
WORD = re.compile(r"[^\s,;|\"'<>(){}\[\]]+")


def mentions_any(vault: Vault, tokens: frozenset[str], text: str) -> bool:
    """Whether a text (JSON or a line of a file) has an identifier, e-mail address or phone number of these tokens."""
    # why: a rejected message may hold half of a character, which no token is made of
    values = {value.encode(errors="replace").decode().strip() for value in values_in(text)}
    return any(vault.token(kind, value) in tokens for value in values if value for kind in KINDS)


def values_in(text: str, key: str = "") -> Iterator[str]:
    """Values in a text: the scalars of JSON, the cells and words of any other text."""
    decoded = _json(text)
    if decoded is None:
        yield from (text, *CELL.findall(text), *WORD.findall(text))
    ahead = [(key, decoded)]
    while ahead:
        name, one = ahead.pop()
        if isinstance(one, dict):
            ahead += one.items()
        elif isinstance(one, list):
            ahead += ((name, item) for item in one)
        elif isinstance(one, str) and one != text:
            yield from values_in(one, name)  # why: a letter holds the line it was, and a line is JSON or cells again
        elif one is not None and (SAYS_WHO.search(name) or not SHORT_NUMBER.fullmatch(str(one))):
            yield str(one)


def _json(text: str) -> object:
    """Decoded JSON; None for any other text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
