"""Terms of product texts in English, Chinese and both."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patron.recommenders.content import terms_of


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Coffee Machines", ["coffee", "machine"]),
        ("boxes of cherries, glass bus", ["box", "of", "cherry", "glass", "bus"]),
        ("Café CRÈME", ["cafe", "creme"]),
        ("1.2 L", ["1.2l"]),
        ("1,2l", ["1.2l"]),
        ("1.2升", ["1.2l"]),
        ("\uff15\uff10\uff10 毫升", ["500ml"]),
        ("12-pack 3 packs", ["12pc", "3pc"]),
        ("2 inside", ["2", "inside"]),
        ("MP3 4K A4", ["mp3", "4k", "a4"]),
        ("咖啡机", ["咖", "啡", "机", "咖啡", "啡机"]),
        ("Philips咖啡 machine", ["philip", "咖", "啡", "咖啡", "machine"]),
        ("ガム", ["ガ", "ム", "ガム"]),
        ("커피", ["커", "피", "커피"]),
        ("", []),
        (" -- !", []),
    ],
)
def test_terms(text, terms):
    assert terms_of(text) == terms


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_terms_are_never_empty_and_spaces_around_a_text_change_none(text):
    assert terms_of(f"  {text} ") == terms_of(text)
    assert all(term and not term.isspace() for term in terms_of(text))
