"""Intervals of means of skewed numbers: few clicks and large weights pull a mean up, and seldom down."""

import numpy as np
import scipy

from patron.estimators.bootstrap import LEVEL, Interval
from patron.schema.numbers import Numbers

SYMMETRIC = 1e-6


def skewed_interval(value: float, parts: Numbers, level: float = LEVEL, bias: float = 0.0) -> Interval:
    """A value whose error is that of the mean of `parts`, with its interval; `bias` widens it at both ends.

    Student's t after the cubic transformation that takes the first-order skewness away (Hall 1992, On the removal of
    skewness by transformation, JRSS B 54). With 5 clicks it is 1.6 to 13.3 clicks; the exact one of Poisson counts is
    1.6 to 11.7, the symmetric one .6 to 9.4.
    """
    count = len(parts)
    deviation = parts - parts.mean()
    spread = float(deviation.std(ddof=1))
    if spread == 0.0:
        return Interval(value, value - bias, value + bias)
    skewness = float((deviation**3).mean() / spread**3 / np.sqrt(count))
    error, quantile = spread / np.sqrt(count), float(scipy.stats.t.ppf((1 + level) / 2, count - 1))
    low, high = (float(value - error * _invert_transform(end, skewness)) for end in (quantile, -quantile))
    return Interval(value, low - bias, high + bias)


def standardised_ends(value: float, error: float, skewness: float, *, reach: float) -> Interval:
    """A value with a known error and skewness, and its interval of so many errors before the skewness moves it.

    The Cornish-Fisher expansion (1938), for errors that do not come from the value's own rows, such as those of a
    randomisation: a value skewed downwards may lie far below the truth and only a little above. The shift is at most
    half of the reach; beyond, the expansion does not hold.
    """
    shift = float(np.clip(skewness / 6 * (reach**2 - 1), -reach / 2, reach / 2))
    return Interval(value, value - error * (reach + shift), value + error * (reach - shift))


def _invert_transform(quantile: float, skewness: float) -> float:
    """Studentised error whose transformed value is `quantile`; `skewness` is that of the mean."""
    if abs(skewness) < SYMMETRIC:
        return quantile
    return float(3 * (np.cbrt(1 + skewness * (quantile - skewness / 6)) - 1) / skewness)
