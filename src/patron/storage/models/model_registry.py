"""Where fitted models live: models/<question>/<version>/, whole or not at all, in formats that are safe to load.

A manifest holds the SHA-256 of every other file of its folder, the store that of the manifest, written before the
folder is: what is loaded or shown is compared with them.
"""

import hashlib
import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import pyarrow as pa
import sqlalchemy as sa

from patron.schema.common_sentences import IS_MISSING, NOT_AS_WRITTEN, RUN_FIRST
from patron.schema.errors import LakeDamaged, NotFound
from patron.schema.json_files import read_json, write_json
from patron.schema.sentences import Sentence
from patron.storage.durable_files import (
    disk_errors,
    make_all_private,
    make_durable,
    make_private_folder,
    private_file,
    sha256_of,
    sync,
    write_durably,
)
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import MODEL_MANIFESTS, Store

NO_LEARNER = Sentence("no_learner", "no learner {name}")
RUN_THIS_VERSION = Sentence("run_this_version", "Run `patron run` with this version of Patron.")

NO_MODEL_VERSION = Sentence("no_model_version", "no model {version} of {name}")

MANIFEST = "manifest.json"
CARD = "card.json"
CARD_TEXT = "card.md"
METRICS = "metrics.json"
INTERVALS = "intervals.json"
MODEL = "model"
FILES = "files"
"""Key of a manifest: the other files of its folder and their SHA-256."""
ERASED = "(erased)"
"""What an erased person's value is replaced with in a model: nobody has it, and the model predicts as before."""
RUN_HINT = Sentence(
    "model_run_hint",
    "Run its run again, which fits and saves the model anew; or restore the newest backup: `patron restore`.",
)


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
    slope: float = 1.0
    """Factor on its log-odds, learned from past cutoffs; 1 leaves them as they are."""

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
    intervals: Mapping[str, Any] = field(default_factory=dict)
    """Ends of the intervals of its forecasts, as past cutoffs had them; empty where it gives none."""


def save(models: Path, store: Store | DeclaredStore, fitted: FittedModel, record: ModelRecord) -> str:
    """Write a model under its version, replacing an earlier one of the same run; returns its folder under models/.

    A half-written folder has another name: a kill leaves no version or a whole one. Raises NoSpace on a full disk.
    """
    with disk_errors(models):
        return _save(models, store, fitted, record)


def _save(models: Path, store: Store | DeclaredStore, fitted: FittedModel, record: ModelRecord) -> str:
    final = models / record.manifest.question / record.manifest.version
    fresh, old = final.with_name(f".{final.name}.new"), final.with_name(f".{final.name}.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    make_private_folder(final.parent)
    with ExitStack() as half_written:
        half_written.callback(shutil.rmtree, fresh, ignore_errors=True)
        (fresh / MODEL).mkdir(parents=True)
        fitted.save(fresh / MODEL)
        write_json(fresh / METRICS, record.metrics)
        write_json(fresh / INTERVALS, record.intervals)
        write_json(fresh / CARD, record.card)
        (fresh / CARD_TEXT).write_text(record.card_text, encoding="utf-8")
        write_json(fresh / MANIFEST, {**asdict(record.manifest), FILES: _hashes(fresh)})
        make_all_private(fresh)
        make_durable(fresh)
        half_written.pop_all()
    sync(final.parent)  # why: the store is about to say that it is there, under one of both names
    version, sha256 = record.manifest.model_version, sha256_of(fresh / MANIFEST)
    # why: known before it is there, and the earlier one until it is gone: killed in between, either may be loaded
    _write_manifest_hash(store, version, sha256)
    if final.exists():
        final.rename(old)
    fresh.rename(final)
    sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)
    _forget_other_manifests(store, version, sha256)
    return version


def rewrite_files(models: Path, store: Store, model_version: str, contents: Mapping[str, bytes]) -> None:
    """Put other content into some files of a model; a call that is cut off is repeated with the same content."""
    folder = models / model_version
    _require_hash(folder / MANIFEST, manifest_hashes(store, model_version))
    manifest = {**read_json(folder / MANIFEST), **json.loads(contents.get(MANIFEST, b"{}"))}
    for name in manifest[FILES].keys() - contents.keys():
        _require_hash(folder / name, {manifest[FILES][name]})
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items() if name != MANIFEST}
    manifest = {**manifest, FILES: {**manifest[FILES], **hashes}}
    written = json.dumps(manifest, sort_keys=True).encode()
    sha256 = hashlib.sha256(written).hexdigest()
    _write_manifest_hash(store, model_version, sha256)
    # why: the manifest first; until the files follow the model is refused, and the call is repeated
    for name, content in {MANIFEST: written, **contents}.items():
        write_durably(folder / name, written if name == MANIFEST else content)
    _forget_other_manifests(store, model_version, sha256)


def load(models: Path, store: Store | DeclaredStore, question: str, version: str, learners: Iterable[ModelKind]) -> Any:
    """Read the model of a version, verified.

    Raises NotFound for an unknown version or a learner that is not among `learners`, LakeDamaged.
    """
    folder, model_version = models / question / version, f"{question}/{version}"
    _require_known(models, store, model_version)
    require_sound(models, store, model_version)
    name = read_json(folder / MANIFEST)["learner"]
    for learner in learners:
        if learner.name == name:
            return learner.fitted.load(folder / MODEL)
    raise NotFound(NO_LEARNER(name=name), where=str(folder), todo=RUN_THIS_VERSION)


def _require_known(models: Path, store: Store | DeclaredStore, model_version: str) -> None:
    if not manifest_hashes(store, model_version) and not (models / model_version).exists():
        question, _, version = model_version.partition("/")
        where = str(models / model_version)
        raise NotFound(NO_MODEL_VERSION(version=version, name=question), where=where, todo=RUN_FIRST)


def card(models: Path, store: Store | DeclaredStore, model_version: str) -> dict[str, str]:
    """The model card as key and text, verified; empty when there is none. `model_version` is as in `scores`.

    Raises LakeDamaged.
    """
    folder = models / model_version
    if not manifest_hashes(store, model_version) and not folder.exists():
        return {}
    require_sound(models, store, model_version, only=(CARD,))
    return {key: str(text) for key, text in read_json(folder / CARD).items()}


def intervals(models: Path, store: Store | DeclaredStore, model_version: str) -> dict[str, Any]:
    """Ends of the intervals of a model's forecasts, verified. Raises LakeDamaged."""
    require_sound(models, store, model_version, only=(INTERVALS,))
    return read_json(models / model_version / INTERVALS)


def require_sound(
    models: Path, store: Store | DeclaredStore, model_version: str, *, only: Iterable[str] | None = None
) -> None:
    """Verify the files of a model, or some of them. Raises LakeDamaged that names the first damaged one."""
    known = None
    while True:
        before, known = known, manifest_hashes(store, model_version)
        _finish_swap(models / model_version, known)
        try:
            _require_files(models / model_version, known, only)
        except LakeDamaged:
            if known == before:  # why: else another process may just have put another fit in its place
                raise
        else:
            return


def _require_files(folder: Path, known: Collection[str], only: Iterable[str] | None) -> None:
    _require_hash(folder / MANIFEST, known)
    hashes = read_json(folder / MANIFEST)[FILES]
    for name in sorted(hashes) if only is None else only:
        _require_hash(folder / name, {hashes[name]})


def _finish_swap(folder: Path, known: Collection[str]) -> None:
    """Give a whole model its name, if the process that wrote it was killed after it had moved the earlier one away."""
    fresh = folder.with_name(f".{folder.name}.new")
    if not folder.exists() and (fresh / MANIFEST).is_file() and sha256_of(fresh / MANIFEST) in known:
        with suppress(OSError):  # why: that process may be alive, and do it itself
            fresh.rename(folder)
            sync(folder.parent)


def _require_hash(path: Path, known: Collection[str]) -> None:
    if not path.is_file():
        raise LakeDamaged(IS_MISSING, where=str(path), todo=RUN_HINT)
    if sha256_of(path) not in known:
        raise LakeDamaged(NOT_AS_WRITTEN, where=str(path), todo=RUN_HINT)


def model_versions(store: Store | DeclaredStore) -> list[str]:
    """Every model that was saved."""
    with store.begin() as connection:
        versions = sa.select(MODEL_MANIFESTS.c.model_version).distinct().order_by(MODEL_MANIFESTS.c.model_version)
        return list(connection.scalars(versions))


def record_models(models: Path, store: Store) -> None:
    """Take the models of a workspace that has no hashes yet as they are; may be repeated."""
    for manifest in sorted(models.glob(f"*/*/{MANIFEST}")):
        try:
            content = read_json(manifest)
        except ValueError:
            continue  # why: it is damaged already, and without an entry nobody loads it
        with private_file(manifest) as fresh:
            fresh.write(json.dumps({**content, FILES: _hashes(manifest.parent)}, sort_keys=True).encode())
        sync(manifest.parent)
        _write_manifest_hash(store, str(manifest.parent.relative_to(models)), sha256_of(manifest))


def manifest_hashes(store: Store | DeclaredStore, model_version: str) -> frozenset[str]:
    """SHA-256 of the manifest of a model; two while it is being replaced, none of an unknown one."""
    chosen = sa.select(MODEL_MANIFESTS.c.sha256).where(MODEL_MANIFESTS.c.model_version == model_version)
    with store.begin() as connection:
        return frozenset(connection.scalars(chosen))


def _write_manifest_hash(store: Store | DeclaredStore, model_version: str, sha256: str) -> None:
    if sha256 not in manifest_hashes(store, model_version):
        with store.begin() as connection:
            row = {"model_version": model_version, "sha256": sha256}
            connection.execute(sa.insert(MODEL_MANIFESTS).values(row))


def _forget_other_manifests(store: Store | DeclaredStore, model_version: str, sha256: str) -> None:
    with store.begin() as connection:
        others = (MODEL_MANIFESTS.c.model_version == model_version) & (MODEL_MANIFESTS.c.sha256 != sha256)
        connection.execute(sa.delete(MODEL_MANIFESTS).where(others))


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a model but its manifest."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / MANIFEST]
    return {str(path.relative_to(folder)): sha256_of(path) for path in files}


def data_hash(rows: pa.Table, columns: Iterable[str] = ("customer_id", "as_of", "label")) -> str:
    """SHA-256 of customer, cutoff and label, or of other columns that identify rows, in the order given."""
    sink = pa.BufferOutputStream()
    chosen = rows.select([name for name in columns if name in rows.column_names])
    with pa.ipc.new_stream(sink, chosen.schema) as stream:
        stream.write_table(chosen.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def manifest(models: Path, store: Store | DeclaredStore, model_version: str) -> Manifest:
    """The manifest of a model, verified. Raises NotFound, LakeDamaged."""
    _require_known(models, store, model_version)
    require_sound(models, store, model_version, only=())
    content = read_json(models / model_version / MANIFEST)
    return Manifest(**{name: content[name] for name in Manifest.__dataclass_fields__ if name in content})


def compare_files(models: Path, model_version: str, fitted: FittedModel, scratch: Path) -> tuple[tuple[str, ...], int]:
    """Files of a kept model that another fit of it writes otherwise or not at all, and how many there are."""
    fitted.save(scratch)
    kept, fresh = _hashes(models / model_version / MODEL), _hashes(scratch)
    names = sorted(kept.keys() | fresh.keys())
    return tuple(name for name in names if kept.get(name) != fresh.get(name)), len(names)
