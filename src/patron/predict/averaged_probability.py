"""How likely something is: the mean log-odds of several models, of those that the shop's history is long enough for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from scipy.special import logit

from patron.estimators.calibration import Calibration
from patron.estimators.learner import FORECAST, Explains, Fitted, Learner, forecasts
from patron.estimators.saving import Saved
from patron.predict.order_probability import FittedOrderProbability, OrderProbability
from patron.predict.probability_learners import (
    BoostedProbability,
    ComponentLogistic,
    FittedBoostedProbability,
    FittedLogistic,
    Logistic,
    RfmLogistic,
)
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column

EXPLAIN = (
    BoostedProbability.name,
    Logistic.name,
    ComponentLogistic.name,
    RfmLogistic.name,
    OrderProbability.name,
)
"""Members whose reasons are shown: the first that there is."""
FITTED: Mapping[str, type] = {
    Logistic.name: FittedLogistic,
    ComponentLogistic.name: FittedLogistic,
    RfmLogistic.name: FittedLogistic,
    BoostedProbability.name: FittedBoostedProbability,
    OrderProbability.name: FittedOrderProbability,
}


@dataclass(frozen=True)
class FittedAverage(Saved, file="averaged.json"):
    """Several fitted models of a probability; each counts the same."""

    members: Mapping[str, Fitted]
    calibration: Calibration = field(default_factory=Calibration)
    """Of their mean log-odds."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the probability, 0 to 1."""
        each = [logit(float_column(member.predict(table), FORECAST)) for member in self.members.values()]
        return forecasts(self.calibration.probability(np.mean(each, axis=0)))

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """What moved the log-odds of the member with the most features."""
        for name in EXPLAIN:
            member = self.members.get(name)
            if isinstance(member, Explains):
                return member.contributions(table)
        return (), np.zeros((table.num_rows, 0))

    @classmethod
    def part_kind(cls, name: str, content: Mapping[str, Any]) -> Any:  # noqa: ARG003 - as of all that are saved
        """Class of a member."""
        return FITTED[name]


@dataclass(frozen=True)
class AveragedProbability(Learner):
    """The mean log-odds of trees, two logistic regressions and Pareto/NBD, or of those that can be fitted."""

    members: tuple[Learner, ...]

    name: ClassVar[str] = "averaged"
    complexity: ClassVar[int] = 4
    fitted: ClassVar[type] = FittedAverage

    def fit(self, table: pa.Table) -> FittedAverage:
        """Fit every member that can be. Raises NotEnoughData where none can."""
        return self.fit_from(table, {})

    def fit_from(self, table: pa.Table, others: Mapping[str, Fitted]) -> FittedAverage:
        """As `fit`, with members that are fitted to this table already. Raises NotEnoughData."""
        fitted: dict[str, Fitted] = {}
        problem = NotEnoughData("no member", where=self.name)
        for member in self.members:
            if member.name in others:
                fitted[member.name] = others[member.name]
                continue
            try:
                fitted[member.name] = member.fit(table)
            except NotEnoughData as error:
                problem = error
        if not fitted:
            raise problem
        return FittedAverage(fitted)


@dataclass(frozen=True)
class FewLabels(AveragedProbability):
    """The mean log-odds of two models that learn most from rows without a label: on components, and Pareto/NBD.

    A candidate where few outcomes are known, as in a shop's first months; with many the others know more.
    """

    name: ClassVar[str] = "few_labels"
    complexity: ClassVar[int] = 3
    max_labels: ClassVar[int] = 1_500
