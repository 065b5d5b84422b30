"""Past cutoffs of questions about a number: what was known at each, and forecasts next to the actual."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.bootstrap import Interval, bootstrap_weights, paired_gain
from patron.estimators.learner import FORECAST, LABEL, Fitted, rows_where
from patron.predict.backtest import ALL, MOST_ORIGINS, Backtest
from patron.predict.learner import AddsUp
from patron.predict.prediction_intervals import Outcomes
from patron.predict.sampling import keys_of
from patron.schema.models.metrics import Metric
from patron.schema.models.questions import CategoryQuestion, ContractQuestion, Question
from patron.schema.numbers import Numbers, float_column


@dataclass(frozen=True)
class ForecastsAtOrigin:
    """One learner's forecasts of one or more origins, row by row, with the actual."""

    customers: npt.NDArray[np.int64]
    """A number for each row's customer, the same at every cutoff."""
    actual: Numbers
    forecast: Numbers
    season_spread: float = 0.0
    """Standard deviation of the logarithm of what the season may be off by, as the forecast had it."""

    def customer_ids(self, metric: Metric) -> npt.NDArray[Any]:  # noqa: ARG002 - the protocol's signature
        """The customer of each row, whatever the metric."""
        return self.customers

    def customer_count(self, metric: Metric) -> int:  # noqa: ARG002 - the protocol's signature
        """Customers, each once."""
        return len(np.unique(self.customers))

    def value(self, metric: Metric, weights: Numbers | None = None) -> Any:
        """The metric, or one value per resample."""
        return metric.of(self.actual, self.forecast, weights)

    def joined(self, others: Sequence[Self]) -> Self:
        """These forecasts and those of other origins."""
        parts = (self, *others)
        return type(self)(
            np.concatenate([part.customers for part in parts]),
            np.concatenate([part.actual for part in parts]),
            np.concatenate([part.forecast for part in parts]),
        )

    def interval_coverage(self, others: Sequence[Self], rng: np.random.Generator) -> Numbers | None:
        """Whether each actual was within the 80 % interval learned from other origins; None where there is none."""
        learned = others[0].joined(others[1:])
        outcomes = Outcomes.of(learned.actual, learned.forecast, self.season_spread)
        held = outcomes.holds(self.actual, self.forecast, rng)
        return None if held is None else held.astype(np.float64)


@dataclass(frozen=True)
class ScoreOrigin:
    """One past cutoff of the labelled rows of a question."""

    cutoff: datetime
    horizon_days: int
    rows: pa.Table
    """customer_id, as_of, sample_key, features and `label` of all past cutoffs, the population only."""
    here: pa.Table
    """The rows of this cutoff."""

    @property
    def name(self) -> str:
        """Its date."""
        return self.cutoff.strftime("%Y-%m-%d")

    @property
    def customer_count(self) -> int:
        """Customers to forecast."""
        return self.here.num_rows

    def known(self) -> pa.Table:
        """Earlier cutoffs with the labels known by now, and this cutoff's own rows without a label."""
        return known_at_origin(self.rows, self.cutoff, self.horizon_days)

    def evaluate(self, fitted: Fitted) -> ForecastsAtOrigin:
        """Forecast the customers of this cutoff."""
        forecast = float_column(fitted.predict(self.here), FORECAST)
        spread = fitted.total.season_spread if isinstance(fitted, AddsUp) else 0.0
        return ForecastsAtOrigin(keys_of(self.here), float_column(self.here, LABEL), forecast, spread)


def score_origins(
    question: Question | CategoryQuestion | ContractQuestion, rows: pa.Table, as_of: datetime
) -> list[ScoreOrigin]:
    """The newest three cutoffs whose labels are known by `as_of`, newest first."""
    cutoffs = training_cutoffs(pc.unique(rows["as_of"]).to_pylist(), as_of, question.horizon_days)
    return [
        ScoreOrigin(cutoff, question.horizon_days, rows, at(rows, cutoff)) for cutoff in cutoffs[::-1][:MOST_ORIGINS]
    ]


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


def gain_over(result: Backtest, learner: str, forecast: Numbers, *, rng: np.random.Generator) -> Interval:
    """Paired gain of a learner over any other forecast of all evaluated rows, on the primary metric."""
    evaluation: ForecastsAtOrigin = result.evaluations[ALL, learner]
    weights = bootstrap_weights(evaluation.customers, rng=rng)
    return paired_gain(
        result.question.primary_metric, evaluation.actual, evaluation.forecast, forecast, weights=weights
    )
