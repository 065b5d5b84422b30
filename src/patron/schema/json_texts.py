"""JSON that somebody sent: how deep it may be nested, and read without ever failing on that."""

import json
import re
from typing import Any

MAX_DEPTH = 100
"""Lists and objects within each other; whoever reads them calls itself for each."""
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
OPENING, CLOSING = b"[{", b"]}"


def is_too_deep(text: bytes) -> bool:
    """Whether JSON nests deeper than it may, whatever else is wrong with it."""
    if text.count(b"{") + text.count(b"[") <= MAX_DEPTH:  # why: nearly all texts have fewer, and counting is fast
        return False
    depth = 0
    for sign in re.findall(rb"[\[\]{}]", STRINGS.sub(b"", text)):
        depth += 1 if sign in OPENING else -1
        if depth > MAX_DEPTH:
            return True
    return False


def parse_json(text: str) -> Any:
    """Read JSON. Raises ValueError, also for one that nests deeper than it may."""
    if is_too_deep(text.encode(errors="replace")):
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    return json.loads(text)
