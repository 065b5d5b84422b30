"""Trees of scikit-learn: one that a person can read, and two forests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from patron.schema.numbers import Numbers
from patron.tabular.learners.classifier import Classifier

TREES_OF_A_TRIAL = 30


@dataclass(frozen=True, eq=False)
class FittedTreeModel:
    """A fitted tree or forest."""

    model: DecisionTreeClassifier | RandomForestClassifier | ExtraTreesClassifier

    def predict(self, matrix: Numbers) -> Numbers:
        """Probability of a positive."""
        return np.asarray(self.model.predict_proba(matrix))[:, 1]


@dataclass(frozen=True)
class DecisionTree(Classifier):
    """One tree with few leaves."""

    leaves: int = 16
    fewest_in_leaf: int = 30

    name: ClassVar[str] = "decision_tree"
    complexity: ClassVar[int] = 3
    trials: ClassVar[int] = 6
    most_rows: ClassVar[int] = 500_000

    def fit(self, matrix: Numbers, label: Numbers, *, sources: Sequence[str], seed: int) -> FittedTreeModel:  # noqa: ARG002 - the protocol's signature
        """Grow the tree leaf by leaf, the most telling first."""
        smallest = min(self.fewest_in_leaf, max(1, len(label) // 20))
        tree = DecisionTreeClassifier(max_leaf_nodes=self.leaves, min_samples_leaf=smallest, random_state=seed)
        return FittedTreeModel(tree.fit(matrix, label))

    def suggest(self, trial: Any) -> Self:
        """Vary the number and the size of leaves."""
        return replace(
            self,
            leaves=trial.suggest_int("leaves", 4, 48, log=True),
            fewest_in_leaf=trial.suggest_int("fewest_in_leaf", 10, 100, log=True),
        )


@dataclass(frozen=True)
class Forest(Classifier):
    """What forests have in common: trees on shares of rows and columns, averaged."""

    trees: int = 80
    fewest_in_leaf: int = 4
    share_of_features: float = 0.2
    share_of_rows: float = 0.4

    trials: ClassVar[int] = 3
    most_rows: ClassVar[int] = 30_000
    model: ClassVar[type[RandomForestClassifier] | type[ExtraTreesClassifier]]
    feature_shares: ClassVar[tuple[float, float]]
    """Ends of the shares of features that a search tries."""

    def fit(self, matrix: Numbers, label: Numbers, *, sources: Sequence[str], seed: int) -> FittedTreeModel:  # noqa: ARG002 - the protocol's signature
        """Grow the trees."""
        forest = self.model(
            self.trees,
            min_samples_leaf=self.fewest_in_leaf,
            max_features=self.share_of_features,  # pyright: ignore[reportArgumentType] - a share is allowed
            bootstrap=True,
            max_samples=self.share_of_rows,
            random_state=seed,
        )
        return FittedTreeModel(forest.fit(matrix, label))

    def for_trial(self) -> Self:
        """Fewer trees."""
        return replace(self, trees=TREES_OF_A_TRIAL)

    def suggest(self, trial: Any) -> Self:
        """Vary the size of leaves and the share of features of a split."""
        return replace(
            self,
            fewest_in_leaf=trial.suggest_int("fewest_in_leaf", 2, 20, log=True),
            share_of_features=trial.suggest_float("share_of_features", *self.feature_shares),
        )


@dataclass(frozen=True)
class RandomForest(Forest):
    """Trees on resampled rows, averaged."""

    name: ClassVar[str] = "random_forest"
    complexity: ClassVar[int] = 6
    model = RandomForestClassifier
    feature_shares = (0.1, 0.6)


@dataclass(frozen=True)
class ExtraTrees(Forest):
    """Trees with random thresholds, averaged."""

    share_of_features: float = 0.4
    share_of_rows: float = 0.5

    name: ClassVar[str] = "extra_trees"
    complexity: ClassVar[int] = 5
    model = ExtraTreesClassifier
    feature_shares = (0.2, 1.0)
