"""Numbers for models that add them up or measure distances: filled, scaled, bent at quantiles."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from patron.estimators.classifiers import MAX_Z_SCORE, log_scaled
from patron.schema.numbers import Numbers

FEW_VALUES = 10
"""A column with no more different values is taken as it is, without logarithm and bends."""
BENDS = (0.2, 0.4, 0.6, 0.8)
"""Quantiles at which the effect of a number may change its slope."""


@dataclass(frozen=True)
class Standardising:
    """Means and spreads of training rows; a column each for what is missing, the logarithm and the bends."""

    fill: Numbers
    """What stands in for a missing number: the median."""
    has_missing: tuple[int, ...]
    bends: tuple[tuple[int, float], ...]
    """(column, value) pairs."""
    curved: tuple[int, ...]
    """Columns whose logarithm is added."""
    middle: Numbers
    spread: Numbers

    @classmethod
    def of(cls, matrix: Numbers, *, is_curved: bool) -> Self:
        """Measure training rows; `is_curved` adds logarithms and bends."""
        is_missing = np.isnan(matrix)
        counts = (~is_missing).sum(axis=0)
        fill = np.array([np.median(column[~np.isnan(column)]) if n else 0.0 for column, n in zip(matrix.T, counts)])  # noqa: B905 - both have a column each
        has_missing = tuple(np.flatnonzero(is_missing.any(axis=0)).tolist())
        known = np.where(is_missing, fill, matrix)
        curved: list[int] = []
        bends: list[tuple[int, float]] = []
        if is_curved:
            for at, column in enumerate(known.T):
                if len(np.unique(column[: 20 * FEW_VALUES])) > FEW_VALUES or len(np.unique(column)) > FEW_VALUES:
                    curved.append(at)
                    inner = np.unique(np.quantile(column, BENDS))
                    bends += [(at, float(one)) for one in inner if column.min() < one < column.max()]
        one = cls(fill, has_missing, tuple(bends), tuple(curved), np.zeros(0), np.ones(0))
        raw = one._raw(matrix)
        spread = raw.std(axis=0)
        return cls(fill, has_missing, one.bends, one.curved, raw.mean(axis=0), np.where(spread > 0, spread, 1.0))

    def apply(self, matrix: Numbers) -> Numbers:
        """Standardised columns, without missing numbers."""
        return np.clip((self._raw(matrix) - self.middle) / self.spread, -MAX_Z_SCORE, MAX_Z_SCORE)

    def _raw(self, matrix: Numbers) -> Numbers:
        is_missing = np.isnan(matrix)
        known = np.where(is_missing, self.fill, matrix)
        parts = [known, is_missing[:, list(self.has_missing)].astype(np.float64)]
        if self.curved:
            parts.append(log_scaled(known[:, list(self.curved)]))
        if self.bends:
            columns, values = zip(*self.bends, strict=True)
            parts.append(np.maximum(known[:, list(columns)] - np.array(values), 0.0))
        return np.hstack(parts)
