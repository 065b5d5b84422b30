"""FittedRecommender recommenders in folders: arrays as npz, ids as Arrow, settings as JSON; never a pickle."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyarrow import feather

from patron.estimators.saving import fields_to_json, to_json
from patron.recommenders.catalogue import Catalogue
from patron.recommenders.combined.pair_features import PairFacts
from patron.recommenders.promotion_facts import PromotionFacts
from patron.recommenders.promotions import Promotions
from patron.recommenders.recommender import FittedRecommender, Recommender
from patron.schema.errors import NotFound
from patron.schema.json_files import read_json, write_json

CONTENT = "recommender.json"


PARTS: Mapping[str, type[Any]] = {
    "catalogue": Catalogue,
    "pair_facts": PairFacts,
    "promotion_facts": PromotionFacts,
    "promotions": Promotions,
}
"""Fields that have a folder of their own, by the name of their kind."""


@dataclass(frozen=True)
class FileKind:
    """How one kind of field is written to a file of its own, and read again."""

    held: type
    suffix: str
    write: Callable[[Path, Any], object]
    read: Callable[[Path], Any]


FILES: Mapping[str, FileKind] = {
    "sparse": FileKind(sp.csr_array, ".npz", sp.save_npz, lambda path: sp.csr_array(sp.load_npz(path))),
    "array": FileKind(
        np.ndarray,
        ".npy",
        lambda path, values: np.save(path, values, allow_pickle=False),
        lambda path: np.load(path, allow_pickle=False),
    ),
    "ids": FileKind(
        pa.Array,
        ".feather",
        lambda path, ids: feather.write_feather(pa.table({"id": ids}), str(path)),
        lambda path: feather.read_table(str(path))["id"].combine_chunks(),
    ),
}
"""Fields that have files of their own, by the name of their kind."""


def save(fitted: FittedRecommender, folder: Path) -> None:
    """Write a fitted recommender, field by field."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"learner": fitted.learner.name, "settings": fields_to_json(fitted.learner)}
    write_json(folder / CONTENT, content | {"fields": _save_fields(fitted, folder, without=("learner",))})


def load(folder: Path | str, learners: Mapping[str, type[Recommender]]) -> FittedRecommender:
    """Read what `save` wrote. Raises NotFound for a folder without a recommender, or with one that is not known."""
    folder = Path(folder)
    if not (folder / CONTENT).exists():
        raise NotFound("no recommender was saved here", where=str(folder), todo="Check the path.")
    content = read_json(folder / CONTENT)
    if content["learner"] not in learners:
        what = f"{content['learner']!r} is not a recommender that this version knows"
        raise NotFound(what, where=str(folder), todo=f"It knows {', '.join(learners)}.")
    kind = learners[content["learner"]]
    read = _load_fields(content["fields"], folder, learners)
    return kind.fitted(learner=kind(**content["settings"]), **read)


def _save_fields(holder: Any, folder: Path, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Write arrays to files; return each field's kind, and its value where JSON holds it."""
    held = {field.name: getattr(holder, field.name) for field in fields(holder) if field.name not in without}
    return {name: _save_value(value, folder, name) for name, value in held.items()}


def _save_value(value: Any, folder: Path, name: str) -> dict[str, Any]:
    for kind, of_kind in FILES.items():
        if isinstance(value, of_kind.held):
            of_kind.write(folder / f"{name}{of_kind.suffix}", value)
            return {"kind": kind}
    if isinstance(value, tuple):
        return {"kind": "several", "of": [_save_value(one, folder, f"{name}_{at}") for at, one in enumerate(value)]}
    if isinstance(value, FittedRecommender):
        save(value, folder / name)
        return {"kind": "fitted"}
    for kind, of_kind in PARTS.items():
        if isinstance(value, of_kind):
            (folder / name).mkdir(exist_ok=True)
            return {"kind": kind, "fields": _save_fields(value, folder / name)}
    return {"kind": "value", "value": to_json(value)}


def _load_fields(saved: Mapping[str, Any], folder: Path, learners: Mapping[str, type[Recommender]]) -> dict[str, Any]:
    return {name: _load_value(one, folder, name, learners) for name, one in saved.items()}


def _load_value(saved: Mapping[str, Any], folder: Path, name: str, learners: Mapping[str, type[Recommender]]) -> Any:
    kind, value = saved["kind"], saved.get("value")
    if kind in FILES:
        value = FILES[kind].read(folder / f"{name}{FILES[kind].suffix}")
    elif kind == "several":
        value = tuple(_load_value(one, folder, f"{name}_{at}", learners) for at, one in enumerate(saved["of"]))
    elif kind == "fitted":
        value = load(folder / name, learners)
    elif kind in PARTS:
        value = PARTS[kind](**_load_fields(saved["fields"], folder / name, learners))
    return value
