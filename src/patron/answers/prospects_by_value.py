"""What people without an order are expected to bring: read from the last run's facts, judged on the past, not kept."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from patron.predict.backtest import ALL, Backtest, at, backtest, cutoffs_for
from patron.predict.learner import FORECAST, LABEL, Fitted, reasons
from patron.predict.scoring import fit_first, with_labels
from patron.predict.value.prospect_learners import LEARNERS
from patron.schema.bootstrap_intervals import Interval, bootstrap_weights, interval
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers, float_column
from patron.schema.questions import PROSPECTS as QUESTION
from patron.storage.last_run import last_run
from patron.storage.shop import Shop, Snapshot
from patron.understand.prospects import first_known_at, prospects_at

MOST_SHOWN = 20


@dataclass(frozen=True)
class Prospect:
    """One person without an order, and what they should pay, net, in the next 90 days."""

    customer_id: str
    expected_cents: float
    days_since_known: float
    acquisition_channel: str | None
    reasons: tuple[str, ...]
    """Features that moved the forecast most, signed."""


@dataclass(frozen=True)
class Prospects:
    """Everybody who could be named for up to 90 days and has not ordered, and how such forecasts did on the past."""

    run_id: str
    as_of: datetime
    learner: str
    why: str
    judged_count: int
    """People of past moments that the ranking was judged on."""
    gini: float | None
    """Normalised Gini of the ranking: 0 says no more than the mean, 1 knows what will be paid."""
    gini_low: float | None
    gini_high: float | None
    people_count: int
    expected_cents: float
    people: tuple[Prospect, ...]
    """Those expected to bring most, the best first."""


def prospects(shop: Shop, *, most: int = MOST_SHOWN) -> Prospects:
    """Learn from earlier prospects what today's are worth; writes nothing, and takes as long as a question of a run.

    Raises NoRunYet, and NotEnoughData where too few prospects' 90 days are over.
    """
    view = last_run(shop)
    first = first_known_at(view)
    if first is None:
        raise _nobody(view)
    rows = with_labels(view, QUESTION, prospects_at(view, cutoffs_for(view.run.as_of, first)))
    current = at(rows, view.run.as_of)
    if not current.num_rows:
        raise _nobody(view)
    rng = np.random.default_rng(view.run.child_seed("prospects"))
    result = backtest(QUESTION, LEARNERS, rows, as_of=view.run.as_of, rng=rng)
    learner, fitted = fit_first(result, rows)
    expected = float_column(fitted.predict(current), FORECAST)
    judged = _judged(result, learner.name, rng)
    return Prospects(
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        learner=learner.name,
        why=result.why,
        judged_count=len(result.judged[ALL, learner.name].actual) if judged else 0,
        gini=judged.value if judged else None,
        gini_low=judged.low if judged else None,
        gini_high=judged.high if judged else None,
        people_count=current.num_rows,
        expected_cents=float(expected.sum()),
        people=_best(fitted, current, expected, most),
    )


def _judged(result: Backtest, learner: str, rng: np.random.Generator) -> Interval | None:
    judged = result.judged.get((ALL, learner))
    if judged is None:
        return None
    weights = bootstrap_weights(judged.customers, rng=rng)
    return interval(QUESTION.primary_metric, judged.actual, judged.forecast, weights=weights)


def _best(fitted: Fitted, rows: pa.Table, expected: Numbers, most: int) -> tuple[Prospect, ...]:
    best = np.argsort(-expected, kind="stable")[:most]
    if not len(best):
        return ()
    shown = rows.drop_columns([LABEL]).take(pa.array(best))
    contributions = getattr(fitted, "contributions", None)
    said = [[] for _ in best] if contributions is None else reasons(*contributions(shown))
    columns = (shown[name].to_pylist() for name in ("customer_id", "days_since_known", "declared_acquisition_channel"))
    return tuple(
        Prospect(customer, float(cents), age, channel, tuple(why))
        for customer, age, channel, cents, why in zip(*columns, expected[best], said, strict=True)
    )


def _nobody(view: Snapshot) -> NotEnoughData:
    return NotEnoughData(
        "nobody could be named for up to 90 days without an order",
        where=f"run {view.run.run_id}",
        todo="Send `Identify` or `Customer Registered` when people sign up, then run.",
    )
