"""Models of a mean that the learners are built of: linear, LightGBM, or anybody's with `fit` and `predict`."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from patron.estimators.boosted_trees import FittedTrees, fit_trees, tree_parameters
from patron.schema.errors import BadTrial
from patron.schema.numbers import Numbers
from patron.uplift.linear_model import FittedLinear, Linear


class FittedMean(Protocol):
    """A model of an outcome's mean."""

    def predict(self, matrix: Numbers) -> Numbers:
        """Mean of the outcome, in its unit, one number a row."""
        ...


class BaseLearner(Protocol):
    """Settings of a model of a mean."""

    name: ClassVar[str]

    def fit(
        self,
        matrix: Numbers,
        outcome: Numbers,
        weight: Numbers | None = None,
        *,
        is_binary: bool = False,
        seed: int = 0,
    ) -> FittedMean:
        """Fit a mean; of a 0/1 outcome a probability."""
        ...


@dataclass(frozen=True)
class LightGBM:
    """Gradient-boosted trees, small and slow to learn: effects are fainter than outcomes."""

    name: ClassVar[str] = "lightgbm"
    rounds: int = 100
    leaves: int = 15
    learning_rate: float = 0.05
    least_rows_a_leaf: int = 100
    threads: int = 0
    """0: as many as there are."""

    def fit(
        self,
        matrix: Numbers,
        outcome: Numbers,
        weight: Numbers | None = None,
        *,
        is_binary: bool = False,
        seed: int = 0,
    ) -> FittedTrees:
        """Fit a mean: squared error, or the logistic loss for 0/1."""
        settings = {
            "objective": "binary" if is_binary else "regression",
            **tree_parameters(self),
            "min_data_in_leaf": self.least_rows_a_leaf,
            "num_threads": self.threads,
            "seed": seed,
            "force_row_wise": False,
        }
        return fit_trees(matrix, outcome, settings, rounds=self.rounds, weight=weight)


@dataclass(frozen=True, eq=False)
class FittedOther:
    """A fitted model of another package."""

    model: Any
    is_binary: bool

    def predict(self, matrix: Numbers) -> Numbers:
        """Mean of the outcome, in its unit, one number a row."""
        if not len(matrix):
            return np.zeros(0)
        if self.is_binary and hasattr(self.model, "predict_proba"):
            return np.asarray(self.model.predict_proba(matrix), dtype=np.float64)[:, -1]
        return np.asarray(self.model.predict(matrix), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Raises BadTrial: only a pickle could hold it, and Patron writes none."""
        what = f"a {type(self.model).__name__} of another package cannot be saved without a pickle"
        raise BadTrial(what, where="base", todo="Use the base 'linear' or 'lightgbm' for models that are kept.")


@dataclass(frozen=True)
class Other:
    """A regressor of another package with `fit(matrix, outcome)` and `predict(matrix)`, as scikit-learn has them."""

    name: ClassVar[str] = "other"
    regressor: Any
    classifier: Any = None
    """For 0/1 outcomes, with `predict_proba`; None: the regressor."""

    def fit(
        self,
        matrix: Numbers,
        outcome: Numbers,
        weight: Numbers | None = None,
        *,
        is_binary: bool = False,
        seed: int = 0,
    ) -> FittedOther:
        """Fit a copy. A model that takes no weights is refused where weights are needed."""
        del seed
        model = copy.deepcopy(self.classifier if is_binary and self.classifier is not None else self.regressor)
        if weight is None:
            model.fit(matrix, outcome)
        else:
            model.fit(matrix, outcome, sample_weight=weight)
        return FittedOther(model, is_binary)


FITTED_BASES: Mapping[str, type[Any]] = {"FittedLinear": FittedLinear, "FittedLightGBM": FittedTrees}
"""Fitted bases that can be saved, by name."""
BASES: Mapping[str, BaseLearner] = {"linear": Linear(), "lightgbm": LightGBM()}


def base_learner(base: Any) -> BaseLearner:
    """A base by its name, or the base itself. Raises BadTrial for anything else."""
    if isinstance(base, str):
        if base not in BASES:
            raise BadTrial(f"there is no base {base!r}", where="base", todo=f"Take one of {', '.join(BASES)}.")
        return BASES[base]
    if isinstance(base, Linear | LightGBM | Other):
        return base
    if hasattr(base, "fit") and hasattr(base, "predict"):
        return Other(base)
    if hasattr(base, "fit") and hasattr(base, "name"):
        return base
    raise BadTrial(
        f"{base!r} has neither a name nor fit and predict", where="base", todo="Take 'linear' or 'lightgbm'."
    )
