"""What has the form of personal data is recognised; what shops call their things is not."""

import random
import time

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.personal_values import KEYS, KINDS

from patron.collect.personal_columns import FEW_CHARACTERS, identifier_tokens
from patron.govern.privacy.value_detectors import HARMLESS, MAX_LENGTH, SUSPECT, is_harmless, personal_kind
from patron.govern.vault import Vault

ORDINARY = (
    *(
        "Shoes",
        "Women > Shoes > Boots",
        "Nike Air Max 90",
        "iPhone 15 Pro 128GB",
        "SKU-123-ABC-45",
        "s3-2305843009213693958",
        "85123A",
        "C536379",
    ),
    *("4006381333931", "036000291452", "41234567890123", "#1001", "O1234", "1000000123", "26984896261", "0000012345"),
    *(
        "0080001234",
        "0306406152",
        "9780306406157",
        "550e8400-e29b-41d4-a716-446655440000",
        "18912583472b697057f369f2f418eff5-lines",
        "gid://shopify/Product/7982301184",
    ),
    *(
        "summer sale 2024-11-29",
        "2024-01-31",
        "20240131-0001",
        "spring/summer 2012",
        "5.6.78",
        "v1.2.3",
        "Router v1.2.3.4",
    ),
    *(
        "10.5 x 20.5 x 3 cm",
        "Sizes 600 700 800",
        "600 700 800",
        "100-200 ml",
        "2 for 1",
        "3@1.50",
        "12:30:45",
        "1,234.56",
    ),
    *(
        "https://cdn.example.com/s/files/1/0533/2089/a.jpg?v=1699999999&width=600",
        "logo@2x.png",
        "Foo::Bar",
        "X1234567",
    ),
    *(
        "0049000028911",
        "EAN 0049000028911",
        "ABC13912345678XYZ",
        "Set 2 1999",
        "52.520008",
        "A+B 100",
        "v1.0.0+20130313144700",
    ),
    *(
        "https://x.de/u/13912345678",
        "see https://x.de/p/4111111111111111 for 2024-11-29",
        "Größe 42",
        "连衣裙 2024 新款",
    ),
    *("en-US", "Europe/Berlin", "WHITE HANGING HEART T-LIGHT HOLDER", "Set 3-teilig 30x40 cm 1200 W", "i_" + "0f" * 16),
)


def wide(text):
    """A text in full-width digits and signs."""
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


PERSONAL = (
    *("Case, call +49 170 1234567, https://x.de", "4111 1111 1111 1111 https://x.de", "DE89370400440532013000://"),
    *("Anna +49 170 1234567 https://shop.de", "https://x.de 微信13912345678", "https://x.de,电话13912345678"),
    *("see https://x.de/a?v=1 and https://x.de/find?q=anna", "https://x.de/a anna@example.org"),
    *("电话13912345678", "红色连衣裙 微信13912345678", "tel_13912345678", "wx13912345678", "13912345678号"),
    *("ord_13912345678", "地址192.168.1.10", "ip_192.168.1.10", "card4111111111111111", "电话+4917012345678"),
    *("信用卡4111 1111 1111 1111", "ord_378282246310005", "x\u200b13912345678"),
    *(wide("1985年4月12日"), wide("192.168.1.10"), wide("13912345678"), "1985年04月12日"),
    *("0171\u20092345678", "0171\t2345678", "0171   2345678", "0171\u200b 2345\u200b678", "12\u200b.04.1985"),
    *("anna﹫example.com", "192%2E168%2E1%2E10", "4111·1111·1111·1111", "4111_1111_1111_1111", "1985_04_12"),
    *(
        "12 avril 1985",
        "1er août 1985",
        "12 de abril de 1985",
        "12 aprile 1985",
        "12 de dezembro de 1985",
        "3 ottobre 1970",
    ),
    *("né le 3 févr. 1970", "1985\u300004\u300012"),
)


@pytest.mark.parametrize("value", PERSONAL)
def test_however_it_is_written_and_whatever_touches_it(value):
    assert personal_kind(value)
    in_json = msgspec.json.encode({"a": value}).decode()
    assert pc.all(pc.match_substring_regex(pa.array([value, in_json]), SUSPECT)).as_py()


@pytest.mark.parametrize("kind", [one for one in KINDS if one.has_form], ids=lambda one: one.name)
def test_each_form_of_personal_data_is_recognised(kind):
    rng = random.Random(7)  # noqa: S311 - no secret
    values = [kind.make(rng) for _ in range(20)]
    assert [value for value in values if personal_kind(value) is None] == []
    assert pc.all(pc.match_substring_regex(pa.array(values), SUSPECT)).as_py()


SPACES = [chr(index) for index in range(0x3100) if chr(index).isspace()]


def test_an_identifier_has_one_token_whether_it_arrives_with_few_others_or_with_many(shop):
    vault = Vault.open(shop)
    personal = [*PERSONAL, *(f"12{space}avril{space}1985" for space in SPACES), "word! " * MAX_LENGTH]
    expected = {value: vault.token("identifier", value) for value in personal}
    assert max(map(len, PERSONAL)) < FEW_CHARACTERS < 100 * len(personal)
    assert {
        one: token for value in (*personal, *ORDINARY) for one, token in identifier_tokens(vault, [value]).items()
    } == expected
    assert identifier_tokens(vault, [*personal, *ORDINARY] * 100) == expected
    assert identifier_tokens(vault, ["half a character \ud800", *personal] * 100) == expected


@pytest.mark.parametrize("value", ORDINARY)
def test_what_shops_call_their_things_stays(value):
    assert personal_kind(value) is None


def test_two_hundred_keys_that_shops_use():
    assert len(KEYS) == 200


@pytest.mark.parametrize(
    "part", ["a", "1", " ", "1 ", "a.", "@", "<", "%", "1:", "1.", "0-", "a@", "P<", "(", "?a=", "jan"]
)
def test_no_text_takes_long(part):
    since = time.perf_counter()
    personal_kind((part * MAX_LENGTH)[: MAX_LENGTH - 1])
    personal_kind("x@" + (part * MAX_LENGTH)[: MAX_LENGTH - 9])
    personal_kind((part * MAX_LENGTH)[: MAX_LENGTH - 2] + ".")
    assert time.perf_counter() - since < 2


@given(st.lists(st.text("019afAFgz-_ #>'\n\u0661é", max_size=40), max_size=30))
def test_a_column_and_each_of_its_values_are_harmless_by_the_same_pattern(values):
    of_column = pc.match_substring_regex(pa.array(values, pa.string()), HARMLESS).to_pylist()
    assert of_column == [is_harmless(value) for value in values]


def test_bare_digits_are_looked_at_where_they_have_a_form_that_is_known():
    known = ["0" + 9 * "7", "13" + 9 * "8", "19" + 9 * "8", *(count * "5" for count in (13, 15, 16, 17, 18, 19))]
    unknown = ["0" + 8 * "7", "12" + 9 * "8", "20" + 9 * "8", *(count * "5" for count in (7, 10, 12, 14))]
    assert not any(map(is_harmless, known))
    assert all(map(is_harmless, unknown))
