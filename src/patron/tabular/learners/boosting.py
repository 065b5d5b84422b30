"""LightGBM with small trees: many shallow steps, a share of the columns each, the same result every time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from patron.estimators.boosted_trees import FittedTrees, fit_trees, tree_parameters
from patron.schema.numbers import Numbers
from patron.tabular.learners.classifier import Classifier


@dataclass(frozen=True)
class LightGBM(Classifier):
    """Boosted trees; the default settings are small, which loses little on any table and wins much on small ones."""

    rounds: int = 200
    leaves: int = 8
    learning_rate: float = 0.05
    fewest_in_leaf: int = 20
    leaf_penalty: float = 10.0
    share_of_features: float = 0.3

    name: ClassVar[str] = "lightgbm"
    complexity: ClassVar[int] = 7
    trials: ClassVar[int] = 6
    most_rows: ClassVar[int] = 1_000_000

    def fit(self, matrix: Numbers, label: Numbers, *, sources: Sequence[str], seed: int) -> FittedTrees:  # noqa: ARG002 - the protocol's signature
        """Boost the trees."""
        fewest = min(self.fewest_in_leaf, max(1, len(label) // 20))
        parameters = tree_parameters(self) | {"objective": "binary", "min_data_in_leaf": fewest}
        parameters |= {"max_bin": 127, "seed": seed}
        return fit_trees(matrix, label, parameters, rounds=self.rounds)

    def suggest(self, trial: Any) -> Self:
        """Vary how many trees there are, how large, and on how many columns."""
        return replace(
            self,
            rounds=trial.suggest_int("rounds", 60, 250, log=True),
            leaves=trial.suggest_int("leaves", 3, 16, log=True),
            fewest_in_leaf=trial.suggest_int("fewest_in_leaf", 5, 80, log=True),
            leaf_penalty=trial.suggest_float("leaf_penalty", 1.0, 30.0, log=True),
            share_of_features=trial.suggest_float("share_of_features", 0.2, 0.9),
        )
