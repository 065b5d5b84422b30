"""Some of the rows, with as large a share of each class as all have."""

import numpy as np

from patron.schema.numbers import Numbers
from patron.tabular.columns import Index


def sample_rows(label: Numbers, most: int, rng: np.random.Generator) -> Index:
    """At most about `most` rows in their order, at least one of each class."""
    if len(label) <= most:
        return np.arange(len(label))
    share = most / len(label)
    parts = []
    for value in np.unique(label):
        rows = np.flatnonzero(label == value)
        parts.append(rng.choice(rows, max(1, round(share * len(rows))), replace=False))
    return np.sort(np.concatenate(parts))
