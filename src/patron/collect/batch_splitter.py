"""Splits JSON that does not parse as a whole into its parts, so that one broken message costs no other one.

A strict parser refuses all of a batch for a lone surrogate, a NaN or a nesting too deep in one of its messages. This
scanner looks at strings, brackets and commas only; whoever decodes a part finds out whether it is JSON.
"""

import re
from collections.abc import Iterator

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
"""A string that does not end goes to the end, so that no byte is looked at twice."""
MEMBER = re.compile(rb'\s*"((?:[^"\\]|\\.)*)"\s*:(.*)', re.DOTALL)
CLOSING = {b"[": b"]", b"{": b"}"}


def split_members(raw: bytes) -> dict[str, bytes] | None:
    """Members of a JSON object by name, each undecoded; None for what is not one from its start to its end."""
    members: dict[str, bytes] = {}
    for part in _parts(raw, b"{"):
        match = MEMBER.fullmatch(part) if part is not None else None
        if match is None:
            return None
        members[match[1].decode(errors="replace")] = match[2].strip()
    return members


def split_items(raw: bytes) -> list[bytes] | None:
    """Items of a JSON array, each undecoded; None for what is not one from its start to its end."""
    items: list[bytes] = []
    for part in _parts(raw, b"["):
        if part is None:
            return None
        items.append(part.strip())
    return items


def _parts(raw: bytes, opening: bytes) -> Iterator[bytes | None]:
    """What stands between the brackets and commas of the outermost level; None when it has no proper end."""
    raw = raw.strip()
    if not raw.startswith(opening):
        yield None
        return
    depth, start = 0, 1
    for token in TOKEN.finditer(raw):
        mark = token[0]
        if mark in CLOSING:
            depth += 1
        elif mark in {b"]", b"}"}:
            depth -= 1
            if depth == 0:
                is_whole = mark == CLOSING[opening] and token.end() == len(raw)
                if not is_whole or start > 1 or raw[start : token.start()].strip():
                    yield raw[start : token.start()] if is_whole else None
                return
        elif mark == b"," and depth == 1:
            yield raw[start : token.start()]
            start = token.end()
    yield None
