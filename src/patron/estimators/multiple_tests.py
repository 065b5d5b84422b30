"""Several tests at once: p-values that count how many questions were asked."""

import numpy as np

from patron.schema.numbers import Numbers


def adjust_p_values(p_values: Numbers) -> Numbers:
    """Raise p-values for how many tests there are, so that one false alarm is as rare as in one test (Holm 1979)."""
    order = np.argsort(p_values)
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
