"""What customers are called: their own name before a delivery's, first and last of a whole one, and nobody's never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patron.govern.customers.customer_names import CustomerName, customer_name, names_in, split_name

WHOLE = {
    "Nadia Grün": ("Nadia", "Grün"),
    "Grün, Nadia": ("Nadia", "Grün"),
    "王小明": ("小明", "王"),
    "欧阳娜娜": ("娜娜", "欧阳"),
    "王 小明": ("小明", "王"),
    "Dr. Juan de la Vega": ("Juan", "de la Vega"),
    "Maria del Carmen García López": ("Maria", "del Carmen García López"),
    "JUAN DE LA VEGA": ("Juan", "de la Vega"),
    "anna müller": ("Anna", "Müller"),
    "Mr Smith": ("", "Smith"),
    "Nadia": ("Nadia", ""),
    "A. Lee": ("", "Lee"),
    "山田太郎": ("", ""),
    "Müller GmbH": ("", ""),
    "杭州茶叶有限公司": ("", ""),
    "nadia@gruen.example": ("", ""),
    "Guest 1042": ("", ""),
    "": ("", ""),
}


@pytest.mark.parametrize("whole", WHOLE)
def test_a_whole_name_has_a_first_and_a_last_one_where_it_is_a_persons(whole):
    name = split_name(whole)
    assert (name.first, name.last) == WHOLE[whole]
    assert name.whole == ("Nadia Grün" if "," in whole else whole)


@pytest.mark.parametrize(
    ("values", "names"),
    {
        "own before the bill's": ({"name": "Ann Lee", "billing_name": "Bo Ek"}, {"name": "Ann Lee"}),
        "the bill's before the delivery's": (
            {"billing_name": "Bo Ek", "shipping_name": "Cy Fox"},
            {"name": "Bo Ek", "delivery_name": "Cy Fox"},
        ),
        "parts of a bill": (
            {"billing_first_name": "Bo", "billing_last_name": "Ek"},
            {"first_name": "Bo", "last_name": "Ek"},
        ),
        "parts of a delivery": (
            {"shipping_first_name": "Cy", "shipping_last_name": "Fox"},
            {"delivery_name": "Cy Fox"},
        ),
        "a line break": ({"name": " Ann\r\nBcc: x "}, {"name": "Ann Bcc: x"}),
        "a direction": ({"name": "Ann\u202eeeL\u202c"}, {"name": "AnneeL"}),
        "right to left": ({"name": "محمد علي"}, {"name": "محمد علي"}),
        "300 characters": ({"name": "a" * 300, "full_name": "Ann Lee"}, {"name": "Ann Lee"}),
        "half a character": ({"name": "Ann \ud800"}, {"name": "Ann ?"}),
        "a number and an object": ({"first_name": 7, "name": None, "last_name": ""}, {"first_name": "7"}),
        "nobody": ({"email": "a@b.example"}, {}),
    }.values(),
)
def test_names_are_found_under_the_keys_of_shops(values, names):
    assert names_in(values) == names


def test_the_newest_own_name_counts_and_a_delivery_only_without_one():
    parts = {"first_name": ("Ann", 1.0), "last_name": ("Lee", 1.0)}
    delivery = {"delivery_name": ("Cy Fox", 9.0)}
    assert customer_name(parts | delivery) == CustomerName("Ann", "Lee", "Ann Lee")
    assert customer_name(parts | {"name": ("Ann Ek", 2.0)}) == CustomerName("Ann", "Ek", "Ann Ek")
    assert customer_name(parts | {"name": ("Ann Old", 0.0)}) == CustomerName("Ann", "Lee", "Ann Lee")
    assert customer_name(parts | {"name": ("Dr. Ann Lee", 1.0)}) == CustomerName("Ann", "Lee", "Dr. Ann Lee")
    assert customer_name(parts | {"name": ("Lee GmbH", 2.0)}) == CustomerName("Ann", "Lee", "Lee GmbH")
    assert customer_name(delivery) == CustomerName("Cy", "Fox", "Cy Fox")
    assert customer_name({"first_name": ("小明", 1.0), "last_name": ("王", 1.0)}).whole == "王小明"
    assert customer_name({}) == CustomerName()


@given(st.dictionaries(st.sampled_from(["name", "first_name", "billing_name", "shipping_name"]), st.text(max_size=260)))
def test_no_text_breaks_a_line_or_the_reading(values):
    fields = {name: (text, 0.0) for name, text in names_in(values).items()}
    for text in customer_name(fields).variables.values():
        assert text == " ".join(text.split())
        assert text.isprintable()
