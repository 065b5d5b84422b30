"""Why a product is recommended, to staff and to the shopper; and why a list is short."""

# ruff: noqa: RUF001 - Chinese has commas of its own

from datetime import UTC, datetime

import pytest

from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.recommendation_texts import SHOPPER, STAFF, recommendation_sentence, short_sentence
from patron.interfaces.i18n.translations import words
from patron.service.live_recommendations import RecommendationReason

OVER = datetime(2024, 7, 14, 16, tzinfo=UTC)
"""Midnight in Shanghai, when a promotion is over that lasts until the 14th."""
TOO_FEW = "There were fewer candidates than places."
SENTENCES = [
    (
        RecommendationReason("buy_again", days_since=19.4, usual_days=21.0),
        "Buys it about every 21 days, last 19 days ago",
        "You buy this about every 21 days, last 19 days ago",
        "您大约每 21 天购买一次，上次购买是 19 天前",
    ),
    (
        RecommendationReason("buy_again", days_since=0.3, usual_days=1.2),
        "Buys it about every 1 day, last today",
        "You buy this about every 1 day, last today",
        "您大约每 1 天购买一次，今天刚买过",
    ),
    (
        RecommendationReason("buy_again", days_since=1.0),
        "Bought it 1 day ago",
        "You bought this 1 day ago",
        "您在 1 天前买过",
    ),
    (RecommendationReason("buy_again"), "Bought it before", "You bought this before", "您以前买过"),
    (
        RecommendationReason("goes_with_visit", "p1", "Teapot"),
        "Goes with Teapot, which they looked at",
        "Goes with Teapot, which you looked at",
        "与您浏览过的“Teapot”搭配",
    ),
    (
        RecommendationReason("replaces", "p1", "Teapot"),
        "An alternative to Teapot",
        "An alternative to Teapot",
        "“Teapot”的替代商品",
    ),
    (
        RecommendationReason("replaces", "p1"),
        "An alternative to something they looked at",
        "An alternative to something you looked at",
        "您浏览过的商品的替代商品",
    ),
    (
        RecommendationReason("goes_with_page", "p1"),
        "Goes with something they bought or looked at",
        "Goes with something you bought or looked at",
        "与您买过或浏览过的商品搭配",
    ),
    (
        RecommendationReason("on_offer", offer_starts_at=datetime(2024, 7, 7, 16, tzinfo=UTC), offer_ends_at=OVER),
        "On offer from Mon, 8 Jul",
        "On offer from Mon, 8 Jul",
        "7月8日（周一）起优惠",
    ),
    (
        RecommendationReason("on_offer", offer_ends_at=OVER),
        "On offer until Sun, 14 Jul",
        "On offer until Sun, 14 Jul",
        "优惠至7月14日（周日）",
    ),
]


@pytest.mark.parametrize(("reason", "to_staff", "to_shopper", "chinese"), SENTENCES)
def test_a_reason_is_a_sentence_with_its_fact_for_its_reader(reason, to_staff, to_shopper, chinese):
    english, local = (Formats(locale, "CNY", "Asia/Shanghai") for locale in ("en", "zh_CN"))
    assert recommendation_sentence(reason, words("en"), english, STAFF) == to_staff
    assert recommendation_sentence(reason, words("en"), english, SHOPPER) == to_shopper
    assert recommendation_sentence(reason, words("zh_CN"), local, SHOPPER) == chinese


@pytest.mark.parametrize(
    ("locale", "sentence"),
    [
        ("en", "Products left out: out of stock (1,200), blocked by the shop (2). " + TOO_FEW),
        ("zh_CN", "被排除的商品：缺货（1,200）、已被店铺屏蔽（2）。候选商品少于展示位。"),
    ],
)
def test_a_short_list_names_the_rules_that_left_most_out(locale, sentence):
    why_short = {"blocked": 2, "out_of_stock": 1_200, "no_candidate": 3}
    assert short_sentence(why_short, words(locale), Formats(locale, "EUR", "UTC")) == sentence


@pytest.mark.parametrize("locale", LOCALES)
def test_a_full_list_needs_no_sentence(locale):
    assert short_sentence({}, words(locale), Formats(locale, "EUR", "UTC")) == ""
