"""Parts of names as codes: what a blind index of names holds, and what a search looks for in it.

A word is searchable whole and by its first letters, a name in a script without blanks by every two neighbouring
characters. Case, accents and widths do not matter.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from patron.schema.customers.customer_contacts import is_unspaced

STARTS = (3, 4, 6)
"""Numbers of first letters that are indexed; a search for another number looks at the cards of those it finds."""
PAIR = 2
CODE_BYTES = 8
MAX_WORDS = 8
"""Words of a name, or of a search, that count."""
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Term:
    """One word of a search: any of its codes must be in a name."""

    text: str
    codes: tuple[int, ...]
    is_exact: bool
    """Whether every name with one of the codes has the word."""


def index_codes(key: bytes, name: str) -> frozenset[int]:
    """Codes of a name, for the index."""
    codes: set[int] = set()
    for word in words_of(name):
        if is_unspaced(word[0]):
            codes |= {_code(key, "pair", pair) for pair in _pairs(word)}
        else:
            codes.add(_code(key, "word", word))
            codes |= {_code(key, "start", word[:length]) for length in STARTS if length <= len(word)}
    return frozenset(codes)


def search_terms(key: bytes, text: str) -> list[Term]:
    """Words to look for, all of which a name must have; none where the text is too short to be one."""
    terms: list[Term] = []
    for word in words_of(text):
        if is_unspaced(word[0]):
            pairs = list(_pairs(word))
            terms += [Term(pair, (_code(key, "pair", pair),), len(pairs) == 1) for pair in pairs]
            continue
        length = max((start for start in STARTS if start <= len(word)), default=0)
        codes = [_code(key, "word", word), *([_code(key, "start", word[:length])] if length else [])]
        terms.append(Term(word, tuple(codes), length in {0, len(word)}))
    return terms


def has_words(name: str, text: str) -> bool:
    """Whether a name has every word of a search: whole, or from its beginning on."""
    words = words_of(name)
    return all(any(_fits(word, one) for one in words) for word in words_of(text))


def words_of(text: str) -> list[str]:
    """Words of a name in one spelling: without case, accents and widths; scripts without blanks in one piece each."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(one for one in decomposed if unicodedata.category(one) != "Mn")
    spelling = unicodedata.normalize("NFKC", plain).casefold()
    return list(dict.fromkeys(part for word in _without_gaps(spelling) for part in _runs(word)))[:MAX_WORDS]


def _without_gaps(text: str) -> list[str]:
    """Words of a text; those of a script without blanks that stand next to each other are one."""
    joined: list[str] = []
    for word in WORD.findall(text):
        if joined and is_unspaced(joined[-1][-1]) and is_unspaced(word[0]):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _runs(word: str) -> Iterator[str]:
    """Parts of a word in one kind of script each."""
    start = 0
    for place in range(1, len(word) + 1):
        if place == len(word) or is_unspaced(word[place]) != is_unspaced(word[start]):
            yield word[start:place]
            start = place


def _pairs(word: str) -> Iterator[str]:
    return (word[place : place + PAIR] for place in range(len(word) - PAIR + 1))


def _fits(word: str, of_name: str) -> bool:
    if is_unspaced(word[0]):
        return word in of_name
    return of_name == word or (len(word) >= STARTS[0] and of_name.startswith(word))


def _code(key: bytes, kind: str, text: str) -> int:
    return int.from_bytes(hmac.digest(key, f"{kind}\x00{text}".encode(), "sha256")[:CODE_BYTES], signed=True)
