"""The preview of a list: for whom and where one likes, with reasons, and why a product is not in it."""

import re

import httpx
import pytest
from recommending_shop import PRODUCT_COUNT, recommending_shop

from patron.govern.vault import Vault, initial_customer_id
from patron.interfaces.console.screenshots import served
from patron.storage.shop import POLICY_FILE


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    stock = [float(n % 7) for n in range(PRODUCT_COUNT)]
    shop = recommending_shop(tmp_path_factory.mktemp("preview") / "shop", stock=stock)
    policy = shop.folder / POLICY_FILE
    own = "[recommendations]\nscenarios.counter = { count = 40, least_click_probability = 0.05 }"
    policy.write_text(re.sub(r"^\[recommendations\].*$", own, policy.read_text(), flags=re.MULTILINE))
    shop.reload_settings()
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def client(shop):
    with served(shop) as address, httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="module")
def customer_id(shop):
    return initial_customer_id(Vault.open(shop).find("user_id", "u8"))


def page(client, locale="en", **query):
    answer = client.get("/recommendations", params={"lang": locale, **query})
    assert answer.status_code == 200
    return answer.text


def twin(client, **query):
    return client.get("/api/recommendations/preview", params=query).json()


def test_a_customers_list_has_sentences_for_staff_and_its_twin_the_same_products(client, customer_id):
    made = twin(client, customer=customer_id)
    shown = page(client, customer=customer_id)
    names = re.findall(r'<span class="rank">\d+</span> (.+?) <code', shown)
    assert names == [product["product_name"] for product in made["products"]]
    assert len(names) == 10
    assert made["is_personal"]
    assert "Buys it about every" in shown
    assert re.search(r"大约每 \d+ 天购买一次，上次购买是 \d+ 天前", page(client, "zh_CN", customer=customer_id))  # noqa: RUF001
    assert f'<a href="/customers/{customer_id}">' in shown


def test_the_beginning_of_an_id_is_enough_and_an_unknown_one_is_a_sentence(client, customer_id):
    assert twin(client, customer=customer_id[:12].upper())["customer"]["customer_id"] == customer_id
    for text in ("zzz", "0" * 32, "u8", "%", "'; drop table customers --"):
        made = twin(client, customer=text)
        assert made["customer"]["customer_id"] is None
        assert not made["is_personal"]
        assert len(made["products"]) == 10
    assert "No customer of the last run has an id" in page(client, customer="<b>")
    assert "<b>" not in page(client, customer="<b>")


def test_the_page_has_a_product_by_id_or_name_or_says_that_there_is_none(client):
    for text in ("p30", "product 30"):
        made = twin(client, scenario="product", product=text)
        assert [product["product_id"] for product in made["page_product"]["products"]] == ["p30"]
        assert made["products"][0]["reason"]["product_name"] == "Product 30"
    assert "Goes with Product 30" in page(client, scenario="product", product="p30")
    assert "No product has the id or name “teapot”" in page(client, product="teapot")
    several = page(client, scenario="cart", product="Product 4")
    assert "Goes with Product 4" in several, "a whole name is meant, not what begins like it"
    several = page(client, scenario="cart", product="roduct 4")
    assert "Several products match" in several
    assert 'href="/recommendations?scenario=cart&amp;product=p4"' in several


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"why_not": "p7"}, "Product 7 is not in the list: out of stock."),
        ({"why_not": "Product 30", "product": "p30"}, "Product 30 is not in the list: on the page or in the cart"),
        ({"why_not": "teapot"}, "No product has the id or name “teapot”."),
        ({"why_not": "roduct 4"}, "Several products match “roduct 4”. Choose one, or enter its id:"),
    ],
)
def test_a_product_that_is_not_in_the_list_has_its_reason(client, query, sentence):
    assert sentence in page(client, **query)


def test_a_product_in_the_list_is_said_to_be_there(client):
    first = twin(client)["products"][0]["product_name"]
    assert f"{first} is in the list." in page(client, why_not=first)


def test_a_short_list_says_why(client, customer_id):
    made = twin(client, scenario="counter", customer=customer_id)
    assert 0 < len(made["products"]) < made["place_count"] == 40
    shown = page(client, scenario="counter", customer=customer_id)
    low, stock = (made["why_short"][name] for name in ("low_relevance", "out_of_stock"))
    assert f"The list has {len(made['products'])} product" in shown
    assert f"click too unlikely ({low}), out of stock ({stock})" in shown
    assert f"点击概率过低（{low}）" in page(client, "zh_CN", scenario="counter", customer=customer_id)  # noqa: RUF001
    assert '<option value="counter" selected>Counter' in shown


def test_lists_for_messages_say_who_may_not_be_contacted(client, customer_id):
    assert twin(client, customer=customer_id)["customer"]["may_be_contacted"] is None
    assert twin(client, customer=customer_id, scenario="message")["customer"]["may_be_contacted"] is False
    assert "This customer may not be contacted" in page(client, customer=customer_id, scenario="message")


def test_a_preview_is_the_same_each_time_and_leaves_no_trace(client, customer_id):
    texts = {page(client, customer=customer_id, why_not="p1") for _ in range(5)}
    assert len(texts) == 1


def test_a_scenario_that_there_is_not_is_refused_with_those_that_there_are(client):
    answer = client.get("/recommendations", params={"scenario": "checkout"})
    assert answer.status_code == 422
    assert "home, product, cart, message, counter" in answer.text
    assert client.get("/recommendations", params={"custmer": "x"}).status_code == 422
