"""Which columns a model sees: those that say more than their own shuffled copies."""

from collections.abc import Sequence

import numpy as np

from patron.schema.numbers import Numbers
from patron.tabular.learners.boosting import LightGBM
from patron.tabular.sampling import sample_rows

MAX_ROWS = 20_000
SCREEN = LightGBM(rounds=100, leaves=8, learning_rate=0.1, share_of_features=0.5)
QUANTILE = 0.5


def telling_columns(
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
