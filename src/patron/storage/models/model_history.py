"""The models that completed runs have kept, by question, and the one that a name means."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence
from patron.storage.models.model_decisions import APPROVED, ModelDecision, active_pins, model_decisions, utc
from patron.storage.models.model_registry import manifest_hashes, model_versions
from patron.storage.store.store import RUNS, Store

NO_MODEL = Sentence("no_model", "there is no model {name!r}")
NO_MODEL_OF = Sentence("no_model_of", "there is no model of {name!r}")
NEWEST_VERSIONS = Sentence("newest_versions", "Newest versions of {name}: {versions}.")
QUESTIONS_WITH_MODELS = Sentence("questions_with_models", "Questions with models: {names}.")

MAX_LISTED = 5


@dataclass(frozen=True)
class KeptModel:
    """One model of a completed run."""

    model_version: str
    """The folder under models/: QUESTION/VERSION."""
    as_of: datetime
    """Cutoff of the run."""

    @property
    def question(self) -> str:
        """What it forecasts."""
        return self.model_version.partition("/")[0]

    @property
    def version(self) -> str:
        """The run that fitted it."""
        return self.model_version.partition("/")[2]


def kept_models(store: Store) -> tuple[KeptModel, ...]:
    """Models of completed runs by question, the newest first."""
    with store.begin() as connection:
        cutoffs = {row.run_id: utc(row.as_of) for row in connection.execute(sa.select(RUNS.c.run_id, RUNS.c.as_of))}
    models = [
        KeptModel(name, cutoffs[version])
        for name in model_versions(store)
        if (version := name.partition("/")[2]) in cutoffs
    ]
    newest_first = sorted(models, key=lambda one: one.as_of, reverse=True)
    return tuple(sorted(newest_first, key=lambda one: one.question))


def approvals(store: Store) -> tuple[ModelDecision, ...]:
    """Approvals of models that are as they were when they were approved, the oldest first."""
    return tuple(
        decision
        for decision in model_decisions(store)
        if decision.decision == APPROVED and decision.manifest_sha256 in manifest_hashes(store, decision.model_version)
    )


def find_model(store: Store, name: str) -> KeptModel:
    """The model of QUESTION/VERSION; of QUESTION alone the one that scores in the next run if nothing newer is fitted.

    That is the pinned one, or the newest. Raises NotFound.
    """
    question, _, version = name.partition("/")
    models = kept_models(store)
    of_question = [model for model in models if model.question == question]
    if not of_question:
        known = ", ".join(dict.fromkeys(model.question for model in models)) or "none yet; run `patron run` first"
        raise NotFound(NO_MODEL_OF(name=question), where=name, todo=QUESTIONS_WITH_MODELS(names=known))
    pin = active_pins(store).get(question)
    wanted = version or (pin.model_version.partition("/")[2] if pin else of_question[0].version)
    for one in of_question:
        if one.version == wanted:
            return one
    newest = ", ".join(one.version for one in of_question[:MAX_LISTED])
    raise NotFound(NO_MODEL(name=wanted), where=name, todo=NEWEST_VERSIONS(name=question, versions=newest))
