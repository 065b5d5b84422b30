"""Rules by which anybody could say which contracts are not renewed: by how many terms there were, by cancellation."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators.learner import LABEL, Baseline, forecasts, labelled
from patron.estimators.saving import Saved
from patron.estimators.shrunken_rates import shrunk_means
from patron.schema.numbers import float_column


@dataclass(frozen=True)
class FittedShares(Saved, file="rule.json"):
    """The share of contracts that were not renewed, by a count; the largest group holds all counts above it."""

    column: str
    shares: tuple[float, ...]
    """By the count, from 0."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the share, 0 to 1."""
        groups = np.minimum(float_column(table, self.column), len(self.shares) - 1).astype(np.int64)
        return forecasts(np.asarray(self.shares)[groups])


@dataclass(frozen=True)
class RateByTerm(Baseline):
    """The share not renewed after as many terms: the first renewal is the hardest."""

    most_terms: int = 6
    prior_rows: float = 10.0
    """How many contracts the rate of all is worth in each group; larger shrinks more."""

    name: ClassVar[str] = "rate_by_term"
    fitted: ClassVar[type] = FittedShares

    def fit(self, table: pa.Table) -> FittedShares:
        """Average the known labels. Raises NotEnoughData."""
        rate = float(float_column(labelled(table), LABEL).mean())
        return _fit_shares(table, "term_count", (rate,) * (self.most_terms + 1), self.prior_rows)


@dataclass(frozen=True)
class RateByCancellation(Baseline):
    """Who has cancelled leaves; of the others the share that was not renewed.

    A cancelled contract starts from 99 %, which those that were renewed all the same correct: a forecast that is
    certain is infinitely wrong the first time.
    """

    cancelled: float = 0.99
    prior_rows: float = 10.0
    """How many contracts the start is worth; larger shrinks more."""

    name: ClassVar[str] = "rate_by_cancellation"
    fitted: ClassVar[type] = FittedShares

    def fit(self, table: pa.Table) -> FittedShares:
        """Average the known labels. Raises NotEnoughData."""
        rate = float(float_column(labelled(table), LABEL).mean())
        return _fit_shares(table, "is_cancelled", (rate, self.cancelled), self.prior_rows)


def _fit_shares(table: pa.Table, column: str, priors: tuple[float, ...], prior_rows: float) -> FittedShares:
    """Share of the labels in each group of a count, shrunk to its prior."""
    rows = labelled(table)
    groups = np.minimum(float_column(rows, column), len(priors) - 1).astype(np.int64)
    shares = shrunk_means(groups, float_column(rows, LABEL), priors, prior_rows)
    return FittedShares(column, tuple(shares.tolist()))
