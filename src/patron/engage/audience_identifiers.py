"""Hashed identifiers as ad platforms match them: SHA-256 of the normal form, in small hexadecimal digits, no salt.

E-mail addresses are hashed without blanks, in small letters. Telephone numbers have their country code: Google and
TikTok hash E.164 with its +, Meta hashes the digits alone.
"""

import hashlib
from collections.abc import Mapping

from patron.govern.customers.phone_numbers import international_number
from patron.storage.outreach.audience_file import Audience

MIN_DIGITS = 8
"""Of a number with its country code."""


def hashed_email(address: str) -> str:
    """Hash of an e-mail address; empty for an empty one."""
    plain = "".join(address.split()).lower()
    return _sha256(plain) if plain else ""


def hashed_phone(number: str, *, country_code: str = "", with_plus: bool = True) -> str:
    """Hash of a telephone number with its country code; empty for a number that has none, or is none."""
    international = international_number(number, country_code)
    if len(international.removeprefix("+")) < MIN_DIGITS:
        return ""
    return _sha256(international if with_plus else international.removeprefix("+"))


def hashed_identifiers(audience: Audience, addresses: Mapping[str, str]) -> dict[str, str]:
    """Hashes of a person's addresses by kind, those that an audience uses and that can be hashed."""
    hashes = {
        "email": hashed_email(addresses.get("email", "")),
        "phone": hashed_phone(
            addresses.get("phone", ""),
            country_code=audience.country_code,
            with_plus=audience.phone_format == "e164",
        ),
    }
    return {kind: hashes[kind] for kind in sorted(audience.identifiers) if hashes[kind]}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
