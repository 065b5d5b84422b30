"""How many segments a text message takes (3GPP TS 23.038): providers charge for each of them."""

from dataclasses import dataclass
from typing import Literal

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("^{}\\[~]|€\f")
"""Characters that take two places."""
LIMITS = {"GSM-7": (160, 153), "UCS-2": (70, 67)}
"""Places of a message of one segment, and of each segment of a longer one."""


@dataclass(frozen=True)
class SmsLength:
    """Length of a text message."""

    segments: int
    """At least one."""
    places: int
    """Characters, as the encoding counts them."""
    encoding: Literal["GSM-7", "UCS-2"]


def sms_length(text: str) -> SmsLength:
    """Length of a text message; one character outside GSM-7 makes all of it UCS-2."""
    encoding = "GSM-7" if all(one in BASIC or one in EXTENDED for one in text) else "UCS-2"
    widths = [2 if (one in EXTENDED if encoding == "GSM-7" else ord(one) > 0xFFFF) else 1 for one in text]
    alone, each = LIMITS[encoding]
    places = sum(widths)
    if places <= alone:
        return SmsLength(1, places, encoding)
    segments, taken = 1, 0
    for width in widths:
        if taken + width > each:  # why not a division: no character is cut in two
            segments, taken = segments + 1, 0
        taken += width
    return SmsLength(segments, places, encoding)
