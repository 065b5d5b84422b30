"""The forecast ledger: every forecast of earlier runs, scored when its horizon is over, and those still to come due."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from patron.schema.common_sentences import IT_IS_ONE_OF, NOT_A_VALUE
from patron.schema.errors import BadQuery
from patron.schema.models.questions import CENTS, QUESTIONS
from patron.storage.engine import timestamp
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

INTERVAL_SHARE = 0.8
"""Share of customers whose actual a forecast's interval should hold."""
HORIZONS = {question.name: question.horizon_days for question in QUESTIONS if not question.is_ranking}
"""Days of each question that is a number, in the order of the questions."""
FORECASTS_PER_PAGE = 25
IN_CENTS = frozenset(question.name for question in QUESTIONS if question.unit == CENTS)


@dataclass(frozen=True)
class ForecastEntry:
    """One forecast of an earlier run against the actual, over all its customers."""

    question: str
    scored_at: datetime
    due_at: datetime
    customer_count: int
    forecast_mean: float
    actual_mean: float
    bias_share: float | None
    """Forecast total over actual total, less 1; None where nothing came."""
    bias_low: float | None
    bias_high: float | None
    """Ends of its 95 % interval; None in a run before there were any."""
    error: float | None
    """Mean absolute error; of a probability the Brier score."""
    baseline_error: float | None
    """The same of one forecast for everybody."""
    covered_share: float | None
    """Share of the actuals within the forecast's 80 % interval; None where forecasts have none."""
    worst_decile: int | None
    """Decile of the forecast, 1 is the lowest, whose total was furthest off; None where no decile has a bias."""
    worst_decile_bias: float | None

    @property
    def is_biased(self) -> bool:
        """Whether the bias is beyond noise."""
        return self.bias_low is not None and self.bias_high is not None and not self.bias_low <= 0 <= self.bias_high


@dataclass(frozen=True)
class WaitingForecasts:
    """Forecasts of one question whose horizon is not over."""

    question: str
    run_count: int
    next_due_at: datetime


@dataclass(frozen=True)
class ForecastLedger:
    """Forecasts that were scored, the latest of each question first, and those that wait."""

    run_id: str
    as_of: datetime
    entries: tuple[ForecastEntry, ...]
    waiting: tuple[WaitingForecasts, ...]


def newest_forecasts(
    entries: Iterable[ForecastEntry], question: str = "", *, before: tuple[datetime, str] | None = None
) -> tuple[ForecastEntry, ...]:
    """Entries of one question or of all, the latest first; `before` is time and question of the last one of a page.

    Raises BadQuery.
    """
    if question not in {"", *HORIZONS}:
        listed = IT_IS_ONE_OF(choices=", ".join(HORIZONS))
        raise BadQuery(NOT_A_VALUE(value=question), where="question", todo=listed)
    chosen = sorted((entry for entry in entries if question in {"", entry.question}), key=_place)
    last = None if before is None else (-before[0].timestamp(), before[1])
    return tuple(one for one in chosen if last is None or _place(one) > last)


def _place(entry: ForecastEntry) -> tuple[float, str]:
    return (-entry.scored_at.timestamp(), entry.question)


def forecast_ledger(shop: Shop) -> ForecastLedger:
    """The ledger as the last finished run scored it. Raises NoRunYet."""
    return forecast_ledger_of(last_run(shop))


def forecast_ledger_of(view: Snapshot) -> ForecastLedger:
    """The ledger as one run scored it."""
    return ForecastLedger(view.run.run_id, view.run.as_of, _entries(view), _waiting(view))


def _entries(view: Snapshot) -> tuple[ForecastEntry, ...]:
    sql = """
with checked as (select * from this_forecast_checks),
worst as (
  select question, scored_at, decile as worst_decile, bias_share as worst_decile_bias,
    row_number() over (
      partition by question, scored_at order by abs(forecast_mean - actual_mean) * customer_count desc, decile) as place
  from checked where decile > 0 and bias_share is not null)
select c.question, c.scored_at, c.customer_count, c.forecast_mean, c.actual_mean, c.bias_share, c.bias_low, c.bias_high,
  c.error, c.baseline_error, c.covered_share, w.worst_decile, w.worst_decile_bias
from checked c left join worst w on w.question = c.question and w.scored_at = c.scored_at and w.place = 1
where c.decile = 0 order by c.scored_at desc"""
    order = {name: place for place, name in enumerate(HORIZONS)}
    entries = (
        ForecastEntry(**row, due_at=row["scored_at"] + timedelta(days=HORIZONS[row["question"]]))
        for row in records(view.query(sql))
        if row["question"] in HORIZONS
    )
    return tuple(sorted(entries, key=lambda entry: order[entry.question]))


def _waiting(view: Snapshot) -> tuple[WaitingForecasts, ...]:
    now = view.run.as_of
    since = timestamp(now - timedelta(days=max(HORIZONS.values())))
    sql = f"""
select question, run_id, min(as_of) as scored_at from scores
where as_of > {since} and as_of <= {timestamp(now)} group by question, run_id order by 3, 2"""
    due: dict[str, list[datetime]] = {}
    for row in records(view.query(sql)):
        at = row["scored_at"] + timedelta(days=HORIZONS.get(row["question"], 0))
        if at > now:
            due.setdefault(row["question"], []).append(at)
    return tuple(WaitingForecasts(name, len(due[name]), due[name][0]) for name in HORIZONS if name in due)
