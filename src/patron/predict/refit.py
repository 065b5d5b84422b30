"""Fit a kept model again, from the table versions, the seed and the settings that its manifest names."""

import json

from threadpoolctl import threadpool_limits

from patron.predict.learner import Fitted
from patron.predict.learners import LEARNERS
from patron.predict.model_card import settings_of
from patron.predict.pinned_models import PINNABLE
from patron.predict.scoring import read_features, with_labels
from patron.schema.errors import NotFound, WorkspaceError
from patron.schema.questions import PROSPECTS, QUESTIONS
from patron.storage import model_registry
from patron.storage.model_registry import Manifest
from patron.storage.stage_view import StageView


def refit(view: StageView, manifest: Manifest) -> Fitted:
    """The model of a manifest, fitted again; `view` has its run and its table versions.

    Raises NotFound for a question whose models are not fitted to rows of features, WorkspaceError where the data or
    the settings are not those of the manifest.
    """
    question = next((one for one in QUESTIONS if one.name == manifest.question and one.name in PINNABLE), None)
    if question is None:
        what = f"models of {manifest.question!r} cannot be fitted again by themselves"
        raise NotFound(what, where=manifest.model_version, todo=f"Questions that can: {', '.join(PINNABLE)}.")
    learner = next((one for one in LEARNERS[question.name] if one.name == manifest.learner), None)
    if learner is None or json.loads(json.dumps(settings_of(learner))) != dict(manifest.settings):
        what = f"this Patron has no learner {manifest.learner} with the settings of the model"
        raise WorkspaceError(what, where=manifest.model_version, todo="Verify it with the Patron that fitted it.")
    features = read_features(view, "prospect_features" if question is PROSPECTS else "features")
    rows = with_labels(view, question, features.known)
    if model_registry.data_hash(rows) != manifest.data_hash:
        raise WorkspaceError(
            "the lake no longer has the rows that the model was fitted to: its tables are of another run, or somebody"
            " was erased since",
            where=manifest.model_version,
            todo="Verify the model of a later run.",
        )
    with threadpool_limits(limits=1, user_api="blas"):  # why: as in a run, whose sums are to be the same
        return learner.fit(rows)
