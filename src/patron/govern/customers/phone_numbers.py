"""Telephone numbers in their international form, however they are written: one number has one form.

A national number begins with a trunk prefix in most countries, which the international form leaves out.
"""

import re

INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
"""E.164."""
INTERNATIONAL_PREFIX = "00"
TRUNK_IN_BRACKETS = re.compile(r"\(\s*0\s*\)")
"""As in +49 (0)30 123456, which nobody dials."""
TRUNK_PREFIXES = {"1": "1", "7": "8", "36": "06", "39": ""}
"""Of countries where it is not 0, by country code; Italy has none, and a 0 belongs to the number."""


def international_number(text: str, country_code: str = "") -> str:
    """A number as +4930123456; empty for one that is none, or has no country code where none is given."""
    digits = re.sub(r"[^0-9]", "", text)
    if text.strip().startswith("+") or digits.startswith(INTERNATIONAL_PREFIX):
        digits = re.sub(r"[^0-9]", "", TRUNK_IN_BRACKETS.sub("", text)).removeprefix(INTERNATIONAL_PREFIX)
        number = f"+{digits}"
    else:
        trunk_prefix = TRUNK_PREFIXES.get(country_code, "0")
        number = f"+{country_code}{digits.removeprefix(trunk_prefix)}" if country_code else ""
    return number if INTERNATIONAL.fullmatch(number) else ""
