"""Reasons read as a colleague would say them: the fact, the usual, and what might help."""

# ruff: noqa: RUF001 - Chinese has commas of its own

from datetime import UTC, datetime, timedelta

import pytest

from patron.answers.models.churn_reasons import HELP_OF_CODE, ChurnReason
from patron.interfaces.console.customers.reason_texts import help_sentence, reason_sentence
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words

AS_OF = datetime(2024, 9, 1, tzinfo=UTC)


def reason(code, fact, usual, *, basis="customer", of_count=None, window_days=None, days_ago=None):
    since = None if days_ago is None else AS_OF - timedelta(days=days_ago)
    return ChurnReason(code, 0.5, fact, usual, basis, of_count, window_days, days_ago, since, HELP_OF_CODE[code])


SENTENCES = [
    (reason("overdue", 93, 11.2), "No order for 93 days, usually every 11", "已 93 天未下单，平时每 11 天一单"),
    (
        reason("overdue", 93, 30, basis="shop"),
        "No order for 93 days; customers here usually order every 30",
        "已 93 天未下单，本店客户通常每 30 天一单",
    ),
    (
        reason("fewer_orders", 1, 2.4, window_days=90),
        "1 order in the last 90 days, usually 2.4",
        "近 90 天下单 1 次，平时 2.4 次",
    ),
    (
        reason("fewer_orders", 0, 5.4, window_days=90, basis="shop"),
        "No order in the last 90 days, usually 5",
        "近 90 天没有下单，平时 5 次",
    ),
    (
        reason("less_spend", 9_000, 30_000, window_days=90),
        "Spent €90 in the last 90 days, usually €300",
        "近 90 天消费 €90，平时 €300",
    ),
    (
        reason("less_variety", 1, 4, window_days=90),
        "Bought from 1 category in the last 90 days, from 4 in the 90 days before",
        "近 90 天只买了 1 个品类，此前 90 天为 4 个",
    ),
    (reason("no_visit", 12, 0.8), "No visit for 12 days, usually every day", "已 12 天未到访，平时每天一次"),
    (
        reason("no_opens", 0, 0.5, of_count=4, window_days=90, days_ago=110),
        "Opened no message since May 2024, 4 sent in the last 90 days",
        "自2024年5月起未再打开消息，近 90 天已发送 4 条",
    ),
    (
        reason("no_opens", 0.25, 0.75, of_count=4, window_days=90, days_ago=3),
        "Opened 1 of 4 messages in the last 90 days, usually 3",
        "近 90 天 4 条消息打开 1 条，平时 3 条",
    ),
    (
        reason("no_opens", 0, 0.5, of_count=4, window_days=90),
        "Opened none of 4 messages in the last 90 days",
        "近 90 天 4 条消息一条也未打开",
    ),
    (reason("returns", 2, 0, window_days=30), "2 returns in the last 30 days", "近 30 天退货 2 次"),
    (reason("returns", 1, 0, window_days=30), "1 return in the last 30 days", "近 30 天退货 1 次"),
    (reason("bad_review", 1, 4.1, days_ago=6), "A one-star review 6 days ago", "6 天前给出一星评价"),
    (reason("bad_review", 2, 4.1, days_ago=1), "A two-star review 1 day ago", "1 天前给出两星评价"),
    (reason("bad_review", 0, 4.1, days_ago=0), "A one-star review today", "今天给出一星评价"),
    (reason("one_order", 1, 4, days_ago=40), "Only one order so far, 40 days ago", "至今只下过一单，在 40 天前"),
    (
        reason("discounts_only", 0.9, 0.3, of_count=10),
        "9 of 10 orders with a discount; other customers 3 of 10",
        "10 单中有 9 单使用优惠，其他客户为 3 单",
    ),
]


@pytest.mark.parametrize(("one", "english", "chinese"), SENTENCES, ids=[one.code for one, _, _ in SENTENCES])
def test_a_reason_says_the_fact_and_the_usual(one, english, chinese):
    assert reason_sentence(one, words("en"), Formats("en", "EUR", "UTC")) == english
    assert reason_sentence(one, words("zh_CN"), Formats("zh_CN", "EUR", "UTC")) == chinese


def test_every_code_has_a_sentence():
    assert {one.code for one, _, _ in SENTENCES} == HELP_OF_CODE.keys()


@pytest.mark.parametrize("locale", LOCALES)
def test_what_might_help_is_a_sentence(locale):
    texts = {help_sentence(one, words(locale)) for one, _, _ in SENTENCES}
    assert len(texts) == len(set(HELP_OF_CODE.values()))
    assert all(text.endswith((".", "。")) for text in texts)
