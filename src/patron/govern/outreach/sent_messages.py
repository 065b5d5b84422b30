"""What was sent, kept under the key of the person it was sent to, so that a dispute can be answered.

A message is compressed with what its template has in common for all as the dictionary: a mail of 10 kB takes some 200
bytes. The dictionary is kept, once for each template, as a text that belongs to nobody.
"""

import json
import zlib
from base64 import b85decode, b85encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import pyarrow as pa

from patron.govern.vault import Vault

SOURCE, CONTENT, DICTIONARY = "message", "content", "dictionary"
"""Source and fields of these texts in the vault."""
EVENT = "event"
NAME_LENGTH = 16
MAX_BYTES = 32_768
"""zlib looks back no further."""
LEVEL = 9


def store_dictionary(vault: Vault, text: str, created_at: datetime) -> tuple[str, bytes]:
    """Keep the dictionary of a template unless it is kept; returns its name, and itself."""
    dictionary = text.encode()[-MAX_BYTES:].decode(errors="ignore")
    name = sha256(dictionary.encode()).hexdigest()[:NAME_LENGTH]
    token = vault.store_tokens(EVENT, pa.array([_token_value(name)]), created_at)[0].as_py()
    vault.store_texts(SOURCE, [(name, DICTIONARY, token, dictionary)])
    return name, dictionary.encode()


def sealed_messages(
    vault: Vault, messages: Iterable[tuple[str, str, Mapping[str, Any]]], dictionary: tuple[str, bytes]
) -> list[tuple[str, str, str, str, bytes]]:
    """Rows of VAULT_TEXTS for messages (message_id, token, content), compressed with a dictionary of its name."""
    name, preset = dictionary
    texts = [
        (message_id, CONTENT, token, f"{name}:{b85encode(_compress(content, preset)).decode()}")
        for message_id, token, content in messages
    ]
    return vault.sealed_texts(SOURCE, texts)


def readable_messages(vault: Vault, texts: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Texts of the vault with the messages among them as they were sent; all others stay as they are."""
    dictionaries: dict[str, bytes] = {}
    return [
        {**text, "text": json.dumps(_content(vault, text["text"], dictionaries), ensure_ascii=False)}
        if (text["source"], text["field"]) == (SOURCE, CONTENT)
        else dict(text)
        for text in texts
    ]


def sent_message(vault: Vault, token: str, message_id: str) -> dict[str, Any] | None:
    """What was sent to a token's person; None where nothing is kept, or they were forgotten."""
    texts = [
        text for text in vault.texts([token], [CONTENT]) if text["event_id"] == message_id and text["source"] == SOURCE
    ]
    return _content(vault, texts[0]["text"], {}) if texts else None


def _content(vault: Vault, text: str, dictionaries: dict[str, bytes]) -> dict[str, Any]:
    name, _, packed = text.partition(":")
    if name not in dictionaries:
        kept = vault.texts([vault.token(EVENT, _token_value(name))], [DICTIONARY])
        dictionaries[name] = next((one["text"] for one in kept if one["event_id"] == name), "").encode()
    opener = zlib.decompressobj(zdict=dictionaries[name]) if dictionaries[name] else zlib.decompressobj()
    return json.loads(opener.decompress(b85decode(packed)))


def _compress(content: Mapping[str, Any], preset: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zdict=preset) if preset else zlib.compressobj(LEVEL)
    return packer.compress(json.dumps(content, ensure_ascii=False).encode()) + packer.flush()


def _token_value(name: str) -> str:
    return f"{SOURCE}/{name}"
