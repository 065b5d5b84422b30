"""Export a model in MLflow's format: the kept files, and a loader that is a module of Patron. No code travels."""

import platform
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from patron import __version__
from patron.govern.access.request_context import RequestContext
from patron.predict import mlflow_model
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import OTHER_FOLDER
from patron.schema.errors import NotFound, WorkspaceError
from patron.schema.models.questions import CHURN, VALUE
from patron.schema.sentences import Sentence
from patron.storage.durable_files import disk_errors
from patron.storage.models import model_registry
from patron.storage.models.model_decisions import PINNABLE
from patron.storage.models.model_history import find_model
from patron.storage.models.model_registry import CARD_TEXT, MANIFEST, METRICS, MODEL
from patron.storage.shop import Shop

NOT_FROM_FEATURES = Sentence("not_from_features", "models of {name!r} do not forecast from a table of features")
HOLDS_SOMETHING = Sentence("holds_something", "is not empty")
EXPORTABLE_QUESTIONS = Sentence("exportable_questions", "Questions that can be exported: {names}.")

DATA = "patron"
"""Folder of the kept files within the export."""
FLAVOUR_VERSION = "3.0.0"
"""Version of MLflow whose format this is; later ones read it."""


@dataclass(frozen=True)
class ExportedFolder:
    """A model as a folder that `mlflow.pyfunc.load_model` loads."""

    model_version: str
    folder: str
    files: tuple[str, ...]


def export_to_mlflow(context: RequestContext, name: str, folder: Path) -> ExportedFolder:
    """Write the model of a name into a new folder; the audit log records it.

    Raises NotFound, LakeDamaged, NoSpace, WorkspaceError for a folder that holds something.
    """
    kept = find_model(context.shop.store, name)
    if kept.question not in PINNABLE:
        what = NOT_FROM_FEATURES(name=kept.question)
        raise NotFound(what, where=name, todo=EXPORTABLE_QUESTIONS(names=", ".join(PINNABLE)))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkspaceError(HOLDS_SOMETHING, where=str(folder), todo=OTHER_FOLDER)
    models = context.shop.folder / "models"
    model_registry.require_sound(models, context.shop.store, kept.model_version)
    source = models / kept.model_version
    with disk_errors(folder), ExitStack() as half_written:
        half_written.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / DATA).mkdir(parents=True)
        shutil.copytree(source / MODEL, folder / DATA / MODEL)
        for file in (MANIFEST, METRICS, CARD_TEXT):
            shutil.copyfile(source / file, folder / DATA / file)
        if kept.question == VALUE.name:
            _copy_churn(context.shop, models, kept.model_version, folder / DATA)
        for file, content in _descriptions(kept.model_version, kept.as_of).items():
            (folder / file).write_text(content, encoding="utf-8")
        half_written.pop_all()
    with context.shop.store.begin() as connection:
        context.record(connection, AuditAction.MODEL_EXPORTED, {"model_version": kept.model_version})
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return ExportedFolder(kept.model_version, str(folder), tuple(files))


def _copy_churn(shop: Shop, models: Path, model_version: str, into: Path) -> None:
    """Copy the model of churn of the same run, as value is a product with what it forecasts. Raises LakeDamaged."""
    churn = f"{CHURN.name}/{model_version.partition('/')[2]}"
    model_registry.require_sound(models, shop.store, churn)
    shutil.copytree(models / churn / MODEL, into / CHURN.name / MODEL)
    shutil.copyfile(models / churn / MANIFEST, into / CHURN.name / MANIFEST)


def _descriptions(model_version: str, as_of: datetime) -> Mapping[str, str]:
    """The files that MLflow reads first, by name."""
    python = platform.python_version()
    return {
        "MLmodel": f"""\
artifact_path: model
flavors:
  python_function:
    data: {DATA}
    env:
      virtualenv: python_env.yaml
    loader_module: {mlflow_model.__name__}
    python_version: {python}
metadata:
  patron_model_version: {model_version}
mlflow_version: {FLAVOUR_VERSION}
utc_time_created: '{as_of:%Y-%m-%d %H:%M:%S}'
""",
        "python_env.yaml": f"""\
python: {python}
build_dependencies: []
dependencies:
- -r requirements.txt
""",
        "requirements.txt": f"mlflow-skinny\npandas\npatron[platform]=={__version__}\n",
    }
