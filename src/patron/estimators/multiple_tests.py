"""Several tests at once: p-values that count how many questions were asked."""

import numpy as np

from patron.schema.numbers import Numbers


def holm(p_values: Numbers) -> Numbers:
    """P-values of which the smallest is below a level in that share of families without any effect (Holm 1979)."""
    order = np.argsort(p_values)
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
