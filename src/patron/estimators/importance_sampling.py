"""Means under another policy than the one that drew the rows: each row counts by how much more often it would be."""

import numpy as np

from patron.schema.numbers import Numbers


def self_normalised_mean(weight: Numbers, values: Numbers) -> float:
    """Weighted mean (Hajek): biased a little, and far less noisy than the sum over the number of rows."""
    return float((weight * values).sum() / weight.sum())


def effective_sample_size(weight: Numbers) -> float:
    """Rows without weights that would be worth as much: (sum of weights)^2 / sum of squares (Kish)."""
    return float(weight.sum() ** 2 / np.square(weight).sum())
