"""What an alarm says, and what to do, in both languages."""

# ruff: noqa: RUF001 - Chinese has commas and colons of its own

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from patron.answers.models.model_alarms import ModelAlarm
from patron.interfaces.console.models.alarm_texts import alarm_help, alarm_sentence
from patron.interfaces.console.templating import environment
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.schema.data.data_sources import DATA_SOURCES


def alarm(kind, subject, part, before, now, *, source=None, level=None, related=()):
    since = datetime(2024, 5, 2, tzinfo=UTC)
    return ModelAlarm(kind, subject, part, source, level, before, now, 3.0, 0.25, since, 400, related)


VIEWS = alarm("data", "view_count_30_days", "share", 0.61, 0.03, source="views", related=("view_count_7_days",))
SENTENCES = [
    (
        VIEWS,
        "“Product views, last 30 days”: the share of customers with any fell from 61.0% to 3.0% since 2 May 2024.",
        "“近 30 天浏览次数”：自2024年5月2日以来，有此记录的客户占比由 61.0% 降至 3.0%。",
    ),
    (
        alarm("data", "paid_cents_30_days", "size", 4_000, 8_000, source="amounts"),
        "“Paid, last 30 days”: the average of customers with any rose from €40 to €80 since 2 May 2024.",
        "“近 30 天支付金额”：自2024年5月2日以来，有此记录客户的平均值由 €40 升至 €80。",
    ),
    (
        alarm("data", "paid_cents_30_days", "size", 4_001, 4_000, source="amounts"),
        (
            "“Paid, last 30 days”: its values have been distributed differently since 2 May 2024; "
            "the average of customers with any is still €40."
        ),
        "“近 30 天支付金额”：自2024年5月2日以来取值分布有变化；有此记录客户的平均值仍为 €40。",
    ),
    (
        alarm("data", "declared_country", "level", 0.6, 0.0, source="traits", level="US"),
        "“Declared country”: the share of “US” fell from 60.0% to 0.0% since 2 May 2024.",
        "“自填的国家”：自2024年5月2日以来，“US”的占比由 60.0% 降至 0.0%。",
    ),
    (
        alarm("scores", "churn", "mean", 0.12, 0.25),
        "“Churn, next 90 days”: the average forecast rose from 12.0% to 25.0% since the run of 2 May 2024.",
        "“未来 90 天流失”：与2024年5月2日的运行相比，平均预测值由 12.0% 升至 25.0%。",
    ),
    (
        alarm("calibration", "churn", "mean", 0.12, 0.25),
        "“Churn, next 90 days”: the run of 2 May 2024 forecast 12.0% on average, the actual is 25.0%.",
        "“未来 90 天流失”：2024年5月2日的运行平均预测为 12.0%，实际为 25.0%。",
    ),
]


@pytest.mark.parametrize(("one", "english", "chinese"), SENTENCES)
def test_an_alarm_says_what_changed_by_how_much_and_since_when(one, english, chinese):
    for locale, text in zip(LOCALES, (english, chinese), strict=True):
        assert alarm_sentence(one, words(locale), Formats(locale, "EUR", "UTC")) == text


@pytest.mark.parametrize("locale", LOCALES)
def test_every_alarm_says_what_to_do(locale):
    helps = [alarm_help(alarm("data", "x", "share", 0, 1, source=source), words(locale)) for source in DATA_SOURCES]
    helps += [alarm_help(alarm(kind, "churn", "mean", 0, 1), words(locale)) for kind in ("scores", "calibration")]
    assert len(set(helps)) == len(DATA_SOURCES) + 2


def rendered(locale, alarms=(), since=None):
    models = SimpleNamespace(alarms=alarms, data_alarms_from=since)
    formats = Formats(locale, "EUR", "UTC")
    return environment().get_template("models/_model_alarms.html").render(models=models, t=words(locale), fmt=formats)


@pytest.mark.parametrize("locale", LOCALES)
def test_the_models_page_shows_each_alarm_once_with_what_to_do(locale):
    page, texts = rendered(locale, (VIEWS,)), words(locale)
    assert page.count("<tr>") == 2
    assert texts("alarm_help.views") in page
    assert texts("alarm.related", n=1, count=1) in page
    assert texts("alarms.none") not in page


def test_a_young_shop_is_not_without_alarms_but_before_them():
    assert "No alarm" in rendered("en")
    young = rendered("en", since=datetime(2024, 7, 29, tzinfo=UTC))
    assert "29 Jul 2024" in young
    assert "No alarm" not in young
