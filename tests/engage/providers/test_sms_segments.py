"""Segments of text messages: what providers charge for."""

import pytest

from patron.engage.providers.sms_segments import BASIC, EXTENDED, sms_length


@pytest.mark.parametrize(
    ("text", "places", "encoding", "segments"),
    [
        ("", 0, "GSM-7", 1),
        ("a" * 160, 160, "GSM-7", 1),
        ("a" * 161, 161, "GSM-7", 2),
        ("a" * 306, 306, "GSM-7", 2),
        ("a" * 307, 307, "GSM-7", 3),
        ("€" * 80, 160, "GSM-7", 1),
        ("a" * 152 + "€" + "a" * 152, 306, "GSM-7", 3),  # the euro sign is not cut in two
        ("好" * 70, 70, "UCS-2", 1),
        ("好" * 71, 71, "UCS-2", 2),
        ("a" * 69 + "ç", 70, "UCS-2", 1),
        ("👍" * 35, 70, "UCS-2", 1),
        ("👍" * 66, 132, "UCS-2", 2),
        ("👍" * 67, 134, "UCS-2", 3),  # 33 to a segment
    ],
)
def test_segments(text, places, encoding, segments):
    length = sms_length(text)
    assert (length.places, length.encoding, length.segments) == (places, encoding, segments)


def test_the_alphabet_is_that_of_the_standard():
    assert len(BASIC) == 127  # 128 but for the escape
    assert not BASIC & EXTENDED
