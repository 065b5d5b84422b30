"""Fields of a dataclass on disk: by their hints, in the files that the class names, and as they were before."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pytest

from patron.estimators.boosted_trees import FittedTrees, Trees
from patron.estimators.saving import FOLDER, IN_JSON, SAME_FOLDER, Kinds, Saved, SavedFile
from patron.schema.numbers import Numbers


@dataclass(frozen=True)
class Rate(Saved, file="rate.json"):
    mean: float
    by_name: Mapping[str, tuple[float, ...]]
    kind: str | None = None


class Model(Protocol):
    def predict(self, matrix: Numbers) -> Numbers: ...


@dataclass(frozen=True, eq=False)
class Line:
    slopes: Numbers

    def predict(self, matrix: Numbers) -> Numbers:
        return matrix @ self.slopes


@dataclass(frozen=True, eq=False)
class Whole(Saved, file="whole.json", arrays="arrays.npz"):
    rate: Rate = field(metadata=IN_JSON)
    first: Rate
    second: Rate | None = field(metadata={FOLDER: "other"})
    trees: FittedTrees = field(metadata=SAME_FOLDER)
    weights: Numbers
    absent: Numbers | None
    models: tuple[Model, ...]
    members: Mapping[str, Rate]
    kinds: ClassVar[Kinds] = {"line": Line}

    @classmethod
    def part_kind(cls, name: str, content: Mapping[str, Any]) -> Any:
        return Rate if name in content.get("members", ()) else super().part_kind(name, content)


@pytest.fixture(scope="module")
def whole():
    matrix = np.random.default_rng(1).normal(size=(300, 2))
    trees = Trees(rounds=3).fit(matrix, matrix[:, 0], {"objective": "l2"})
    rate = Rate(0.1, {"b": (1.0, 2.0), "a": ()}, "x")
    models = (Line(np.array([1.0, 2.0])),)
    return Whole(rate, rate, None, trees, np.array([0.1, 0.2]), None, models, {"z": rate, "y": Rate(1 / 3, {})})


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_every_field_comes_back_with_every_bit(whole, tmp_path):
    whole.save(tmp_path)
    again = Whole.load(tmp_path)
    assert (again.rate, again.first, again.second, again.members) == (whole.rate, whole.first, None, whole.members)
    assert list(again.members) == ["z", "y"]
    assert again.trees.text == whole.trees.text
    assert np.array_equal(again.weights, whole.weights)
    assert again.absent is None
    assert again.models[0].predict(np.eye(2)).tolist() == [1.0, 2.0]


def test_parts_are_in_the_folders_that_the_class_names(whole, tmp_path):
    whole.save(tmp_path)
    assert files(tmp_path) == {
        *("whole.json", "arrays.npz", "trees.txt"),
        *(f"{part}/rate.json" for part in ("first", "z", "y")),
    }
    content = json.loads((tmp_path / "whole.json").read_text("utf-8"))
    assert content["models"] == [{"kind": "line", "state": {"slopes": [1.0, 2.0]}}]
    assert content["members"] == ["z", "y"]


def test_a_field_that_an_earlier_version_did_not_write_has_its_default(tmp_path):
    (tmp_path / "rate.json").write_text(json.dumps({"mean": 0.5, "by_name": {"a": [1.0]}}), "utf-8")
    assert Rate.load(tmp_path) == Rate(0.5, {"a": (1.0,)})


@dataclass(frozen=True)
class Prices(SavedFile):
    stock: tuple[float, ...]
    share: float = 0.5
    kind: ClassVar[str] = "prices"


def test_a_file_names_its_kind_and_comes_back(tmp_path):
    path: Path = tmp_path / "prices.json"
    Prices((1 / 3, 2.0)).save(path)
    assert json.loads(path.read_text("utf-8")) == {"kind": "prices", "stock": [1 / 3, 2.0], "share": 0.5}
    assert Prices.load(path) == Prices((1 / 3, 2.0))
