"""How long customers stay, in both languages."""

# ruff: noqa: RUF001 - Chinese has commas and colons of its own

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from patron.answers.models.survival import (
    CurvePoint,
    CustomerSurvival,
    EarlyWarning,
    LaterHorizon,
    Survival,
    SurvivalBacktest,
)
from patron.interfaces.charts.churn_charts import survival_curve
from patron.interfaces.console.models.survival_texts import later_sentences, verdict_sentence, warning_sentence
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words

ROW = SurvivalBacktest(
    origin="2017-07-05", learner="hazard_trees", champion="hazard_trees", metric="log_loss", horizon_days=180,
    value=0.08, low=0.07, high=0.1, gain=0.01, gain_low=0.005, gain_high=0.02, forecast_share=None, actual_share=None,
    customer_count=6_623, leaver_count=196,
)  # fmt: skip
WARNING = EarlyWarning(
    rule="churn", share=0.1, warned_count=450, precision=0.24, low=0.2, high=0.28, base_rate=0.042,
    leavers_warned_share=0.8, lead_days=42.0, lead_low_days=24.0, lead_high_days=59.0, gain=0.05, gain_low=0.03,
    gain_high=0.07, customer_count=2_393, leaver_count=190,
)  # fmt: skip
LATER = (LaterHorizon(180, None), LaterHorizon(270, datetime(2018, 2, 26, 5, tzinfo=UTC)))
FOUND = Survival((ROW,), (WARNING,), LATER, "survival/2024-06-01")


def written(write, locale, found):
    result = write(found, words(locale), Formats(locale, "USD", "America/New_York"))
    return result if isinstance(result, str) else list(result)


def test_horizons_without_a_forecast_wait_for_a_date_or_for_leavers():
    assert written(later_sentences, "en", LATER) == [
        "Not enough history yet: 270 days from 26 Feb 2018.",
        "Too few customers left to check forecasts over 180 days.",
    ]
    assert written(later_sentences, "zh_CN", LATER) == [
        "历史数据尚不足，以下预测需等待：270 天自2018年2月26日起。",
        "流失的客户太少，还无法检验 180 天的预测。",
    ]


def test_the_verdict_says_by_how_many_it_was_checked_and_who_won():
    checked = "Checked against 6,623 forecasts made from 5 Jul 2017 on, for customers who ordered in the next 90 days;"
    assert written(verdict_sentence, "en", FOUND).startswith(checked)
    assert "boosted trees” beats the life table" in written(verdict_sentence, "en", FOUND)
    lost = replace(FOUND, backtests=(replace(ROW, champion="life_table"),))
    assert "No model beats the life table beyond noise" in written(verdict_sentence, "en", lost)
    assert "没有模型明显优于生命表" in written(verdict_sentence, "zh_CN", lost)


def test_the_sentence_about_warnings_has_the_base_rate_and_the_lead():
    assert written(warning_sentence, "en", FOUND) == (
        "Of warnings about the 10% with the highest churn probability, 24% were right; of all active customers, 4% "
        "left. Half of the right warnings came 42 days or more before the 90th day without an order."
    )
    never = replace(FOUND, warnings=(replace(WARNING, precision=0.0, lead_days=None),))
    assert written(warning_sentence, "zh_CN", never) == (
        "对流失概率最高的 10% 客户发出的预警无一正确；全部活跃客户中有 4% 流失。"
    )


@pytest.mark.parametrize(("locale", "last"), [("en", "180 days (30 Jun 2018)"), ("zh_CN", "180 天（2018年6月30日）")])
def test_the_curve_has_the_same_numbers_as_its_table(locale, last):
    as_of = datetime(2018, 1, 1, 5, tzinfo=UTC)
    points = (
        CurvePoint(90, datetime(2018, 4, 1, 5, tzinfo=UTC), 0.87, 0.8),
        CurvePoint(180, datetime(2018, 6, 30, 5, tzinfo=UTC), 0.31, 0.6),
    )
    curve = CustomerSurvival(is_active=True, points=points, expected_days=60.0, of_days=90, later=())
    chart = survival_curve(curve, as_of, words(locale), Formats(locale, "USD", "America/New_York"))
    assert chart.rows[-1] == (last, "31%", "60%")
    drawn = chart.svg()
    assert ">87%<" in drawn
    assert ">31%<" in drawn
    assert "31%" in chart.description
