"""Means and covariances of columns in each arm: all that Welch's test, CUPED, strata and ratios need of the rows."""

from dataclasses import dataclass

import numpy as np

from patron.experiments.experiment_table import Codes
from patron.schema.numbers import Numbers

ROUNDING = 1e-12
"""Standard deviation, as a share of the column's range, that counts as none."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of groups of rows."""

    count: Codes
    """(groups,)"""
    mean: Numbers
    """(groups, columns)"""
    covariance: Numbers
    """(groups, columns, columns), with n - 1; 0 of a group with one row."""

    @classmethod
    def of(cls, code: Codes, groups: int, columns: tuple[Numbers, ...]) -> "Moments":
        """Two passes over the rows: means, then products of deviations from them.

        Values are taken from the first one of their column, and standard deviations below what rounding leaves are 0,
        so that a constant stays one.
        """
        count = np.bincount(code, minlength=groups)
        rows = np.maximum(count, 1)
        start = np.array([column[0] for column in columns])
        shifted = [one - first for one, first in zip(columns, start, strict=True)]
        mean = np.stack([np.bincount(code, weights=one, minlength=groups) / rows for one in shifted], axis=1)
        deviations = [one - mean[code, place] for place, one in enumerate(shifted)]
        covariance = np.empty((groups, len(columns), len(columns)))
        for place, one in enumerate(deviations):
            for other in range(place + 1):
                sums = np.bincount(code, weights=one * deviations[other], minlength=groups)
                covariance[:, place, other] = covariance[:, other, place] = sums / np.maximum(count - 1, 1)
        ranges = np.array([float(np.ptp(one)) for one in shifted])
        is_constant = np.diagonal(covariance, axis1=1, axis2=2) <= (ROUNDING * ranges) ** 2
        covariance[is_constant[:, :, None] | is_constant[:, None, :]] = 0.0
        return cls(count, start + mean, covariance)

    def of_columns(self, *places: int) -> "Moments":
        """The same of some of the columns."""
        chosen = np.array(places)
        return Moments(self.count, self.mean[:, chosen], self.covariance[:, chosen[:, None], chosen])

    def variance_along(self, group: int, direction: Numbers) -> float:
        """Variance of a weighted sum of the columns in one group."""
        return float(direction @ self.covariance[group] @ direction)

    def products_of_pair(self, group: int, other: int) -> Numbers:
        """(columns, columns): sums of products of deviations from the mean of two groups together."""
        pair = [group, other]
        count, mean = self.count[pair], self.mean[pair]
        within = ((count - 1)[:, None, None] * self.covariance[pair]).sum(axis=0)
        distance = mean[1] - mean[0]
        return within + count.prod() / count.sum() * np.outer(distance, distance)
