"""Texts of staff that may name a customer, and secrets of users: encrypted under a key derived from the master key.

Not the key of a person: what is erased with a customer is deleted as a row.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence
from patron.storage.master_key import derive_key
from patron.storage.shop import Shop

ENCRYPTED_CHANGED = Sentence("encrypted_changed", "an encrypted text was changed")
RESTORE_WORKSPACE = Sentence("restore_workspace", "Restore the workspace from a backup.")

NONCE_BYTES = 12


def seal(shop: Shop, purpose: str, text: str) -> bytes:
    """Encrypt a text (AES-256-GCM); `purpose`, such as a row's id, must be the same when it is read."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(_key(shop)).encrypt(nonce, text.encode(), purpose.encode())


def unseal(shop: Shop, purpose: str, sealed: bytes) -> str:
    """Decrypt a text. Raises WorkspaceError where it was changed, or belongs to another purpose."""
    try:
        return AESGCM(_key(shop)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode()).decode()
    except InvalidTag:
        raise WorkspaceError(ENCRYPTED_CHANGED, where="store", todo=RESTORE_WORKSPACE) from None


def _key(shop: Shop) -> bytes:
    return derive_key(shop.master_key_place.read(), "console texts")
