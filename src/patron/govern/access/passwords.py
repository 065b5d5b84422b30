"""Passwords of people who sign in: what is a good one (OWASP ASVS 5, 6.2), and how it is stored (argon2id).

Length and how hard it is to guess count, not the kinds of characters; nobody must change a password that nobody knows.
"""

import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from patron.schema.common_sentences import TOO_MUCH_AT_ONCE, TRY_IN_A_SECOND
from patron.schema.errors import AccessProblem
from patron.schema.sentences import Sentence

PASSWORD_SHORT = Sentence("password_short", "the password has fewer than {count} characters")
PASSWORD_LONG = Sentence("password_long", "the password has more than {count} characters")
PASSWORD_GUESSED = Sentence("password_guessed", "the password is easy to guess")
TAKE_FOUR_WORDS = Sentence("take_four_words", "Use four words or more.")

MIN_LENGTH, MAX_LENGTH = 12, 128
"""Characters of a password."""
LOWEST_SCORE = 3
"""Of zxcvbn, 0 to 4: about 10^8 guesses or more."""
MAX_SCORED = 72
"""Characters that zxcvbn looks at."""
HASHER = PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1)
"""46 MiB and two passes: more than OWASP asks for, 0.08 s of a processor."""
CODE_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""For recovery codes, which are random: 19 MiB."""
AT_ONCE = threading.BoundedSemaphore(4)
"""Bounds the memory that many people who sign in at once take."""
PLACES = threading.BoundedSemaphore(12)
"""Of those who sign in and those who wait for it: nobody who is unknown holds all threads that answer requests."""


def require_good_password(password: str, context: Iterable[str]) -> None:
    """Refuse a password that is too short, or easy to guess by whoever knows some words. Raises AccessProblem."""
    text = _plain(password)
    if len(text) < MIN_LENGTH:
        raise AccessProblem("password_short", PASSWORD_SHORT(count=MIN_LENGTH))
    if len(text) > MAX_LENGTH:
        raise AccessProblem("password_long", PASSWORD_LONG(count=MAX_LENGTH))
    words = sorted({part for word in context for part in (word, *_parts(word)) if len(part) > 2})
    if zxcvbn(text[:MAX_SCORED], user_inputs=words)["score"] < LOWEST_SCORE:
        raise AccessProblem("password_guessable", PASSWORD_GUESSED, todo=TAKE_FOUR_WORDS)


def hash_password(password: str) -> str:
    """The password as it is stored. Raises AccessProblem (429) where too many sign in."""
    with _place(), AT_ONCE:
        return HASHER.hash(_plain(password))


def is_password(stored: str, password: str) -> bool:
    """Whether a password is the stored one; takes as long where none is stored. Raises AccessProblem (429)."""
    with _place(), AT_ONCE:
        try:
            return HASHER.verify(stored or _nobody(), _plain(password)[:MAX_LENGTH]) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False


@contextmanager
def _place() -> Iterator[None]:
    """Raise AccessProblem (429) where too many wait already."""
    if not PLACES.acquire(blocking=False):
        raise AccessProblem("too_many", TOO_MUCH_AT_ONCE, status=429, todo=TRY_IN_A_SECOND, retry_seconds=1)
    try:
        yield
    finally:
        PLACES.release()


def is_outdated(stored: str) -> bool:
    """Whether a password should be hashed anew as the costs have changed."""
    return HASHER.check_needs_rehash(stored)


def hash_code(code: str) -> str:
    """A recovery code as it is stored."""
    return CODE_HASHER.hash(code)


def is_code(stored: str, code: str) -> bool:
    """Whether a recovery code is the stored one. Raises AccessProblem (429) where too many sign in."""
    with _place(), AT_ONCE:
        try:
            return CODE_HASHER.verify(stored, code)
        except (VerificationError, InvalidHashError):
            return False


@cache
def _nobody() -> str:
    """Hash that stands for the password of somebody unknown."""
    return HASHER.hash("nobody has this password")


def _plain(password: str) -> str:
    """The same password from every keyboard."""
    return unicodedata.normalize("NFKC", password)


def _parts(word: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in word).split()
