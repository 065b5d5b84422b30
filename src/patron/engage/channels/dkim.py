"""DKIM signatures (RFC 6376), RSA-SHA256 with relaxed canonicalisation of headers and body.

Written here on `cryptography`: dkimpy takes 6.4 ms of a processor for a message, as its RSA is in Python, and 100,000
messages would take longer than they may in all; this takes 0.3 ms. Tests verify with dkimpy what a server received.
"""

import hashlib
import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from patron.engage.mime import Header
from patron.schema.errors import ChannelUnavailable
from patron.schema.sentences import Sentence

MAKE_DKIM = Sentence("make_dkim", "Make one with `patron channels key`, or correct dkim_key_file.")
DKIM_NOT_RSA = Sentence("dkim_not_rsa", "the DKIM key is not an RSA key of at least {count} bits")
DKIM_UNREADABLE = Sentence("dkim_unreadable", "the DKIM key cannot be read ({cause})")

KEY_BITS = 2048
MIN_BITS = 1024
SIGNED = (
    *("From", "From", "To", "Subject", "Date", "Message-ID", "Reply-To"),
    *("List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
)
"""Headers that are signed where they are there; From once more, so that nobody can add another."""
SPACES = re.compile(rb"[ \t]+")
SPACES_AT_END = re.compile(rb"[ \t]+(?=\r\n)")
LINE = 72


@dataclass(frozen=True)
class DkimSigner:
    """Signs messages of one domain with its key."""

    domain: str
    selector: str
    key: RSAPrivateKey = field(repr=False)

    @classmethod
    def load(cls, file: Path, *, domain: str, selector: str) -> Self:
        """Read the key. Raises ChannelUnavailable."""
        todo = MAKE_DKIM
        try:
            key = _checked_key(file.read_bytes())
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a private key in PEM"
            raise ChannelUnavailable(DKIM_UNREADABLE(cause=reason), where=str(file), todo=todo) from error
        if not isinstance(key, RSAPrivateKey) or key.key_size < MIN_BITS:
            what = DKIM_NOT_RSA(count=MIN_BITS)
            raise ChannelUnavailable(what, where=str(file), todo=todo)
        return cls(domain, selector, key)

    def signature(self, headers: list[Header], body: bytes, at: datetime) -> Header:
        """The header that signs a message, which goes before all others; `at` is when it is signed."""
        by_name = {name.lower(): value for name, value in headers}
        names = [name.lower() for name in SIGNED if name.lower() in by_name]
        body_hash = b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
        fields = (
            f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={self.domain}; s={self.selector};",
            f"t={int(at.timestamp())}; h={':'.join(names)};",
            f"bh={body_hash};",
            "b=",
        )
        value = "\r\n ".join(fields)
        used: set[str] = set()
        signed = []
        for name in names:
            if name not in used:  # why: the second From is the one that is not there
                signed.append(relaxed_header(name, by_name[name]))
            used.add(name)
        content = b"\r\n".join((*signed, relaxed_header("dkim-signature", value)))
        code = b64encode(self.key.sign(content, PKCS1v15(), SHA256())).decode()
        return "DKIM-Signature", value + "\r\n ".join(code[n : n + LINE] for n in range(0, len(code), LINE))


@lru_cache(maxsize=8)
def _checked_key(content: bytes) -> PrivateKeyTypes:
    """The key of a PEM file; that its numbers are primes takes a twentieth of a second to check, so once a process."""
    return load_pem_private_key(content, None)


def relaxed_header(name: str, value: str) -> bytes:
    """A header as it is signed: name in small letters, unfolded, one space for several."""
    unfolded = value.encode().replace(b"\r\n", b"")
    return name.lower().encode() + b":" + SPACES.sub(b" ", unfolded).strip()


def relaxed_body(body: bytes) -> bytes:
    """A body as it is signed: no spaces at the end of lines, one for several within, no empty lines at its end."""
    body = SPACES.sub(b" ", SPACES_AT_END.sub(b"", body)) if b"  " in body or b"\t" in body or b" \r" in body else body
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def new_key() -> bytes:
    """A new private key, PEM."""
    key = generate_private_key(65_537, KEY_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def dns_record(pem: bytes) -> str:
    """What the TXT record of a private key's selector must say."""
    key = load_pem_private_key(pem, None)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={b64encode(public).decode()}"
