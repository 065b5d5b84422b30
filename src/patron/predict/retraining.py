"""When a question's champion is trained again, and the champion of an earlier run that scores until then.

An alarm about calibration asks for a training: the world is no longer as the model learned it. One about data does not,
nor one about scores, which follow from data: a model that is trained on a broken source learns the fault. An alarm that
was there already when the model was trained asks for nothing, as that training knew of it all that there is to know.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from patron.estimators.learner import Fitted, Learner
from patron.predict.learners import LEARNERS
from patron.predict.model_card import settings_of
from patron.predict.pinned_models import load_model
from patron.predict.prediction_intervals import IntervalEnds
from patron.schema.errors import PatronError
from patron.schema.models.questions import Question
from patron.schema.tables import ALARM, DUE, FIRST, OTHER_FEATURES, RECENT, REQUESTED, UNPROVEN, UNUSABLE
from patron.storage.models import model_registry
from patron.storage.models.trainings import Training, read_trainings
from patron.storage.runs.stage_view import StageView

EARLY = timedelta(hours=12)
"""So much before the time is up a training is due: nightly runs are not a day apart to the second."""


@dataclass(frozen=True)
class KeptChampion:
    """The champion that an earlier run trained."""

    learner: str
    fitted: Fitted
    intervals: IntervalEnds


def plan_training(
    view: StageView, question: Question, feature_version: str, learners: Sequence[Learner] | None = None
) -> tuple[Training, KeptChampion | None]:
    """Decide whether this run trains a question, for features of a version; with the champion to use if it does not.

    `learners` are those that can be its champion now, by default all of the question's.
    """
    before = read_trainings(view, view.run_before.run_id).get(question.name) if view.run_before else None
    again = read_trainings(view, view.run.run_id).get(question.name)
    # why: a run that is run again must not lose what it trained, which later runs may rest on
    reason = again.reason if again and again.is_of_this_run else _reason(view, question, before)
    if before is None or reason != RECENT:
        return _of_this_run(view, question, reason), None
    try:
        manifest = model_registry.manifest(view.models_folder, view.declared_store, before.model_version)
        if manifest.feature_version != feature_version:
            return _of_this_run(view, question, OTHER_FEATURES), None
        candidates = LEARNERS[question.name] if learners is None else learners
        learner = next((one for one in candidates if one.name == manifest.learner), None)
        if learner is None or json.loads(json.dumps(settings_of(learner))) != dict(manifest.settings):
            return _of_this_run(view, question, UNUSABLE), None
        fitted = load_model(view.models_folder, view.declared_store, before.model_version)
        ends = IntervalEnds(**model_registry.intervals(view.models_folder, view.declared_store, before.model_version))
    except (PatronError, KeyError, TypeError, ValueError):
        # why the last three: another version of Patron may have written it otherwise; a training needs none of it
        return _of_this_run(view, question, UNUSABLE), None
    training = Training(question.name, before.trained_run_id, before.trained_at, RECENT)
    return training, KeptChampion(manifest.learner, fitted, ends)


def _of_this_run(view: StageView, question: Question, reason: str) -> Training:
    return Training(question.name, view.run.run_id, view.run.as_of, reason)


def _reason(view: StageView, question: Question, before: Training | None) -> str:
    """Why this run trains a question, or RECENT."""
    alarms = view.query(f"""
select distinct run_id from model_alarms where kind = 'calibration' and subject = '{question.name}'""")
    alarmed = set(alarms["run_id"].to_pylist())
    if before is None or view.run_before is None:
        return FIRST
    if view.is_retraining:
        return REQUESTED
    if view.run_before.run_id in alarmed and before.trained_run_id not in alarmed:
        return ALARM
    if view.run.as_of - before.trained_at >= timedelta(days=view.policy.models.retrain_days) - EARLY:
        return DUE
    sql = f"""
select 1 as one from backtests where run_id = '{before.trained_run_id}' and question = '{question.name}' limit 1"""
    return RECENT if view.query(sql).num_rows else UNPROVEN
