"""What pages and summary say about trainings, in both languages."""

from datetime import UTC, datetime, timedelta

import pytest

from patron.answers.models.metrics_by_group import GroupRow
from patron.answers.models.models import Models
from patron.interfaces.console.models.training_texts import (
    cohort_sentences,
    measured_sentence,
    training_sentence,
    training_summary,
)
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words
from patron.schema.tables import ALARM, FIRST, RECENT, TRAINING_REASONS
from patron.storage.models.trainings import Training

AS_OF = datetime(2024, 3, 5, tzinfo=UTC)
ENGLISH = (words("en"), Formats("en", "USD", "UTC"))


def models_trained(**reasons):
    """Models of a run by the reason why each question was trained, or was not."""
    before = AS_OF - timedelta(days=3)
    trainings = tuple(
        Training(
            question, "2024-03-02" if reason == RECENT else "2024-03-05", before if reason == RECENT else AS_OF, reason
        )
        for question, reason in reasons.items()
    )
    return Models("2024-03-05", AS_OF, (), (), None, trainings=trainings, retrain_days=7)


def cohort(half_year, before, after, low, high):
    same = {"question": "churn", "origin": "2024-03-05", "grouping": "first_order", "metric": "log_loss"}
    same |= {"learner": "averaged", "baseline": "mean", "earlier_version": "churn/2023-12-01", "customer_count": 90}
    nothing = dict.fromkeys(("low", "high", "baseline_value", "gain", "gain_low", "gain_high"))
    gain = {"earlier_value": before, "earlier_gain": before - after, "earlier_gain_low": low, "earlier_gain_high": high}
    return GroupRow(**(same | nothing | gain), group_name=half_year, value=after)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("reason", TRAINING_REASONS)
def test_every_reason_has_a_sentence(locale, reason):
    sentence = training_sentence(models_trained(churn=reason), "churn", words(locale), Formats(locale, "USD", "UTC"))
    assert sentence
    assert "training." not in sentence


def test_a_model_that_is_used_again_says_when_it_was_trained_and_will_be():
    models = models_trained(churn=RECENT, value=RECENT)
    assert training_sentence(models, "churn", *ENGLISH) == (
        "Trained on 2 Mar 2024, 3 days before this run. The next training is due on 9 Mar 2024, or after an"
        " alarm about these forecasts."
    )
    assert training_sentence(models, "recommend", *ENGLISH) == "Trained in every run."
    assert list(training_summary(models, *ENGLISH)) == [
        "The forecasts come from the models as trained on 2 Mar 2024; the next training is due on 9 Mar 2024."
    ]
    assert measured_sentence(models, *ENGLISH).endswith("are as of 2 Mar 2024.")


def test_the_summary_says_which_models_an_alarm_has_trained_again():
    models = models_trained(churn=ALARM, value=RECENT)
    alarm, recent = training_summary(models, *ENGLISH)
    assert alarm.startswith("This run trained the models of: ")
    assert "because the run before had an alarm" in alarm
    assert "as trained on 2 Mar 2024" in recent


def test_a_first_training_is_nothing_to_report():
    models = models_trained(churn=FIRST, value=FIRST)
    assert list(training_summary(models, *ENGLISH)) == []
    assert measured_sentence(models, *ENGLISH) == ""


def test_the_error_on_earlier_customers_is_shown_before_and_after_the_training():
    kept = cohort("before 2022-H2", 0.51, 0.5, -0.02, 0.04)
    worse = cohort("2022-H2", 0.4, 0.48, -0.12, -0.03)
    error, verdict = cohort_sentences([kept], *ENGLISH)
    assert error == (
        "Log loss by half-year of the first order, as of 2024-03-05: model of 2023-12-01 → model of this training,"
        " from what was known by then: before 2022-H2: 0.510 → 0.500. Lower is better."
    )
    assert verdict.endswith("earlier customers were forgotten.")
    _, verdict = cohort_sentences([kept, worse], *ENGLISH)
    assert verdict == ("Worse beyond noise: 2022-H2. If they still are after the next training, roll back.")
    chinese = list(cohort_sentences([kept, worse], words("zh_CN"), Formats("zh_CN", "CNY", "Asia/Shanghai")))
    assert chinese[0].startswith("以 2024-03-05 为截止日")
    assert "0.510 → 0.500" in chinese[0]
