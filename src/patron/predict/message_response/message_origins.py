"""Past cutoffs of responses to messages: later messages are judged by models of those whose outcome was known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.clv.rfm_summary import MICROSECONDS_A_DAY
from patron.estimators.learner import FORECAST, LABEL, Fitted
from patron.predict.sampling import keys_of
from patron.schema.models import metrics
from patron.schema.models.metrics import Metric
from patron.schema.numbers import Numbers, float_column
from patron.schema.table_definition import TIME

CUTS = (1 / 2, 2 / 3, 5 / 6)
"""Shares of the messages before each cutoff; each is judged until the next one."""


@dataclass(frozen=True)
class MessageForecasts:
    """One learner's forecasts for messages, with what came."""

    customers: npt.NDArray[np.int64]
    campaigns: npt.NDArray[np.int64]
    """A number for each row's campaign."""
    actual: Numbers
    forecast: Numbers

    def customer_ids(self, metric: Metric) -> npt.NDArray[Any]:  # noqa: ARG002 - the protocol's signature
        """The customer of each row, whatever the metric: the messages of one are resampled together."""
        return self.customers

    def customer_count(self, metric: Metric) -> int:  # noqa: ARG002 - the protocol's signature
        """Customers, each once."""
        return len(np.unique(self.customers))

    def value(self, metric: Metric, weights: Numbers | None = None) -> Any:
        """The metric, or one value per resample; within campaigns, the mean of those with both outcomes."""
        if metric is not metrics.WITHIN_CAMPAIGN_AUC:
            return metric.of(self.actual, self.forecast, weights)
        rows = np.ones((1, len(self.actual))) if weights is None else weights
        parts = np.array(
            [
                metric.of(self.actual[of], self.forecast[of], rows[:, of])
                for of in (self.campaigns == one for one in np.unique(self.campaigns))
            ]
        )
        # why not nanmean: it warns of a resample in which no campaign has both outcomes
        known = np.isfinite(parts)
        total, count = np.where(known, parts, 0.0).sum(axis=0), known.sum(axis=0)
        means = np.divide(total, count, out=np.full(len(rows), np.nan), where=count > 0)
        return means[0] if weights is None else means

    def joined(self, others: Sequence[Self]) -> Self:
        """These forecasts and those of other origins."""
        parts = (self, *others)
        names = ("customers", "campaigns", "actual", "forecast")
        return type(self)(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def interval_coverage(self, others: Sequence[Self], rng: np.random.Generator) -> Numbers | None:  # noqa: ARG002 - the protocol's signature
        """A probability has no interval."""
        return None


@dataclass(frozen=True)
class MessageOrigin:
    """One past cutoff: messages whose outcome was known by then, and those that were sent after it."""

    cutoff: datetime
    rows: pa.Table
    here: pa.Table

    @property
    def name(self) -> str:
        """Its date."""
        return self.cutoff.strftime("%Y-%m-%d")

    @property
    def customer_count(self) -> int:
        """Customers whose messages are judged."""
        return pc.count_distinct(self.here["customer_id"]).as_py()

    def known(self) -> pa.Table:
        """Messages whose time for a response was over by the cutoff."""
        return self.rows.filter(pc.less_equal(self.rows["until"], pa.scalar(self.cutoff, TIME)))

    def evaluate(self, fitted: Fitted) -> MessageForecasts:
        """Forecast the messages that were sent after the cutoff."""
        forecast = float_column(fitted.predict(self.here), FORECAST)
        campaigns = self.here["campaign"].combine_chunks().indices.to_numpy().astype(np.int64)
        return MessageForecasts(keys_of(self.here), campaigns, float_column(self.here, LABEL), forecast)


def message_origins(rows: pa.Table) -> list[MessageOrigin]:
    """Up to three cutoffs at midnights (UTC) that leave a half, a third and a sixth of the messages to judge."""
    if not rows.num_rows:
        return []
    sent = rows["sent_at"].cast(pa.int64()).to_numpy()
    cuts = np.unique(np.quantile(sent, CUTS, method="inverted_cdf") // MICROSECONDS_A_DAY * MICROSECONDS_A_DAY)
    return origins_at(rows, [pa.scalar(int(cut), pa.int64()).cast(TIME).as_py() for cut in cuts if cut > sent.min()])


def origins_at(rows: pa.Table, cutoffs: Sequence[datetime]) -> list[MessageOrigin]:
    """Each cutoff, with the messages that were sent from then on and before the next one."""
    sent = rows["sent_at"].cast(pa.int64()).to_numpy()
    starts = pa.array(cutoffs, TIME).cast(pa.int64()).to_numpy()
    # why: the number of cutoffs that are not after a sending is the place of the one that it is judged from
    place = np.searchsorted(starts, sent, side="right") - 1
    return [MessageOrigin(one, rows, rows.filter(pa.array(place == at))) for at, one in enumerate(cutoffs)]
