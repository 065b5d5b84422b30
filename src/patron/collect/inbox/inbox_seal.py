"""The seal of the inbox: it hides what waits, and reveals every changed bit of it, of counts and of positions."""

import os
from collections.abc import Sequence
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patron.collect.inbox.inbox_sqlite import FIX
from patron.schema.errors import InboxDamaged
from patron.schema.sentences import Sentence

ID_CHANGED = Sentence("inbox_id_changed", "holds a changed id")
MARKS_CHANGED = Sentence("inbox_marks_changed", "request {seq} has changed marks of its customers")
STATE_CHANGED = Sentence(
    "inbox_state_changed", "holds a changed count or position, or is not the inbox of this workspace"
)
REQUEST_CHANGED = Sentence("inbox_request_changed", "request {seq} was changed after it was written")

NONCE_BYTES, SEAL_BYTES = 12, 16


class InboxSeal:
    """Seals under the key of the inbox; `name` is that of the inbox, for refusals."""

    def __init__(self, key: bytes, name: str) -> None:
        self._key = key
        self._name = name
        self._cipher = AESGCM(key)

    def of_state(self, state: Sequence[object]) -> bytes:
        """Seal of counts, positions and identity."""
        return blake2b(repr(state).encode(errors="replace"), key=self._key, digest_size=SEAL_BYTES).digest()

    def close(self, content: bytes, seq: int, source: str, received_us: int) -> bytes:
        """Seal the content of a request, bound to its number, source and time."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, _bound(seq, source, received_us))

    def open(self, sealed: bytes, seq: int, source: str, received_us: int) -> bytes:
        """Content of a sealed request. Raises InboxDamaged."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(seq, source, received_us))
        except (InvalidTag, ValueError, TypeError):
            raise InboxDamaged(REQUEST_CHANGED(seq=seq), where=self._name, todo=FIX) from None


def _bound(seq: int, source: str, received_us: int) -> bytes:
    return f"{seq}\0{source}\0{received_us}".encode()
