"""Where fitted models live: models/<question>/<version>/, whole or not at all, in formats that are safe to load."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import pyarrow as pa

from patron.schema.errors import NotFound, WorkspaceError
from patron.schema.json_files import read_json, write_json
from patron.storage.durable_files import disk_errors, sync

MANIFEST = "manifest.json"
CARD = "card.json"
CARD_TEXT = "card.md"
METRICS = "metrics.json"
MODEL = "model"


class FittedModel(Protocol):
    """A model that can be kept: it writes itself into an empty folder, and its class reads it back."""

    def save(self, folder: Path) -> None:
        """Write into an existing, empty folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...


class ModelKind(Protocol):
    """What made a model: its name, and the class of what it fits."""

    name: ClassVar[str]
    fitted: ClassVar[type]


@dataclass(frozen=True)
class Manifest:
    """What a model was fitted to: with it, and while the lake keeps its versions, it can be fitted again."""

    question: str
    version: str
    learner: str
    settings: Mapping[str, Any]
    as_of: str
    seed: int
    feature_version: str
    table_versions: Mapping[str, int | None]
    row_count: int
    """Rows it was fitted to, labelled or not."""
    data_hash: str
    """SHA-256 of customer, cutoff and label of these rows."""

    @property
    def model_version(self) -> str:
        """The folder under models/."""
        return f"{self.question}/{self.version}"


@dataclass(frozen=True)
class ModelRecord:
    """What is kept next to a fitted model."""

    manifest: Manifest
    metrics: Mapping[str, Any]
    card: Mapping[str, str]
    card_text: str


def save(models: Path, fitted: FittedModel, record: ModelRecord) -> str:
    """Write a model under its version, replacing an earlier one of the same run; returns its folder under models/.

    A half-written folder has another name: a kill leaves no version or a whole one. Raises NoSpace on a full disk.
    """
    with disk_errors(models):
        return _save(models, fitted, record)


def _save(models: Path, fitted: FittedModel, record: ModelRecord) -> str:
    final = models / record.manifest.question / record.manifest.version
    fresh, old = final.with_name(f".{final.name}.new"), final.with_name(f".{final.name}.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    (fresh / MODEL).mkdir(parents=True)
    fitted.save(fresh / MODEL)
    write_json(fresh / MANIFEST, asdict(record.manifest))
    write_json(fresh / METRICS, record.metrics)
    write_json(fresh / CARD, record.card)
    (fresh / CARD_TEXT).write_text(record.card_text, encoding="utf-8")
    for path in (*sorted(fresh.rglob("*")), fresh):
        sync(path)
    if final.exists():
        final.rename(old)
    fresh.rename(final)
    sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)
    return record.manifest.model_version


def load(models: Path, question: str, version: str, learners: Iterable[ModelKind]) -> Any:
    """Read the model of a version. Raises NotFound for an unknown version or a learner that is not among `learners`."""
    folder = models / question / version
    if not (folder / MANIFEST).exists():
        raise NotFound(f"no model {version} of {question}", where=str(folder), todo="Run `patron run` first.")
    name = read_json(folder / MANIFEST)["learner"]
    for learner in learners:
        if learner.name == name:
            return learner.fitted.load(folder / MODEL)
    raise NotFound(f"no learner {name}", where=str(folder), todo="Run `patron run` with this version of Patron.")


def card(models: Path, model_version: str) -> dict[str, str]:
    """The model card as key and text; empty when there is none. `model_version` is as in `scores`."""
    path = models / model_version / CARD
    try:
        return {key: str(text) for key, text in read_json(path).items()} if path.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise WorkspaceError(
            "the model card cannot be read", where=str(path), todo="Run `patron run` again: it writes the card anew."
        ) from error


def data_hash(rows: pa.Table) -> str:
    """SHA-256 of customer, cutoff and label, in the order given."""
    sink = pa.BufferOutputStream()
    chosen = rows.select([name for name in ("customer_id", "as_of", "label") if name in rows.column_names])
    with pa.ipc.new_stream(sink, chosen.schema) as stream:
        stream.write_table(chosen.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()
