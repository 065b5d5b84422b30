"""Names that were probably meant, and names as they are kept."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

from patron.schema.common_sentences import HINTED
from patron.schema.sentences import Sentence

DID_YOU_MEAN = Sentence("did_you_mean", "Did you mean {name}?")
KNOWN_ARE = Sentence("known_are", "Known are {names}")
TWO_TEXTS = Sentence("two_texts", "{first} {second}")

MIN_PART_LENGTH = 4
"""Letters from which on a name that is part of another one is probably meant for it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question for a refusal, such as "Did you mean share?", or nothing when no known name is like this one."""
    typed, by_lower = name.lower(), {one.lower(): one for one in known}
    longer = [one for one in by_lower if len(typed) >= MIN_PART_LENGTH and typed in one]
    close = longer if len(longer) == 1 else get_close_matches(typed, by_lower, n=1)
    return DID_YOU_MEAN(name=by_lower[close[0]]) if close else ""


def both(first: str, second: str) -> str:
    """Two sentences one after the other, where both are said."""
    return TWO_TEXTS(first=first, second=second) if first and second else first or second


def hinted(problem: str, hint: str) -> str:
    """A problem with what was probably meant or is known; alone where there is no hint."""
    return HINTED(problem=problem, hint=hint) if hint else problem


def known_are(names: Iterable[str]) -> str:
    """What is known, for a hint."""
    return KNOWN_ARE(names=", ".join(names))


def one_line(text: str) -> str:
    """A name as it is kept and compared: composed characters (NFC), runs of blanks as one, none around it."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def one_of(names: Iterable[str]) -> str:
    """Names as a sentence has them: a, b or c."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
