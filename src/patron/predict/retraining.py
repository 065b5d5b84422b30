"""When a question's champion is trained again, and the champion of an earlier run that answers until then.

An alarm about calibration asks for a training: the world is no longer as the model learned it. One about data does not,
nor one about scores, which follow from data: a model that is trained on a broken source learns the fault. An alarm that
was there already when the model was trained asks for nothing, as that training knew of it all that there is to know.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa

from patron.estimators.learner import Fitted, Learner
from patron.predict.learners import LEARNERS
from patron.predict.model_card import settings_of
from patron.predict.pinned_models import load_model
from patron.predict.prediction_intervals import IntervalEnds
from patron.predict.training import TrainedModel, keep
from patron.predict.value.season_prior import SEASONAL_QUESTIONS, entered_calendars
from patron.schema.errors import PatronError
from patron.schema.models.questions import CHURN, VALUE, Target
from patron.schema.tables import (
    ALARM,
    BACKTESTS,
    DUE,
    FIRST,
    NEW_SEASON,
    OTHER_FEATURES,
    RECENT,
    REQUESTED,
    UNPROVEN,
    UNUSABLE,
)
from patron.storage.engine import sql_list
from patron.storage.models import model_registry
from patron.storage.models.trainings import Training, read_trainings
from patron.storage.runs.stage_view import StageView

TRAINED_TOGETHER = (CHURN, VALUE)
"""Value is a product with the probability that churn forecasts, also at the past cutoffs that it is evaluated at."""
EARLY = timedelta(hours=12)
"""So much before the time is up a training is due: nightly runs are not a day apart to the second."""


@dataclass(frozen=True)
class KeptChampion:
    """The champion that an earlier run trained."""

    learner: str
    fitted: Fitted
    intervals: IntervalEnds


@dataclass(frozen=True)
class CurrentModel:
    """The model that answers a question in a run, and what this run measured of it: nothing of an earlier run's."""

    fitted: Fitted
    training: Training
    backtests: pa.Table = field(default_factory=BACKTESTS.empty)


def train_or_reuse(
    view: StageView,
    question: Target,
    learners: Sequence[Learner],
    *,
    feature_version: str,
    tables: Sequence[str],
    train: Callable[[], TrainedModel],
) -> CurrentModel:
    """Take an earlier run's champion until a training is due; then train one from `tables` and keep it.

    Raises NotEnoughData where `train` does.
    """
    training, kept = plan_training(view, question, feature_version, learners)
    if kept:
        return CurrentModel(kept.fitted, training)
    trained = train()
    keep(view, trained, tables)
    return CurrentModel(trained.fitted, training, trained.backtests)


def plan_training(
    view: StageView, question: Target, feature_version: str, learners: Sequence[Learner] | None = None
) -> tuple[Training, KeptChampion | None]:
    """Decide whether this run trains a question, for features of a version; with the champion to use if it does not.

    `learners` are those that can be its champion now, by default all of the question's. A question that is trained
    together with others is trained where one of them is.
    """
    training, kept = _plan_question(view, question, feature_version, learners)
    for other in TRAINED_TOGETHER if kept and question in TRAINED_TOGETHER else ():
        reason = _plan_question(view, other, feature_version, None)[0].reason
        if reason != RECENT:
            return _of_this_run(view, question, reason), None
    return training, kept


def _plan_question(
    view: StageView, question: Target, feature_version: str, learners: Sequence[Learner] | None
) -> tuple[Training, KeptChampion | None]:
    history = view.once("training history", lambda: _read_history(view))
    before, again = history.before.get(question.name), history.again.get(question.name)
    # why: a run that is run again must not lose what it trained, which later runs may rest on
    reason = again.reason if again and again.is_of_this_run else _reason(view, history, question)
    if before is None or reason != RECENT:
        return _of_this_run(view, question, reason), None
    try:
        manifest = model_registry.manifest(view.models_folder, view.declared_store, before.model_version)
        if manifest.feature_version != feature_version:
            return _of_this_run(view, question, OTHER_FEATURES), None
        candidates = LEARNERS[question.name] if learners is None else tuple(learners)
        learner = next((candidate for candidate in candidates if candidate.name == manifest.learner), None)
        if learner is None or json.loads(json.dumps(settings_of(learner))) != dict(manifest.settings):
            return _of_this_run(view, question, UNUSABLE), None
        fitted = load_model(view.models_folder, view.declared_store, before.model_version, candidates)
        ends = IntervalEnds(**model_registry.intervals(view.models_folder, view.declared_store, before.model_version))
    except (PatronError, KeyError, TypeError, ValueError):
        # why the last three: another version of Patron may have written it otherwise; a training needs none of it
        return _of_this_run(view, question, UNUSABLE), None
    training = Training(question.name, before.trained_run_id, before.trained_at, RECENT)
    return training, KeptChampion(manifest.learner, fitted, ends)


def _of_this_run(view: StageView, question: Target, reason: str) -> Training:
    return Training(question.name, view.run.run_id, view.run.as_of, reason)


@dataclass(frozen=True)
class _History:
    """What earlier runs say of trainings, read once a view."""

    before: Mapping[str, Training]
    """Trainings that the run before rests on, by question."""
    again: Mapping[str, Training]
    """Those of an earlier attempt of this run."""
    alarmed: frozenset[tuple[str, str]]
    """Questions and runs with an alarm about calibration."""
    proven: frozenset[tuple[str, str]]
    """Each question that has a backtest, with the run that made it."""


def _read_history(view: StageView) -> _History:
    before = read_trainings(view, view.run_before.run_id) if view.run_before else {}
    runs = sql_list([training.trained_run_id for training in before.values()] or [""])
    alarmed = view.query("select distinct subject as question, run_id from model_alarms where kind = 'calibration'")
    proven = view.query(f"select distinct question, run_id from backtests where run_id in {runs}")
    pairs = (frozenset((row["question"], row["run_id"]) for row in rows.to_pylist()) for rows in (alarmed, proven))
    return _History(before, read_trainings(view, view.run.run_id), *pairs)


def _reason(view: StageView, history: _History, question: Target) -> str:
    """Why this run trains a question, or RECENT."""
    before = history.before.get(question.name)
    if before is None or view.run_before is None:
        return FIRST
    if view.is_retraining:
        return REQUESTED
    trained_in = (question.name, before.trained_run_id)
    if (question.name, view.run_before.run_id) in history.alarmed and trained_in not in history.alarmed:
        return ALARM
    entered = [one.entered_at for one in entered_calendars(view)] if question.name in SEASONAL_QUESTIONS else []
    if entered and max(entered) > before.trained_at:
        return NEW_SEASON
    if view.run.as_of - before.trained_at >= timedelta(days=view.policy.models.retrain_days) - EARLY:
        return DUE
    return RECENT if trained_in in history.proven else UNPROVEN
