"""The rows of a split as matrices: encoding and columns are chosen from the training rows alone."""

from dataclasses import dataclass

import numpy as np

from patron.schema.errors import BadComparison
from patron.schema.numbers import Numbers
from patron.tabular.columns import Columns, Index
from patron.tabular.encoding import Encoding
from patron.tabular.feature_selection import telling_columns
from patron.tabular.splits import Split


@dataclass(frozen=True)
class EncodedSplit:
    """Both sides of a split as a model sees them."""

    encoding: Encoding
    kept: frozenset[str]
    """The table's columns that are used."""
    training: Numbers
    training_label: Numbers
    judged: Numbers
    judged_label: Numbers
    judged_units: Index
    """What varies together: the group of each judged row, or its place in the table."""

    def matrix(self, columns: Columns) -> Numbers:
        """Other rows, encoded the same way."""
        return self.encoding.matrix(columns.select(self.kept))


def encode(columns: Columns, label: Numbers, split: Split, *, seed: int, groups: Index | None = None) -> EncodedSplit:
    """Choose columns and levels from the training rows, and encode both sides.

    Raises BadComparison where no column varies in the training rows.
    """
    rng = np.random.default_rng(seed)
    rows, outcome = columns.take(split.training), label[split.training]
    units = split.training if groups is None else groups[split.training]
    every = Encoding.of(rows, outcome)
    if not every.sources:
        raise BadComparison("no column varies in the training rows", todo="Cut the table elsewhere, or add columns.")
    kept = telling_columns(every.training_matrix(rows, outcome, units, rng=rng), outcome, every.sources, rng=rng)
    rows, judged = rows.select(kept), columns.take(split.judged).select(kept)
    encoding = Encoding.of(rows, outcome)
    training = encoding.training_matrix(rows, outcome, units, rng=rng)
    judged_units = split.judged if groups is None else groups[split.judged]
    return EncodedSplit(encoding, kept, training, outcome, encoding.matrix(judged), label[split.judged], judged_units)
