"""Value from buying history alone: Pareto/NBD with Gamma-Gamma, by itself or blended with the last 90 days."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from patron.estimators.learner import Learner, forecasts, newest
from patron.estimators.saving import Saved
from patron.predict.value.btyd_inputs import OrdersAndSpend, median_of, moved_from
from patron.schema.numbers import Numbers


@dataclass(frozen=True)
class FittedBtyd(Saved, file="btyd.json"):
    """Two fitted models, the weight of the last 90 days, and the median customer, to explain forecasts against."""

    models: OrdersAndSpend
    recent_share: float
    median: dict[str, float]

    def predict(self, table: pa.Table) -> pa.Table:
        """Forecast spend in the next 90 days, cents."""
        return forecasts(self._forecast(table))

    def contributions(self, table: pa.Table) -> tuple[tuple[str, ...], Numbers]:
        """How much each input moved the forecast: the forecast less what it would be with the median input, cents."""
        return moved_from(self.median, table, self._forecast)

    def _forecast(self, table: pa.Table) -> Numbers:
        return self.models.blend(table, self.recent_share)


@dataclass(frozen=True)
class ParetoSpend(Learner):
    """Pareto/NBD along the season for the orders times Gamma-Gamma for what one brings, cents."""

    name: ClassVar[str] = "pareto_spend"
    complexity: ClassVar[int] = 2
    fitted: ClassVar[type] = FittedBtyd

    def fit(self, table: pa.Table) -> FittedBtyd:
        """Fit to the customers of the newest cutoff; labels are not needed. Raises NotEnoughData."""
        return _fit(newest(table), 0.0)


@dataclass(frozen=True)
class RecentBlend(Learner):
    """Pareto/NBD along the season, Gamma-Gamma and, where they see no drop-out, a share of the last 90 days, cents."""

    recent_share: float = 0.3
    """Weight of the last 90 days, 0 to 1."""

    name: ClassVar[str] = "recent_blend"
    complexity: ClassVar[int] = 1
    fitted: ClassVar[type] = FittedBtyd

    def fit(self, table: pa.Table) -> FittedBtyd:
        """Fit to the customers of the newest cutoff; labels are not needed. Raises NotEnoughData."""
        return _fit(newest(table), self.recent_share)


def _fit(rows: pa.Table, recent_share: float) -> FittedBtyd:
    models = OrdersAndSpend.fit(rows)
    return FittedBtyd(models, recent_share, median_of(rows))
