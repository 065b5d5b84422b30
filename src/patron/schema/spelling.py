"""Names that were probably meant, and names as they are kept."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

SHORTEST_PART = 4
"""Letters from which on a name that is part of another one is probably meant for it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question for a refusal, such as "Did you mean share?", or nothing when no known name is like this one."""
    typed, by_lower = name.lower(), {one.lower(): one for one in known}
    longer = [one for one in by_lower if len(typed) >= SHORTEST_PART and typed in one]
    close = longer if len(longer) == 1 else get_close_matches(typed, by_lower, n=1)
    return f"Did you mean {by_lower[close[0]]}?" if close else ""


def one_line(text: str) -> str:
    """A name as it is kept and compared: composed characters (NFC), runs of blanks as one, none around it."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def one_of(names: Iterable[str]) -> str:
    """Names as a sentence has them: a, b or c."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
