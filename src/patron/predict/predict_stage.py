"""The predict stage of a run: every question's champion trained and kept, or an earlier run's, used for everybody."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from threadpoolctl import threadpool_limits

from patron.predict.background import in_background
from patron.predict.category_needs.needs import build_category_needs, fit_categories
from patron.predict.contract_churn.contract_forecasts import build_contract_forecasts
from patron.predict.message_response.response_forecasts import build_response_forecasts
from patron.predict.part_result import log_unanswered
from patron.predict.purchase.coherent_probabilities import coherent_scores
from patron.predict.recommend.affinities import rank_products
from patron.predict.scoring import Answer, AnsweredQuestion, OrderProbabilities, answer, read_features
from patron.predict.session_conversion import build_session_conversion
from patron.predict.value.repeat_purchase import build_repeat_purchase
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import CHURN, PROSPECTS, QUESTIONS
from patron.schema.tables import (
    BACKTESTS,
    CHURN_DRIVERS,
    METRICS_BY_GROUP,
    PARTIAL_DEPENDENCE,
    PAST_FORECASTS,
    REASONS,
    SCORES,
    SHOP_FORECASTS,
    TRAININGS,
)
from patron.storage.models.trainings import Training
from patron.storage.runs.stage_view import StageView

INDEPENDENT_STEPS = (
    rank_products,
    build_response_forecasts,
    build_contract_forecasts,
    build_session_conversion,
    fit_categories,
    build_repeat_purchase,
)
"""What needs no answer of this run: it is made while questions are answered, mostly outside the interpreter."""


@dataclass(frozen=True)
class Summary:
    """What predict did in a run."""

    answered: tuple[AnsweredQuestion, ...]
    unanswered: tuple[str, ...]
    """Questions that no learner could be fitted for, with the reason."""


def run(view: StageView) -> Summary:
    """Answer every question for the run's cutoff: writes all tables of the stage.

    Raises NotEnoughData when no question about customers could be answered.
    """
    # why: matrices are small here, threads of BLAS wait for each other, up to ten times as long on two busy cores;
    # and sums do not depend on how many cores there are
    with threadpool_limits(limits=1, user_api="blas"), in_background(INDEPENDENT_STEPS, view) as results:
        answers, missing = answer_questions(view)
        if not answers:
            raise NotEnoughData(
                "; ".join(missing), where=f"run {view.run.run_id}", todo="Import a longer history of orders."
            )
        prospects, missing_prospects = answer_prospects(view)
        answers += prospects
        scores = coherent_scores([one.scores for one in answers])
        rankings, responses, contracts, visits, categories, _ = (result.result() for result in results)
        needs = build_category_needs(view, scores, categories)
    parts = (rankings, needs, responses, contracts, visits)
    tables = {
        "scores": [SCORES.empty(), *scores],
        "past_forecasts": [PAST_FORECASTS.empty(), *(one.past_forecasts for one in answers)],
        "metrics_by_group": [METRICS_BY_GROUP.empty(), *(one.metrics_by_group for one in answers)],
        "reasons": [REASONS.empty(), *(one.reasons for one in answers)],
        "churn_drivers": [CHURN_DRIVERS.empty(), *(one.drivers for one in answers)],
        "partial_dependence": [PARTIAL_DEPENDENCE.empty(), *(one.partial_dependence for one in answers)],
        "backtests": [BACKTESTS.empty(), *(one.backtests for one in (*answers, *parts))],
        "shop_forecasts": [SHOP_FORECASTS.empty(), *(one.shop_forecast for one in answers)],
    }
    for name, rows in tables.items():
        view.write(name, pa.concat_tables(rows))
    trainings = (*(one.summary.training for one in answers), *(one for part in parts for one in part.trainings))
    view.write("trainings", training_rows(view.run.run_id, trainings))
    reasons = (*missing, *missing_prospects, *(reason for part in parts for reason in part.unanswered))
    return Summary(tuple(one.summary for one in answers), reasons)


def training_rows(run_id: str, trainings: Sequence[Training]) -> pa.Table:
    """Rows of `trainings`."""
    return pa.Table.from_pylist(
        [{"run_id": run_id} | vars(training) for training in trainings], schema=TRAININGS.schema()
    )


def answer_questions(view: StageView) -> tuple[list[Answer], list[str]]:
    """Answers about customers, and what could not be answered. Raises NotEnoughData when there is no customer."""
    features = read_features(view, "features")
    if not features.current.num_rows:
        raise NotEnoughData(
            "no customer with an order", where=f"run {view.run.run_id}", todo="Import orders known before it."
        )
    found, missing = dict[str, Answer](), []
    asked = [question for question in QUESTIONS if not (question.is_ranking or question is PROSPECTS)]
    # why first: value is the probability of an order, which churn forecasts, times the spend
    for question in sorted(asked, key=lambda one: one is not CHURN):
        try:
            found[question.name] = answer(view, question, features)
        except NotEnoughData as error:
            pin = view.pinned_models.get(question.name)
            also = f"; {pin.model_version}, to which it is pinned, does not score either" if pin else ""
            missing.append(log_unanswered(view, question, error) + also)
        if question is CHURN and CHURN.name in found:
            features = replace(features, probabilities=OrderProbabilities.of(found[CHURN.name]))
    return [found[question.name] for question in asked if question.name in found], missing


def answer_prospects(view: StageView) -> tuple[list[Answer], list[str]]:
    """The answer about people without an order, or why there is none; neither in a shop that has no such people."""
    features = read_features(view, "prospect_features")
    if not features.current.num_rows:
        return [], []
    try:
        return [answer(view, PROSPECTS, features)], []
    except NotEnoughData as error:
        return [], [log_unanswered(view, PROSPECTS, error)]
