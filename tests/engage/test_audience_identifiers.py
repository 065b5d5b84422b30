"""Hashes are those that ad platforms compute; the expected ones come from sha256sum."""

import pytest

from patron.engage.audience_identifiers import hashed_email, hashed_identifiers, hashed_phone
from patron.schema.errors import BadAudience
from patron.storage.outreach.audience_file import Audience

ANNA = "15e1fe516ea5657063e916461256e279cac32da8340def6b93fcfe2e7d2ec228"
E164 = "a6e82c2f4091baff57a4f33d01efb65bfbeacbbfbcfaa9d0ff9f57d28d78fedb"
DIGITS = "8d7bdaaf75196f351d22942fc0dd79304ffabc3eaf3339460ef9da0773e3aec2"
GERMAN = "b4267a2234e2072fa4d2e8d89fbe727c50fc414731d6ecacc2ed3d00f05038d1"
CHINESE = "ac2a8ba22a34539925c3bc87738bf355d914e84daff44eba0d39e8724f2abd9e"


@pytest.mark.parametrize("address", ["anna.example@example.org", " Anna.Example@EXAMPLE.org\n"])
def test_an_address_is_hashed_without_blanks_in_small_letters(address):
    assert hashed_email(address) == ANNA


@pytest.mark.parametrize(
    ("number", "country_code", "expected"),
    [
        ("+1 (657) 777-0000", "", E164),
        ("001 657 777 0000", "49", E164),
        ("657 777 0000", "1", E164),
        ("0170 1234567", "49", GERMAN),
        ("139 1234 5678", "86", CHINESE),
        ("657 777 0000", "", ""),
        ("+0 12345678", "", ""),
        ("+49 17", "", ""),
        ("+1234567890123456", "", ""),
        ("", "49", ""),
    ],
)
def test_a_number_is_hashed_with_its_country_code_or_not_at_all(number, country_code, expected):
    assert hashed_phone(number, country_code=country_code) == expected


def test_an_audience_says_what_is_hashed_and_how():
    audience = Audience.of(
        {"name": "a", "segment": "s", "identifiers": ["phone", "email"], "phone_format": "digits"}, where="test"
    )
    addresses = {"email": "anna.example@example.org", "phone": "+1 657 777 0000"}
    assert hashed_identifiers(audience, addresses) == {"email": ANNA, "phone": DIGITS}
    assert hashed_identifiers(audience, {"email": "", "phone": "12"}) == {}
    assert hashed_identifiers(audience.model_copy(update={"identifiers": ("email",)}), addresses) == {"email": ANNA}


def test_a_wrong_identifier_is_named_and_not_that_none_is_left():
    content = {"name": "a", "segment": "b", "identifiers": ["mail"], "destination": {"kind": "file"}}
    with pytest.raises(BadAudience) as refusal:
        Audience.of(content, where="test")
    assert refusal.value.what == "identifiers.0 must be one of 'email' or 'phone' (got 'mail'). Did you mean email?"
    with pytest.raises(BadAudience, match="identifiers must be a list of at least 1"):
        Audience.of(content | {"identifiers": []}, where="test")
