"""The sentences at the top of overview and report say what a manager has to know."""

from dataclasses import replace

import pytest

from patron.answers.insight.overview import overview
from patron.answers.models.model_alarms import ModelAlarm
from patron.answers.models.models import models
from patron.answers.offers.offer_results import AssignmentAlarm, Effect
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.interfaces.report.summary_sentences import summary_sentences


@pytest.mark.parametrize(
    ("locale", "says", "never"),
    [
        ("en", ["None of the 12 customers considered for an offer may be contacted", "policy.toml"], "control group"),
        ("zh_CN", ["12 位客户均不可联系", "policy.toml"], "对照组"),
    ],
)
def test_when_nobody_may_be_contacted_it_is_said_with_what_to_do(made_shop, locale, says, never):
    facts = overview(made_shop)
    refused = replace(facts.decisions, customer_count=12, refused_count=12, holdout_count=0, offered_count=0)
    formats = Formats(locale, facts.currency, facts.time_zone)
    usual = " ".join(summary_sentences(facts, None, words(locale), formats))
    said = " ".join(summary_sentences(replace(facts, decisions=refused), None, words(locale), formats))
    assert never in usual
    assert [word for word in says if word not in said] == []
    assert never not in said


@pytest.mark.parametrize(
    ("season", "english", "chinese"),
    [
        (None, "Less than a year of history cannot show your Christmas", "不足一年的历史看不出"),
        (1.4, "bring 40% more than the year's average", "比全年平均高 40%"),
        (0.8, "bring 20% less than the year's average", "比全年平均低 20%"),
    ],
)
def test_what_the_season_does_is_said_or_that_the_shop_is_too_young_to_tell(made_shop, season, english, chinese):
    facts = overview(made_shop)
    facts = replace(facts, value=replace(facts.value, season=season))
    for locale, sentence in (("en", english), ("zh_CN", chinese)):
        formats = Formats(locale, facts.currency, facts.time_zone)
        assert sentence in " ".join(summary_sentences(facts, None, words(locale), formats))


@pytest.mark.parametrize(
    ("locale", "used", "unseen"),
    [
        (
            "en",
            "uses the one you entered, with a weight of 64%",
            "Less than a year of history cannot show your Christmas",
        ),
        ("zh_CN", "采信程度为 64%", "看不出您店铺的旺季"),
    ],
)
def test_a_season_that_was_entered_is_named_with_how_far_it_is_believed(made_shop, locale, used, unseen):
    facts = overview(made_shop)
    facts = replace(facts, value=replace(facts.value, season=None, calendar_trust=0.64))
    said = " ".join(summary_sentences(facts, None, words(locale), Formats(locale, facts.currency, facts.time_zone)))
    assert used in said
    assert unseen not in said


@pytest.mark.parametrize(
    ("history", "models_total", "weight", "english", "chinese"),
    [
        (300_000.0, 200_000.0, 0.7, "gives order history a weight of 70%", "订单历史的权重为 70%"),
        (200_000.0, 300_000.0, 0.3, "gives the customer models a weight of 70%", "客户模型的权重为 70%"),
        (220_000.0, 200_000.0, 0.7, "", ""),
        (None, 200_000.0, 0.0, "", ""),
    ],
)
def test_totals_that_differ_are_told_with_which_counts_for_more(
    made_shop, history, models_total, weight, english, chinese
):
    facts = overview(made_shop)
    value = replace(facts.value, history_cents=history, models_cents=models_total, history_weight=weight)
    facts = replace(facts, value=value)
    for locale, sentence, opening in (("en", english, "Two methods give"), ("zh_CN", chinese, "两种方法")):
        formats = Formats(locale, facts.currency, facts.time_zone)
        said = " ".join(summary_sentences(facts, None, words(locale), formats))
        assert (opening in said) == bool(sentence)
        assert sentence in said


@pytest.mark.parametrize(
    ("locale", "first", "more"), [("en", "Alarm: “", "1 more alarm"), ("zh_CN", "预警", "1 条预警")]
)
def test_an_alarm_is_read_first_with_what_to_do_and_how_many_more_there_are(made_shop, locale, first, more):
    facts, since = overview(made_shop), overview(made_shop).as_of
    views = ModelAlarm("data", "view_count_30_days", "share", "views", None, 0.6, 0.0, 3.0, 0.25, since, 400, ())
    churn = replace(views, kind="calibration", subject="churn", part="mean", source=None)
    quiet = replace(models(made_shop), alarms=())
    formats = Formats(locale, facts.currency, facts.time_zone)
    without = summary_sentences(facts, quiet, words(locale), formats)
    said = summary_sentences(facts, replace(quiet, alarms=(views, churn)), words(locale), formats)
    assert said[0].startswith(first)
    assert said[0].endswith(words(locale)("alarm_help.views"))
    assert more in said[1]
    assert said[2:] == without


@pytest.mark.parametrize(
    ("locale", "effect", "raw", "net", "alarm"),
    [
        (
            "en",
            "Each of the 1,766 earlier offers changed margin by $0.63",
            "it is $0.70",
            "it earned $0.58",
            "Alarm: “",
        ),
        ("zh_CN", "此前的 1,766 次优惠平均每次使毛利变化 US$0.63", "为 US$0.70", "净收益为 US$0.58", "预警"),
    ],
)
def test_an_effect_is_read_raw_and_adjusted_and_an_alarm_of_its_assignment_first(
    made_shop, locale, effect, raw, net, alarm
):
    facts = overview(made_shop)
    measured = Effect(
        "any", "all", 1766, 400, 63.0, -20.0, 150.0, 43.0, False, facts.as_of, facts.as_of,
        raw_cents=70.0, sequence_low=-60.0, sequence_high=190.0, cost_cents=30.0, net_cents=58.0,
    )  # fmt: skip
    formats = Formats(locale, facts.currency, facts.time_zone)
    plain = replace(facts, effects=(measured,), assignment_alarms=())
    text = " ".join(summary_sentences(plain, None, words(locale), formats))
    assert [part for part in (effect, raw, net) if part not in text] == []
    wrong = tuple(
        AssignmentAlarm(*one, 1e-6) for one in (("holdout", "holdout", 60, 100.0), ("actions", "none", 9, 30.0))
    )
    said = summary_sentences(replace(plain, assignment_alarms=wrong), None, words(locale), formats)
    assert all(one.startswith(alarm) for one in said[:2])
    assert not text.startswith(alarm)
