"""The rows of a split as matrices: encoding and columns are chosen from the training rows alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from patron.schema.errors import BadComparison
from patron.schema.numbers import Numbers
from patron.tabular.columns import Columns, Index
from patron.tabular.encoding import Encoding
from patron.tabular.learners.boosting import LightGBM
from patron.tabular.sampling import sample_rows
from patron.tabular.splits import Split

MAX_ROWS = 20_000
SCREEN = LightGBM(rounds=100, leaves=8, learning_rate=0.1, share_of_features=0.5)
QUANTILE = 0.5


def _informative_columns(
    matrix: Numbers, label: Numbers, sources: Sequence[str], *, rng: np.random.Generator
) -> frozenset[str]:
    """Columns of the table on which boosted trees gain more than the median shuffled column brings them.

    Each column of the matrix gets a copy with its rows shuffled, which can say nothing; trees choose among both. What
    they still gain on copies is what chance alone brings. Every column is kept where none passes.
    """
    if len(label) > MAX_ROWS:
        rows = sample_rows(label, MAX_ROWS, rng)
        matrix, label = matrix[rows], label[rows]
    shuffled = rng.permuted(matrix, axis=0)
    fitted = SCREEN.fit(np.hstack([matrix, shuffled]), label, sources=(), seed=int(rng.integers(2**31)))
    gain = np.asarray(fitted.booster.feature_importance("gain"))
    names = np.asarray(sources)
    tables = {name: names == name for name in dict.fromkeys(sources)}
    width = len(sources)
    of_column = {name: gain[:width][at].sum() for name, at in tables.items()}
    by_chance = np.quantile([gain[width:][at].sum() for at in tables.values()], QUANTILE)
    kept = frozenset(name for name, value in of_column.items() if value > by_chance)
    return kept or frozenset(tables)


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
    kept = _informative_columns(every.training_matrix(rows, outcome, units, rng=rng), outcome, every.sources, rng=rng)
    rows, judged = rows.select(kept), columns.take(split.judged).select(kept)
    encoding = Encoding.of(rows, outcome)
    training = encoding.training_matrix(rows, outcome, units, rng=rng)
    judged_units = split.judged if groups is None else groups[split.judged]
    return EncodedSplit(
        encoding,
        kept,
        training=training,
        training_label=outcome,
        judged=encoding.matrix(judged),
        judged_label=label[split.judged],
        judged_units=judged_units,
    )
