"""Verify a model: fit it again from its manifest and compare every byte."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from patron import predict
from patron.predict.pinned_models import load_model
from patron.predict.refit import refit
from patron.schema.errors import NotFound, WorkspaceError
from patron.schema.models.questions import CHURN, VALUE
from patron.schema.sentences import Sentence
from patron.schema.tables import BY_NAME
from patron.storage.models import model_registry
from patron.storage.models.model_history import find_model
from patron.storage.models.model_registry import Manifest
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

LAKE_VERSION_GONE = Sentence(
    "lake_version_gone", "the lake no longer has version {version} of {name}, which the model was fitted to"
)
VERSIONS_KEPT = Sentence(
    "versions_kept", "It keeps versions for 7 days, and those of the last run. Verify the last run's model."
)


@dataclass(frozen=True)
class Verification:
    """A model next to another fit of it."""

    model_version: str
    is_same: bool
    """Whether every file has the same bytes."""
    file_count: int
    differences: tuple[str, ...]
    """Files that differ."""
    table_versions: Mapping[str, int | None]


def verify_model(shop: Shop, name: str) -> Verification:
    """Fit the model of a name again and compare.

    Raises NotFound for an unknown model, one that cannot be fitted by itself, and one whose table versions the lake no
    longer has; LakeDamaged, WorkspaceError where the data or the settings are not those of the manifest.
    """
    with shop.run_lock():  # why: a run deletes versions that nobody needs
        model_version = find_model(shop.store, name).model_version
        models = shop.folder / "models"
        model_registry.require_sound(models, shop.store, model_version)
        manifest = model_registry.manifest(models, shop.store, model_version)
        _require_versions(shop, manifest)
        run = Run(manifest.version, datetime.fromisoformat(manifest.as_of), manifest.seed)
        view = shop.view(predict.READS, (), run=run, pinned=manifest.table_versions)
        of_value = manifest.question == VALUE.name
        churn = load_model(models, shop.store, f"{CHURN.name}/{manifest.version}") if of_value else None
        fitted = refit(view, manifest, churn)
        with tempfile.TemporaryDirectory(dir=shop.folder / "tmp") as folder:
            differences, count = model_registry.compare_files(models, model_version, fitted, Path(folder))
    return Verification(
        model_version,
        not differences,
        file_count=count,
        differences=differences,
        table_versions=manifest.table_versions,
    )


def _require_versions(shop: Shop, manifest: Manifest) -> None:
    """Raise NotFound where the lake no longer has a version of a table that the model was fitted to."""
    last = shop.snapshot()
    for name, version in manifest.table_versions.items():
        try:
            if version is not None:
                shop.lake.files(BY_NAME[name], version)
        except WorkspaceError as error:
            if last is not None and last.table_version(name) == version:
                raise
            raise NotFound(
                LAKE_VERSION_GONE(version=version, name=name),
                where=manifest.model_version,
                todo=VERSIONS_KEPT,
            ) from error
