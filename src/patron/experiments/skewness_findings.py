"""Where Welch's interval of an effect is too narrow: a small arm, and an outcome with a heavy tail."""

import numpy as np

from patron.experiments.experiment_table import Arms
from patron.schema.numbers import Numbers

MAX_SKEWNESS = 0.2
"""Of a difference of means. With .3, 95 % intervals hold about 92 %, with .9 about 86 %."""


def skewness_findings(arms: Arms, values: Numbers) -> tuple[str, ...]:
    """A sentence for each arm whose difference from the control is so skewed that its interval is too narrow.

    The skewness of the difference is that of the outcome, times (1/n^2 of the arm - 1/n^2 of the control) over the cube
    of the standard error: 0 for equal arms, whose tails cancel. The outcome's is estimated from both arms, because a
    small arm seldom shows it.
    """
    count, groups = arms.counts, len(arms.names)
    shifted = values - values[0]
    deviation = shifted - (np.bincount(arms.code, weights=shifted, minlength=groups) / count)[arms.code]
    square = deviation * deviation
    squares, cubes = (np.bincount(arms.code, weights=one, minlength=groups) for one in (square, square * deviation))
    findings = []
    for place, arm in enumerate(arms.names[1:], 1):
        rows = count[[0, place]].astype(np.float64)
        variance = (squares[0] + squares[place]) / rows.sum()
        if variance <= 0:
            continue
        skewness = (cubes[0] + cubes[place]) / rows.sum() / variance**1.5
        of_difference = abs(skewness * (rows[1] ** -2 - rows[0] ** -2) / (1 / rows).sum() ** 1.5)
        if of_difference > MAX_SKEWNESS:
            smaller = arms.control if rows[0] < rows[1] else arm
            findings.append(
                f"{smaller} has only {int(rows.min()):,} of {int(rows.sum()):,} rows of {arm} and {arms.control}, and "
                f"the outcome has a heavy tail (skewness {skewness:.1f}): intervals of {arm} are too narrow. "
                "Read those of bootstrap_effects."
            )
    return tuple(findings)
