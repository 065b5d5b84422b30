"""What any learner has to beat: the majority class, and the best single column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from patron.schema.errors import BadComparison
from patron.schema.models.metrics import log_loss
from patron.schema.numbers import Numbers
from patron.tabular.columns import Index
from patron.tabular.learners.classifier import Classifier


@dataclass(frozen=True)
class FittedMajority:
    """The share of positives, for every row."""

    share: float

    def predict(self, matrix: Numbers) -> Numbers:
        """Probability of a positive."""
        return np.full(len(matrix), self.share)


@dataclass(frozen=True)
class Majority(Classifier):
    """The share of positives for everybody, and the class that most rows have."""

    name: ClassVar[str] = "majority"
    complexity: ClassVar[int] = 0
    most_rows: ClassVar[int] = 10_000_000

    def fit(self, matrix: Numbers, label: Numbers, *, sources: Sequence[str], seed: int) -> FittedMajority:  # noqa: ARG002 - the protocol's signature
        """Average the labels."""
        return FittedMajority(float(label.mean()))


@dataclass(frozen=True, eq=False)
class FittedBestColumn:
    """A small tree on one column of the table."""

    column: str
    places: Index
    tree: DecisionTreeClassifier

    def predict(self, matrix: Numbers) -> Numbers:
        """Probability of a positive."""
        return np.asarray(self.tree.predict_proba(matrix[:, self.places]))[:, 1]


@dataclass(frozen=True)
class BestColumn(Classifier):
    """The column of the table that alone says most, in at most `leaves` steps."""

    leaves: int = 10
    smallest_leaf_share: float = 0.01

    name: ClassVar[str] = "best_column"
    complexity: ClassVar[int] = 1
    most_rows: ClassVar[int] = 100_000

    def fit(self, matrix: Numbers, label: Numbers, *, sources: Sequence[str], seed: int) -> FittedBestColumn:
        """Fit a tree to each column and keep that with the least log loss; every leaf holds 1 % of the rows."""
        smallest = max(5, int(self.smallest_leaf_share * len(label)))
        best: tuple[float, FittedBestColumn] | None = None
        names = np.asarray(sources)
        for column in dict.fromkeys(sources):
            places = np.flatnonzero(names == column)
            tree = DecisionTreeClassifier(
                max_leaf_nodes=self.leaves, min_samples_leaf=smallest, random_state=seed, criterion="log_loss"
            )
            fitted = FittedBestColumn(column, places, tree.fit(matrix[:, places], label))
            loss = float(log_loss(label, fitted.predict(matrix)))
            if best is None or loss < best[0]:
                best = loss, fitted
        if best is None:
            raise BadComparison("no column can be learned from", todo="Give a table with more columns.")
        return best[1]
