"""Past cutoffs of questions about a visit: later visits are judged by models of those that were over before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import FORECAST, LABEL, Fitted
from patron.schema.models.metrics import Metric
from patron.schema.numbers import Numbers, float_column

SECONDS_A_DAY = 86_400
CUTS = (1 / 2, 2 / 3, 5 / 6)
"""Shares of the visits before each cutoff; each is judged until the next one."""


@dataclass(frozen=True)
class SessionForecasts:
    """One learner's forecasts after events of visits, with what came; a visit's rows weigh 1 together."""

    customers: npt.NDArray[np.int64]
    actual: Numbers
    forecast: Numbers
    weight: Numbers

    def customer_ids(self, metric: Metric) -> npt.NDArray[Any]:  # noqa: ARG002 - the protocol's signature
        """The customer of each row, whatever the metric: the visits of one are resampled together."""
        return self.customers

    def customer_count(self, metric: Metric) -> int:  # noqa: ARG002 - the protocol's signature
        """Customers, each once."""
        return len(np.unique(self.customers))

    def value(self, metric: Metric, weights: Numbers | None = None) -> Any:
        """The metric, or one value per resample."""
        return metric.of(self.actual, self.forecast, self.weight if weights is None else weights * self.weight)

    def joined(self, others: Sequence[Self]) -> Self:
        """These forecasts and those of other origins."""
        parts = (self, *others)
        names = ("customers", "actual", "forecast", "weight")
        return type(self)(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def interval_coverage(self, others: Sequence[Self], rng: np.random.Generator) -> Numbers | None:  # noqa: ARG002 - the protocol's signature
        """A probability has no interval."""
        return None


@dataclass(frozen=True)
class SessionOrigin:
    """One past cutoff: training rows of visits that were over by then, and of those that began after it."""

    cutoff_seconds: float
    rows: pa.Table
    here: pa.Table

    @property
    def name(self) -> str:
        """Its date."""
        return datetime.fromtimestamp(self.cutoff_seconds, UTC).strftime("%Y-%m-%d")

    @property
    def customer_count(self) -> int:
        """Customers whose visits are judged."""
        return pc.count_distinct(self.here["customer_number"]).as_py()

    def known(self) -> pa.Table:
        """Rows of visits that ended before the cutoff."""
        return self.rows.filter(pc.less(self.rows["ended_at"], self.cutoff_seconds))

    def evaluate(self, fitted: Fitted) -> SessionForecasts:
        """Forecast after each event of the visits that began after the cutoff."""
        forecast = float_column(fitted.predict(self.here), FORECAST)
        numbers = self.here["customer_number"].to_numpy()
        return SessionForecasts(numbers, float_column(self.here, LABEL), forecast, float_column(self.here, "weight"))


def session_origins(rows: pa.Table) -> list[SessionOrigin]:
    """Up to three cutoffs at midnights (UTC) that leave a half, a third and a sixth of the visits to judge."""
    if not rows.num_rows:
        return []
    started = rows["started_at"].to_numpy()
    wanted = np.quantile(started, CUTS, weights=rows["weight"].to_numpy(), method="inverted_cdf")
    cuts = np.unique(np.floor(wanted / SECONDS_A_DAY) * SECONDS_A_DAY)
    cuts = cuts[cuts > started.min()]
    ends = [*cuts[1:], np.inf]
    return [
        SessionOrigin(float(cut), rows, rows.filter(pa.array((started >= cut) & (started < end))))
        for cut, end in zip(cuts, ends, strict=True)
    ]


def with_customer_numbers(rows: pa.Table) -> pa.Table:
    """The rows with a number for each customer, in the order in which they come: ids are other in each workspace."""
    numbers = rows["customer_id"].combine_chunks().dictionary_encode().indices.cast(pa.int64())
    return rows.append_column("customer_number", numbers)
