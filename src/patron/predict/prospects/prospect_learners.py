"""What people who have not ordered yet will pay in the next 90 days, by where they came from and what they do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa

from patron.estimators.boosted_trees import Trees
from patron.estimators.learner import FORECAST, LABEL, Baseline, Learner, forecasts, labelled
from patron.estimators.saving import Saved
from patron.estimators.shrunken_rates import look_up, means_by_name
from patron.predict.sampling import in_first_half
from patron.predict.value.training_matrix import TrainingMatrix, cap_of
from patron.predict.value.two_stage import FittedStages, fit_stages
from patron.schema.numbers import Numbers, float_column


@dataclass(frozen=True)
class FittedProspects(Saved, file="prospects.json"):
    """P(buy) times spend, drawn towards the mean by as much as other people's outcomes asked for."""

    stages: FittedStages
    weight: float
    """How much of a forecast's distance from the mean is kept, 0 to 1."""
    middle_cents: float
    """Mean forecast of the stages."""
    mean_cents: float
    """Mean outcome."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        apart = float_column(self.stages.predict(table), FORECAST) - self.middle_cents
        return forecasts(np.maximum(self.mean_cents + self.weight * apart, 0.0))

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the logarithm of the forecast before it was drawn towards the mean."""
        names, values = self.stages.contributions(table)
        return names, values * self.weight


@dataclass(frozen=True)
class Prospects(Learner):
    """P(buy) times spend given buy, both boosted on what is known of a prospect, drawn towards the mean, cents.

    How far is learned from people the trees were not fitted to: each half of the people is forecast by trees fitted to
    the other. Where what is known of people says nothing about their value, everybody gets the mean.
    """

    trees: Trees = field(default_factory=lambda: Trees(rounds=60, leaves=4, leaf_penalty=20.0))
    cap_quantile: float = 0.99
    """Labels above this quantile of all count as its value."""

    name: ClassVar[str] = "prospects"
    complexity: ClassVar[int] = 2
    fitted: ClassVar[type] = FittedProspects

    def fit(self, table: pa.Table) -> FittedProspects:
        """Fit to the rows whose label is known; at least 50 of each half must have bought. Raises NotEnoughData."""
        rows = labelled(table)
        weight = self._weight(rows)
        stages = self._stages(rows)
        middle = float(float_column(stages.predict(rows), FORECAST).mean())
        return FittedProspects(stages, weight, middle, float(_capped(rows, self.cap_quantile).mean()))

    def _stages(self, rows: pa.Table) -> FittedStages:
        return fit_stages(TrainingMatrix.of_rows(rows, None), self.trees, self.cap_quantile)

    def _weight(self, rows: pa.Table) -> float:
        """Slope of outcomes on forecasts of people that the trees had not seen, kept within 0 and 1."""
        label, forecast = _capped(rows, self.cap_quantile), np.empty(rows.num_rows)
        first = in_first_half(rows)
        for half in (first, ~first):
            fitted = self._stages(rows.filter(pa.array(~half)))
            forecast[half] = float_column(fitted.predict(rows.filter(pa.array(half))), FORECAST)
        spread = float(forecast.var())
        return float(np.clip(np.cov(forecast, label, bias=True)[0, 1] / spread, 0.0, 1.0)) if spread > 0 else 0.0


@dataclass(frozen=True)
class FittedMeanByGroup(Saved, file="prospects.json"):
    """The mean of each group, and of everybody for a group that was never seen."""

    column: str
    means: Mapping[str, float]
    mean: float

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the mean of each row's group."""
        return forecasts(look_up(table[self.column], self.means, self.mean))


@dataclass(frozen=True)
class MeanByChannel(Baseline):
    """The mean outcome of everybody whom the same channel won, cents: the rule most shops go by."""

    column: str = "declared_acquisition_channel"
    prior_people: float = 20.0
    """How many people the mean of all is worth in each group; larger draws small groups nearer to it."""

    name: ClassVar[str] = "mean_by_channel"
    fitted: ClassVar[type] = FittedMeanByGroup

    def fit(self, table: pa.Table) -> FittedMeanByGroup:
        """Average the known labels of each group. Raises NotEnoughData."""
        rows = labelled(table)
        mean, means = means_by_name(rows[self.column], float_column(rows, LABEL), self.prior_people)
        return FittedMeanByGroup(self.column, means, mean)


def _capped(rows: pa.Table, quantile: float) -> Numbers:
    """What was paid, never below 0, with the largest amounts cut as the stages cut them."""
    label = np.maximum(float_column(rows, LABEL), 0.0)
    return np.minimum(label, cap_of(label, quantile))
