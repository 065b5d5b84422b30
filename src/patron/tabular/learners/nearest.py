"""k nearest neighbours on standardised columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.neighbors import NearestNeighbors

from patron.schema.numbers import Numbers
from patron.tabular.learners.classifier import Classifier
from patron.tabular.learners.standardising import Standardising


@dataclass(frozen=True, eq=False)
class FittedNearest:
    """Rows that are remembered, with their labels."""

    standardising: Standardising
    index: NearestNeighbors
    label: Numbers

    def predict(self, matrix: Numbers) -> Numbers:
        """Share of positives among the neighbours, one at the overall share added."""
        rows = self.standardising.apply(matrix).astype(np.float32)
        places = self.index.kneighbors(rows, return_distance=False)
        return (self.label[places].sum(axis=1) + self.label.mean()) / (places.shape[1] + 1)


@dataclass(frozen=True)
class Nearest(Classifier):
    """Share of positives among the most similar rows."""

    neighbours: int = 50

    name: ClassVar[str] = "k_nearest"
    complexity: ClassVar[int] = 4
    trials: ClassVar[int] = 3
    most_rows: ClassVar[int] = 20_000

    def fit(self, matrix: Numbers, label: Numbers, *, sources: Sequence[str], seed: int) -> FittedNearest:  # noqa: ARG002 - the protocol's signature
        """Remember the rows."""
        standardising = Standardising.of(matrix, is_curved=False)
        index = NearestNeighbors(n_neighbors=min(self.neighbours, len(label)), algorithm="brute")
        return FittedNearest(standardising, index.fit(standardising.apply(matrix).astype(np.float32)), label)

    def suggest(self, trial: Any) -> Self:
        """Vary the number of neighbours."""
        return replace(self, neighbours=trial.suggest_int("neighbours", 10, 200, log=True))
