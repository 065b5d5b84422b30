"""One number has one form; the expected ones are as the countries' numbering plans say."""

import pytest

from patron.govern.customers.phone_numbers import international_number


@pytest.mark.parametrize(
    ("text", "country_code", "expected"),
    [
        *((text, "49", "+4930123456") for text in ("+49 30 123456", "0049/30-123456", "030 123 456", "(030) 123456")),
        *((text, "49", "+4930123456") for text in ("+49 (0)30 123456", "0049 (0) 30 123456", "30123456")),
        *((text, "1", "+16175551212") for text in ("1 (617) 555-1212", "617-555-1212", "+1 617 555 1212")),
        ("8 912 345-67-89", "7", "+79123456789"),
        ("06 1234 5678", "39", "+390612345678"),
        ("06 30 123 4567", "36", "+36301234567"),
        *((text, "49", "") for text in ("", "+", "12", "+0 12345678", "+1234567890123456", "\u0660\u0663\u0660")),
        ("030 123456", "", ""),
    ],
)
def test_a_number_has_one_form_however_it_is_written(text, country_code, expected):
    assert international_number(text, country_code) == expected
