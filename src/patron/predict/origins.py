"""Past cutoffs of every question about rows: what was known at each, and forecasts next to the actual.

A row is a customer, a customer and a category, a message, a contract or an event of a visit: its keys say what, and
SAMPLE_KEY is its customer's number. Rows of features are as of cutoffs; messages and visits have times of their own,
and the cutoffs lie between them. Rankings add what a list needs: `recommend.ranking_origins`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.clv.rfm_summary import MICROSECONDS_A_DAY
from patron.estimators.learner import FORECAST, LABEL, Fitted, rows_where
from patron.predict.prediction_intervals import Outcomes
from patron.predict.sampling import keys_of
from patron.predict.value.shop_total import SumsToTotal
from patron.schema.models import metrics
from patron.schema.models.metrics import Metric
from patron.schema.models.questions import CategoryQuestion, ContractQuestion, Question
from patron.schema.numbers import Numbers, float_column

MAX_ORIGINS = 3
CUTS = (1 / 2, 2 / 3, 5 / 6)
"""Shares of the rows with times of their own that begin before each cutoff; each is judged until the next one."""
WEIGHT, CAMPAIGN = "weight", "campaign"
"""Columns that some questions have: what a row counts, and the group in which its forecasts are compared."""


@dataclass(frozen=True)
class Forecasts:
    """One learner's forecasts of one or more origins, row by row, with the actual."""

    customers: npt.NDArray[np.int64]
    """A number for each row's customer, the same at every cutoff: rows of one are resampled together."""
    actual: Numbers
    forecast: Numbers
    weight: Numbers | None = None
    """What each row counts; None: all the same."""
    campaigns: npt.NDArray[np.int64] | None = None
    """A number for each row's campaign."""
    season_spread: float = 0.0
    """Standard deviation of the logarithm of what the season may be off by, as the forecast had it."""

    def customer_ids(self, metric: Metric) -> npt.NDArray[Any]:  # noqa: ARG002 - the protocol's signature
        """The customer of each row, whatever the metric."""
        return self.customers

    def customer_count(self, metric: Metric) -> int:  # noqa: ARG002 - the protocol's signature
        """Customers, each once."""
        return len(np.unique(self.customers))

    def value(self, metric: Metric, weights: Numbers | None = None) -> Any:
        """The metric, or one value per resample; within campaigns, the mean of those with both outcomes."""
        if metric is metrics.WITHIN_CAMPAIGN_AUC and self.campaigns is not None:
            return self._within(self.campaigns, metric, weights)
        if self.weight is not None:
            weights = self.weight if weights is None else weights * self.weight
        return metric.of(self.actual, self.forecast, weights)

    def joined(self, others: Sequence[Self]) -> Self:
        """These forecasts and those of other origins."""
        names = ("customers", "actual", "forecast", "weight", "campaigns")
        columns = {name: [getattr(part, name) for part in (self, *others)] for name in names}
        together: dict[str, Any] = {
            name: None if parts[0] is None else np.concatenate(parts) for name, parts in columns.items()
        }
        return type(self)(**together)

    def interval_coverage(self, others: Sequence[Self], rng: np.random.Generator) -> Numbers | None:
        """Whether each actual was within the 80 % interval learned from other origins; None where there is none."""
        learned = others[0].joined(others[1:])
        outcomes = Outcomes.of(learned.actual, learned.forecast, self.season_spread)
        held = outcomes.holds(self.actual, self.forecast, rng)
        return None if held is None else held.astype(np.float64)

    def _within(self, campaigns: npt.NDArray[np.int64], metric: Metric, weights: Numbers | None) -> Any:
        rows = np.ones((1, len(self.actual))) if weights is None else weights
        groups = [campaigns == campaign for campaign in np.unique(campaigns)]
        parts = np.array([metric.of(self.actual[of], self.forecast[of], rows[:, of]) for of in groups])
        # why not nanmean: it warns of a resample in which no campaign has both outcomes
        known = np.isfinite(parts)
        total, count = np.where(known, parts, 0.0).sum(axis=0), known.sum(axis=0)
        means = np.divide(total, count, out=np.full(len(rows), np.nan), where=count > 0)
        return means[0] if weights is None else means


@dataclass(frozen=True)
class Origin:
    """One past cutoff: what was known by then, and the rows to forecast from there."""

    cutoff: datetime
    known: Callable[[], Any]
    """What learners are fitted to, made when it is asked for."""
    test_rows: pa.Table
    customer_count: int
    """Customers to forecast (of pairs and contracts, rows): with too few the origin is not evaluated."""

    @property
    def name(self) -> str:
        """Its date."""
        return self.cutoff.strftime("%Y-%m-%d")

    def evaluate(self, fitted: Fitted) -> Any:
        """Forecast the rows of this cutoff, and compare with the actual."""
        rows = self.test_rows
        has_campaigns = CAMPAIGN in rows.column_names
        return Forecasts(
            keys_of(rows),
            float_column(rows, LABEL),
            forecast=float_column(fitted.predict(rows), FORECAST),
            weight=float_column(rows, WEIGHT) if WEIGHT in rows.column_names else None,
            campaigns=rows[CAMPAIGN].combine_chunks().indices.to_numpy().astype(np.int64) if has_campaigns else None,
            season_spread=fitted.total.season_spread if isinstance(fitted, SumsToTotal) else 0.0,
        )


def cutoff_origins(
    question: Question | CategoryQuestion | ContractQuestion, rows: pa.Table, as_of: datetime
) -> list[Origin]:
    """The newest three cutoffs of labelled rows whose labels are known by `as_of`, newest first."""
    cutoffs = training_cutoffs(pc.unique(rows["as_of"]).to_pylist(), as_of, question.horizon_days)
    return [_at_cutoff(rows, cutoff, question.horizon_days) for cutoff in cutoffs[::-1][:MAX_ORIGINS]]


def _at_cutoff(rows: pa.Table, cutoff: datetime, horizon_days: int) -> Origin:
    test_rows = at(rows, cutoff)
    return Origin(cutoff, lambda: known_at_origin(rows, cutoff, horizon_days), test_rows, test_rows.num_rows)


def later_origins(
    rows: pa.Table, begins: str, known: str, *, cutoffs: Sequence[datetime] | None = None
) -> list[Origin]:
    """Cutoffs between rows that begin at times of their own; each judges the rows that begin from then to the next one.

    Without `cutoffs`, up to three midnights (UTC) that leave a half, a third and a sixth of the rows to judge. Learners
    see the rows whose outcome was known by the cutoff, at the time in the column `known`.
    """
    if not rows.num_rows:
        return []
    start, known_at = (rows[name].cast(pa.int64()).to_numpy() for name in (begins, known))
    if cutoffs is None:
        weight = float_column(rows, WEIGHT) if WEIGHT in rows.column_names else None
        wanted = np.quantile(start, CUTS, weights=weight, method="inverted_cdf").astype(np.int64)
        days = np.unique(wanted // MICROSECONDS_A_DAY)
        cutoffs = [
            datetime.fromtimestamp(int(day) * 86_400, UTC) for day in days if day * MICROSECONDS_A_DAY > start.min()
        ]
    bounds = np.array([round(cutoff.timestamp() * 1e6) for cutoff in cutoffs], dtype=np.int64)
    place = np.searchsorted(bounds, start, side="right") - 1
    origins = []
    for number, (cutoff, bound) in enumerate(zip(cutoffs, bounds, strict=True)):
        is_known, test_rows = pa.array(known_at <= bound), rows.filter(pa.array(place == number))
        count = len(np.unique(keys_of(test_rows)))
        origins.append(Origin(cutoff, lambda is_known=is_known: rows.filter(is_known), test_rows, count))
    return origins


def training_cutoffs(cutoffs: Iterable[datetime], origin: datetime, horizon_days: int) -> list[datetime]:
    """Cutoffs whose labels are known by `origin`: no later than `origin - horizon`."""
    return sorted(cutoff for cutoff in set(cutoffs) if cutoff + timedelta(days=horizon_days) <= origin)


def known_at_origin(rows: pa.Table, origin: datetime, horizon_days: int) -> pa.Table:
    """Earlier cutoffs with the labels known by the origin, and the origin's own rows without a label."""
    kind = rows.schema.field("as_of").type
    past = rows_where(rows, pc.less_equal(rows["as_of"], pa.scalar(origin - timedelta(days=horizon_days), kind)))
    return pa.concat_tables([past, unlabelled(at(rows, origin))])


def unlabelled(rows: pa.Table) -> pa.Table:
    """The rows without their labels."""
    nothing = pa.nulls(rows.num_rows, pa.float64())
    if LABEL not in rows.column_names:
        return rows.append_column(LABEL, nothing)
    return rows.set_column(rows.column_names.index(LABEL), LABEL, nothing)


def at(rows: pa.Table, cutoff: datetime) -> pa.Table:
    """The rows of one cutoff."""
    return rows_where(rows, pc.equal(rows["as_of"], pa.scalar(cutoff, rows.schema.field("as_of").type)))
