"""What the models page says of a run without reasons for churn, or with reasons of one kind, in both languages."""

from dataclasses import replace

import pytest

from patron.answers.models.models import models_of
from patron.interfaces.console.customers.reason_texts import driver_sentence
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.translations import words
from patron.schema.models.questions import CHURN
from patron.storage.runs.last_run import last_run


@pytest.fixture(scope="module")
def models(made_shop):
    return replace(models_of(last_run(made_shop)), missing_forecasts=())


def with_learner(models, name):
    questions = tuple(
        replace(question, card={**question.card, "learner": name}) if question.question == CHURN.name else question
        for question in models.questions
    )
    return replace(models, questions=questions)


def test_reasons_that_may_be_about_anything_need_no_word(models):
    assert models.churn_drivers
    assert driver_sentence(with_learner(models, "averaged"), words("en")) == ""


def test_a_baseline_has_no_reasons_and_the_page_says_why(models):
    said = driver_sentence(replace(with_learner(models, "recency_only"), churn_drivers=()), words("en"))
    assert said.startswith("This run gives no reasons: churn is forecast by a baseline, “")


@pytest.mark.parametrize(
    ("learner", "name"), [("pareto_chance", "Pareto/NBD"), ("logistic_rfm", "Logistic regression on RFM")]
)
def test_models_of_orders_have_reasons_about_orders_only(models, learner, name):
    said = {locale: driver_sentence(with_learner(models, learner), words(locale)) for locale in LOCALES}
    assert f"{name} forecasts churn from orders alone" in said["en"]
    assert len(set(said.values())) == len(LOCALES)


def test_where_nobody_stands_out_the_page_says_so_in_both_languages(models):
    nobody = replace(with_learner(models, "averaged"), churn_drivers=())
    said = {locale: driver_sentence(nobody, words(locale)) for locale in LOCALES}
    assert len(set(said.values())) == len(LOCALES)
    assert "no customer who is likely to leave" in said["en"]
    assert driver_sentence(replace(nobody, questions=()), words("en")) == "", "churn has no forecast"
