"""A message as bytes (RFC 5322, MIME): text and HTML as alternatives, lines short, no header with a line break in it.

Written here as the standard library takes ten times as long for a message; tests read all of it back with the library.
"""

import re
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime

MAX_WORD_LENGTH = 45
"""Bytes of an encoded word, so that it and its frame have 75 characters at most."""
MAX_HEADER_LENGTH = 900
ATOM = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
Header = tuple[str, str]


def one_line(text: str) -> str:
    """A text without line breaks and other control characters; they become spaces."""
    return CONTROL.sub(" ", text).strip()


def header_text(text: str) -> str:
    """A text for a header: as it is in ASCII, else in encoded words (RFC 2047)."""
    text = one_line(text).encode(errors="replace").decode()
    if text.isascii() and "=?" not in text and len(text) <= MAX_HEADER_LENGTH:
        return text
    words = (f"=?utf-8?b?{b64encode(part).decode()}?=" for part in _parts(text))
    return "\r\n ".join(words)


def mailbox(name: str, address: str) -> str:
    """An address with its name."""
    name = one_line(name)
    if not name:
        return address
    if ATOM.fullmatch(name) and "=?" not in name:
        return f"{name} <{address}>"
    if name.isascii() and "=?" not in name:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>'
    return f"{header_text(name)}\r\n <{address}>"


def date_header(at: datetime) -> str:
    """A time as the header Date writes it."""
    return format_datetime(at)


def message_bytes(headers: list[Header], text: str, html: str, boundary: str) -> tuple[list[Header], bytes]:
    """All headers and the body of a message; without HTML it is of text alone. Raises ValueError for a bad header.

    The boundary must begin with =_, which occurs in no line of quoted-printable.
    """
    if html:
        kind: list[Header] = [("Content-Type", f'multipart/alternative; boundary="{boundary}"')]
        parts = (("text/plain", text), ("text/html", html))
        body = b"".join(_part(boundary, name, content) for name, content in parts) + f"--{boundary}--\r\n".encode()
    else:
        kind = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Transfer-Encoding", "quoted-printable")]
        body = quoted_printable(text)
    headers = [*headers, ("MIME-Version", "1.0"), *kind]
    for name, value in headers:
        _require_valid(name, value)
    return headers, body


def header_bytes(headers: list[Header]) -> bytes:
    """Headers as they are sent."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")


def quoted_printable(text: str) -> bytes:
    """A text in lines of at most 76 characters of ASCII."""
    content = text.encode(errors="replace").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    encoded = b2a_qp(content if content.endswith(b"\n") else content + b"\n", istext=True)
    return encoded.replace(b"\n", b"\r\n")


def _part(boundary: str, kind: str, content: str) -> bytes:
    head = f"--{boundary}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head.encode() + quoted_printable(content)


def _parts(text: str) -> Iterator[bytes]:
    """The text in UTF-8, cut between characters."""
    part = b""
    for character in text:
        encoded = character.encode()
        if len(part) + len(encoded) > MAX_WORD_LENGTH:
            yield part
            part = b""
        part += encoded
    yield part


def _require_valid(name: str, value: str) -> None:
    unfolded = value.replace("\r\n ", " ")
    if not unfolded.isascii() or CONTROL.search(unfolded) or not value.strip():
        raise ValueError(f"the header {name} is empty, or has a line break or a character that it must not have")
