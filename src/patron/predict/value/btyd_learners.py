"""Value from buying history alone: Pareto/NBD with Gamma-Gamma, which benchmarks compare with."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from patron.estimators.learner import Learner, forecasts, newest
from patron.estimators.saving import Saved
from patron.predict.value.btyd_inputs import OrdersAndSpend, median_of, moved_from
from patron.schema.numbers import Numbers


@dataclass(frozen=True)
class FittedBtyd(Saved, file="btyd.json"):
    """Two fitted models, and the median customer, to explain forecasts against."""

    models: OrdersAndSpend
    median: dict[str, float]

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        return forecasts(self.models.forecast(table))

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """How much each input moved the forecast: the forecast less what it would be with the median input, cents."""
        return moved_from(self.median, table, self.models.forecast)


@dataclass(frozen=True)
class ParetoSpend(Learner):
    """Pareto/NBD along the season for the orders times Gamma-Gamma for what one brings, cents."""

    name: ClassVar[str] = "pareto_spend"
    complexity: ClassVar[int] = 2
    fitted: ClassVar[type] = FittedBtyd

    def fit(self, table: pa.Table) -> FittedBtyd:
        """Fit to the customers of the newest cutoff; labels are not needed. Raises NotEnoughData."""
        rows = newest(table)
        return FittedBtyd(OrdersAndSpend.fit(rows), median_of(rows))
