"""LightGBM as Patron uses it: small trees, the same result every time, saved as its own text."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from patron.schema.numbers import Numbers

if TYPE_CHECKING:
    import lightgbm as lgb

Rows = npt.NDArray[np.intp]
"""Places of rows, in order."""
SAVED = "trees.txt"
SAME_EVERY_TIME: Mapping[str, Any] = {"deterministic": True, "force_row_wise": True, "seed": 1, "verbose": -1}
PARAMETERS: Mapping[str, str] = {
    "leaves": "num_leaves",
    "learning_rate": "learning_rate",
    "fewest_in_leaf": "min_data_in_leaf",
    "leaf_penalty": "lambda_l2",
    "share_of_features": "feature_fraction",
    "share_of_rows": "bagging_fraction",
    "bins": "max_bin",
}
"""LightGBM's name of each setting of a learner of trees."""
CELLS_FOR_TWO_THREADS = 4_000_000
"""Below this many cells threads cost more than they bring; the result does not depend on them."""


class BinnedMatrix:
    """A matrix that several boosted models are fitted to: its values are put into bins once."""

    def __init__(self, values: Numbers) -> None:
        self.values = values
        self._binned: dict[tuple[int, int], lgb.Dataset] = {}

    def dataset(
        self, label: Numbers, start: Numbers | None, rows: Rows | None, parameters: dict[str, Any]
    ) -> "lgb.Dataset":
        """The matrix, or some of its rows, with one label per row, as LightGBM takes it."""
        import lightgbm as lgb  # noqa: PLC0415 - as in `Trees.fit`

        kind = parameters["max_bin"], parameters["min_data_in_leaf"]
        if kind not in self._binned:
            self._binned[kind] = lgb.Dataset(self.values, params=parameters).construct()
        # why a subset of all rows too: a start that a dataset once had stays
        places = range(len(self.values)) if rows is None else rows.tolist()
        data = self._binned[kind].subset(list(places), parameters).construct().set_label(label)
        return data if start is None else data.set_init_score(start)


@dataclass(frozen=True)
class Trees:
    """Settings of a boosted model."""

    rounds: int = 120
    leaves: int = 8
    learning_rate: float = 0.05
    fewest_in_leaf: int = 50
    leaf_penalty: float = 10.0
    """L2 penalty on leaf values."""
    share_of_features: float = 0.6
    share_of_rows: float = 0.7
    bins: int = 63

    def fit(
        self,
        matrix: Numbers | BinnedMatrix,
        label: Numbers,
        objective: dict[str, Any],
        *,
        start: Numbers | None = None,
        rows: Rows | None = None,
    ) -> "FittedTrees":
        """Fit to one row per label, of the matrix or of its `rows`; `start` is a raw score each row begins with."""
        binned = matrix if isinstance(matrix, BinnedMatrix) else BinnedMatrix(matrix)
        parameters = {**self._parameters(), "num_threads": _threads(binned.values)}
        data = binned.dataset(label, start, rows, parameters)
        return train({**parameters, **objective}, data, self.rounds)

    def _parameters(self) -> dict[str, Any]:
        return {**tree_parameters(self), "bagging_freq": 1, **SAME_EVERY_TIME}


def tree_parameters(settings: Any) -> dict[str, Any]:
    """The settings of a learner of trees, a dataclass, by LightGBM's names."""
    names = [field.name for field in fields(settings) if field.name in PARAMETERS]
    return {PARAMETERS[name]: getattr(settings, name) for name in names}


def fit_trees(
    matrix: npt.NDArray[Any], label: Numbers, parameters: Mapping[str, Any], *, rounds: int, **data: Any
) -> "FittedTrees":
    """Fit with LightGBM's own parameters, on one thread; `data` is what else its Dataset takes: weight, group."""
    import lightgbm as lgb  # noqa: PLC0415 - as in `train`

    parameters = {**SAME_EVERY_TIME, "num_threads": 1, **parameters}
    return train(parameters, lgb.Dataset(matrix, label, params=parameters, **data), rounds)


def train(parameters: Mapping[str, Any], data: "lgb.Dataset", rounds: int) -> "FittedTrees":
    """Boost the trees."""
    import lightgbm as lgb  # noqa: PLC0415 - heavy: whoever fits no trees must not wait for it

    return FittedTrees(lgb.train(dict(parameters), data, num_boost_round=rounds).model_to_string())


@dataclass(frozen=True)
class FittedTrees:
    """A boosted model as LightGBM's text; the booster is read from it, so a saved model predicts the same bits."""

    text: str = field(repr=False)
    booster: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the booster from its text."""
        import lightgbm as lgb  # noqa: PLC0415 - as in `Trees.fit`

        object.__setattr__(self, "booster", lgb.Booster(model_str=self.text))

    def raw(self, matrix: npt.NDArray[Any]) -> Numbers:
        """Sum of the trees: a log, or log-odds."""
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=_threads(matrix)), dtype=np.float64)

    def predict(self, matrix: npt.NDArray[Any]) -> Numbers:
        """What the objective makes of the sum: a mean, or a probability."""
        if not len(matrix):
            return np.zeros(0)
        return np.asarray(self.booster.predict(matrix, num_threads=_threads(matrix)), dtype=np.float64)

    def contributions(self, matrix: npt.NDArray[Any]) -> Numbers:
        """Exact Shapley values of each column for the raw score."""
        return self.contributions_and_mean(matrix)[0]

    def contributions_and_mean(self, matrix: npt.NDArray[Any]) -> tuple[Numbers, float]:
        """Exact Shapley values of each column for the raw score, and the mean score from which they start."""
        values = np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=_threads(matrix)), np.float64)
        return values[:, :-1], float(values[0, -1]) if len(values) else 0.0

    def save(self, folder: Path) -> None:
        """Write LightGBM's text."""
        (folder / SAVED).write_text(self.text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls((folder / SAVED).read_text(encoding="utf-8"))


def _threads(matrix: npt.NDArray[Any]) -> int:
    return 1 if matrix.size < CELLS_FOR_TWO_THREADS else 2
