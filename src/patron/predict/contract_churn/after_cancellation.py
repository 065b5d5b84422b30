"""A cancelled contract by the rule, any other by a model of contracts that were not cancelled."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import FORECAST, Learner, forecasts, labelled
from patron.estimators.saving import FOLDER, Saved
from patron.predict.averaged_probability import AveragedProbability, FittedAverage
from patron.predict.contract_churn.contract_baselines import FittedShares, RateByCancellation
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import float_column


@dataclass(frozen=True)
class FittedAfterCancellation(Saved):
    """The rule and the model, each with the contracts that it forecasts."""

    rule: FittedShares = field(metadata={FOLDER: "cancelled"})
    model: FittedAverage | None = field(metadata={FOLDER: "not_cancelled"})
    """None where the outcomes of contracts that were not cancelled cannot be learned: the rule forecasts all."""

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast the probability that it is not renewed, 0 to 1."""
        if self.model is None:
            return self.rule.predict(table)
        is_cancelled = float_column(table, "is_cancelled") > 0
        by_rule, by_model = (float_column(part.predict(table), FORECAST) for part in (self.rule, self.model))
        return forecasts(np.where(is_cancelled, by_rule, by_model))


@dataclass(frozen=True)
class AfterCancellation(Learner):
    """A cancelled contract by the rule, any other by a model of contracts that were not cancelled.

    Few contracts are cancelled at a cutoff and nearly all of these end: a shrunk model is too cautious about them, and
    what it learns of them bends what it says of all others.
    """

    model: AveragedProbability
    rule: RateByCancellation = field(default_factory=RateByCancellation)

    name: ClassVar[str] = "after_cancellation"
    complexity: ClassVar[int] = 4
    fitted: ClassVar[type] = FittedAfterCancellation

    def fit(self, table: pa.Table) -> FittedAfterCancellation:
        """Fit both to the rows whose label is known, or the rule alone. Raises NotEnoughData."""
        rows = labelled(table)
        rule = self.rule.fit(rows)
        try:
            model = self.model.fit(rows.filter(pc.equal(rows["is_cancelled"], 0)))
        except NotEnoughData:  # also where all of them were renewed, or none
            return FittedAfterCancellation(rule, None)
        return FittedAfterCancellation(rule, model)
