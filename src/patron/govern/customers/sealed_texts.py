"""Texts of staff that may name a customer, and secrets of users: encrypted under a key derived from the master key.

Not the key of a person: what is erased with a customer is deleted as a row.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patron.schema.errors import WorkspaceError
from patron.storage.master_key import derive_key
from patron.storage.shop import Shop

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
        raise WorkspaceError(
            "an encrypted text was changed", where="store", todo="Restore the workspace from a backup."
        ) from None


def _key(shop: Shop) -> bytes:
    return derive_key(shop.master_key_place.read(), "console texts")
