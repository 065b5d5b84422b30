"""What a policy says of its offers."""

import pytest

from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.policy_texts import policy_sentences
from patron.interfaces.i18n.translations import words
from patron.storage.offers.policy import Policy

LOCALES = {
    "en": ("each order below €60.00 costs €4.50", "each order costs €4.50"),
    "zh_CN": ("未满 €60.00 的订单每笔成本 €4.50", "每笔订单成本 €4.50"),
}


@pytest.mark.parametrize("locale", LOCALES)
def test_free_delivery_says_from_which_order_it_costs_nothing(locale):
    texts = words(locale)
    formats = Formats(texts.locale, "EUR", "UTC")
    for free_from, expected in zip((60.0, 0.0), LOCALES[locale], strict=True):
        offer = {
            "id": "ship",
            "kind": "free_delivery",
            "cost_per_order_cents": 450,
            "delivery_free_from": free_from,
            "assumed_purchase_uplift": 0.1,
        }
        sentences = list(policy_sentences(Policy.model_validate({"offers": [offer]}), texts, formats))
        assert expected in sentences[-1]
