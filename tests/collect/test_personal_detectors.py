"""What has the form of personal data is recognised; what shops call their things is not."""

import random
import time

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.support.personal_values import KEYS, KINDS

from patron.schema.value_detectors import MAX_LENGTH, SUSPECT, personal_kind

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
    *("en-US", "Europe/Berlin", "WHITE HANGING HEART T-LIGHT HOLDER", "Set 3-teilig 30x40 cm 1200 W", "i_" + "0f" * 16),
)


@pytest.mark.parametrize("kind", [one for one in KINDS if one.has_form], ids=lambda one: one.name)
def test_each_form_of_personal_data_is_recognised(kind):
    rng = random.Random(7)  # noqa: S311 - no secret
    values = [kind.make(rng) for _ in range(20)]
    assert [one for one in values if personal_kind(one) is None] == []
    assert pc.all(pc.match_substring_regex(pa.array(values), SUSPECT)).as_py()


@pytest.mark.parametrize("value", ORDINARY)
def test_what_shops_call_their_things_stays(value):
    assert personal_kind(value) is None


def test_two_hundred_keys_that_shops_use():
    assert len(KEYS) == 200


@pytest.mark.parametrize("part", ["a", "1", " ", "1 ", "a.", "@", "<", "%", "1:", "1.", "0-", "a@", "P<", "(", "?a="])
def test_no_text_takes_long(part):
    since = time.perf_counter()
    personal_kind((part * MAX_LENGTH)[: MAX_LENGTH - 1])
    personal_kind("x@" + (part * MAX_LENGTH)[: MAX_LENGTH - 9])
    assert time.perf_counter() - since < 2
