"""Thresholds of each group's own, so that of those who leave the same share is recognised in every group.

Equal opportunity by post-processing (Hardt, Price and Srebro 2016): forecasts stay as they are, only the probability
from which a customer counts as at risk differs. It needs no other model, its price can be counted before it is paid,
and turning it off changes nothing else; reweighting would change every forecast of every customer. A group's threshold
is the quantile of the forecasts of those who left that recognises as many of them as one threshold for all does.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from patron.schema.numbers import Numbers

Flags = npt.NDArray[np.bool_]
Names = npt.NDArray[np.str_]


def fit_thresholds(
    forecast: Numbers, happened: Numbers, groups: Names, *, threshold: float, fewest: int
) -> dict[str, float]:
    """Threshold of each group in which at least `fewest` rows happened; other groups keep the one for all.

    Empty where nobody is recognised by `threshold`, or nothing happened.
    """
    positives = forecast[happened > 0]
    true_positive_rate = float(np.mean(positives >= threshold)) if len(positives) else 0.0
    if not 0 < true_positive_rate < 1:
        return {}
    thresholds = {}
    for group in np.unique(groups[groups != ""]).tolist():
        scores = np.sort(forecast[(groups == group) & (happened > 0)])[::-1]
        if len(scores) >= fewest:
            thresholds[group] = float(scores[max(round(true_positive_rate * len(scores)), 1) - 1])
    return thresholds


def is_recognised(forecast: Numbers, groups: Iterable[str], thresholds: Mapping[str, float], default: float) -> Flags:
    """Whether each row's forecast reaches the threshold of its group."""
    return forecast >= np.array([thresholds.get(group, default) for group in groups])
