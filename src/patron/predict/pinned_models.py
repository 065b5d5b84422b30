"""Models that people pinned: an earlier model that scores a question, while the run's own champion is kept aside."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from patron.estimators.learner import Fitted, Learner
from patron.predict.learners import LEARNERS
from patron.schema.errors import LakeDamaged, NotFound, WorkspaceError
from patron.storage.models import model_registry
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import Store


def require_usable(
    models: Path, store: Store, model_versions: Iterable[str], feature_versions: Mapping[str, str], as_of: datetime
) -> None:
    """Verify and load models for a run as of a cutoff whose features have these versions, by question.

    Raises LakeDamaged, NotFound; WorkspaceError for a model of other features, and for one that knows what came later.
    """
    for model_version in model_versions:
        question, _, version = model_version.partition("/")
        todo = f"Choose another model, or end its pin: patron models release {question}."
        try:
            manifest = model_registry.manifest(models, store, model_version)
            if manifest.feature_version != feature_versions[question]:
                what = f"model {version} of {question} was fitted to other features than Patron computes now"
                cause = "Another version of Patron, time zone or list of sensitive traits changes them. "
                raise WorkspaceError(what, where=model_version, todo=cause + todo)
            if datetime.fromisoformat(manifest.as_of) > as_of:
                what = f"model {version} of {question} knows what happened after this run's cutoff"
                raise WorkspaceError(what, where=model_version, todo=todo)
            load_model(models, store, model_version)
        except (LakeDamaged, NotFound) as error:
            todo = f"Restore the newest backup, or end its pin: patron models release {question}."
            raise type(error)(error.what, where=error.where, todo=todo) from error


def load_model(
    models: Path, store: Store | DeclaredStore, model_version: str, learners: Sequence[Learner] | None = None
) -> Fitted:
    """Read a kept model, of these learners or of those of its question. Raises NotFound, LakeDamaged."""
    question, _, version = model_version.partition("/")
    return model_registry.load(models, store, question, version, LEARNERS[question] if learners is None else learners)
