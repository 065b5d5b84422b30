"""Fit a kept model again, from the table versions, the seed and the settings that its manifest names."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from patron.estimators.learner import FORECAST, Fitted
from patron.predict.learners import LEARNERS
from patron.predict.model_card import settings_of
from patron.predict.recalibration import recalibrate
from patron.predict.scoring import OrderProbabilities, RunFeatures, read_features, rows_to_learn
from patron.predict.survival import kept_hazards
from patron.predict.survival.landmarks import first_order_at, read_landmarks
from patron.schema.errors import NotFound, WorkspaceError
from patron.schema.models.questions import PROSPECTS, QUESTIONS, VALUE
from patron.schema.models.survival import SURVIVAL
from patron.storage.models import model_registry
from patron.storage.models.model_decisions import PINNABLE
from patron.storage.models.model_registry import FittedModel, Manifest
from patron.storage.runs.stage_view import StageView


def refit(view: StageView, manifest: Manifest, churn: Fitted | None = None) -> FittedModel:
    """The model of a manifest, fitted again; `view` has its run and its table versions.

    `churn` is the model of churn of the same run, which a model of value needs.

    Raises NotFound for a question whose models are not fitted to rows of features or landmarks, WorkspaceError where
    the data or the settings are not those of the manifest.
    """
    with threadpool_limits(limits=1, user_api="blas"):  # why: as in a run, whose sums are to be the same
        if manifest.question == SURVIVAL:
            return _refit_hazards(view, manifest)
        return _refit_question(view, manifest, churn)


def _refit_question(view: StageView, manifest: Manifest, churn: Fitted | None) -> FittedModel:
    question = next((one for one in QUESTIONS if one.name == manifest.question and one.name in PINNABLE), None)
    if question is None:
        what = f"models of {manifest.question!r} cannot be fitted again by themselves"
        todo = f"Those that can: {', '.join((*PINNABLE, SURVIVAL))}."
        raise NotFound(what, where=manifest.model_version, todo=todo)
    learner = next((one for one in LEARNERS[question.name] if one.name == manifest.learner), None)
    if learner is None:
        raise _other_settings(manifest)
    _require_settings(manifest, settings_of(learner))
    features = read_features(view, "prospect_features" if question is PROSPECTS else "features")
    if question is VALUE and churn:
        features = replace(features, probabilities=_probabilities(churn, features))
    rows = rows_to_learn(view, question, features)
    _require_rows(manifest, model_registry.data_hash(rows))
    return recalibrate(learner.fit(rows), manifest.slope, rows)


def _probabilities(churn: Fitted, features: RunFeatures) -> OrderProbabilities:
    """Those that a model of churn forecasts of the run's customers."""
    value = churn.predict(features.current)[FORECAST]
    columns = {"customer_id": features.current["customer_id"], "as_of": features.current["as_of"], "value": value}
    return OrderProbabilities(pa.table(columns))


def _refit_hazards(view: StageView, manifest: Manifest) -> FittedModel:
    if manifest.learner not in kept_hazards.DESCRIPTIONS:
        raise _other_settings(manifest)
    _require_settings(manifest, kept_hazards.settings_of(manifest.learner))
    landmarks = read_landmarks(view, first_order_at(view) or view.run.as_of)
    _require_rows(manifest, model_registry.data_hash(landmarks.known_at(0), kept_hazards.IDENTITY))
    return kept_hazards.fit_to_run(view, landmarks, manifest.learner)


def _require_settings(manifest: Manifest, settings: Mapping[str, Any]) -> None:
    if json.loads(json.dumps(settings)) != dict(manifest.settings):
        raise _other_settings(manifest)


def _other_settings(manifest: Manifest) -> WorkspaceError:
    what = f"this Patron has no learner {manifest.learner} with the settings of the model"
    return WorkspaceError(what, where=manifest.model_version, todo="Verify it with the Patron that fitted it.")


def _require_rows(manifest: Manifest, data_hash: str) -> None:
    if data_hash != manifest.data_hash:
        raise WorkspaceError(
            "the lake no longer has the rows that the model was fitted to: its tables are of another run, or somebody"
            " was erased since",
            where=manifest.model_version,
            todo="Verify the model of a later run.",
        )
