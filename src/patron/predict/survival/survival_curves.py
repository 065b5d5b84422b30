"""Survival curves: the probability that a customer who is active today still is in 90, 180, 270 and 360 days.

The first 90 days are the churn forecast's, so that the two never contradict each other. What comes after is carried on
by hazards of those who order in the first 90 days: P(active at h) = (1 - churn) x P(active at h | not churned).
"""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from patron.predict.survival.landmarks import active_customers, first_order_at, read_landmarks
from patron.schema.errors import NotEnoughData
from patron.schema.models.questions import CHURN
from patron.schema.models.survival import HORIZONS_DAYS, PAUSE_PERIODS, PERIOD_DAYS, forecast_from
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import SURVIVAL_BACKTESTS, SURVIVAL_CURVES
from patron.storage.models.missing_forecasts import is_answered
from patron.storage.runs.stage_view import StageView

if TYPE_CHECKING:
    from patron.predict.survival.hazard_backtest import HazardBacktest
    from patron.tabular.hazards import FittedHazards

log = logging.getLogger(__name__)
CHURN_SCORES = """
select customer_id, value from this_scores where question = '{question}' order by customer_id"""


def build_survival_curves(view: StageView) -> None:
    """Write `survival_curves` and `survival_backtests`; empty where churn has no forecast or the shop is too young."""
    curves, backtests = SURVIVAL_CURVES.empty(), SURVIVAL_BACKTESTS.empty()
    first_at = first_order_at(view)
    horizons = [days for days in HORIZONS_DAYS[1:] if first_at and forecast_from(first_at, days) <= view.run.as_of]
    if first_at and horizons and is_answered(view, CHURN):
        # why inside: hazards bring scikit-learn, which takes a second that a young shop's run need not wait
        from patron.predict.survival.hazard_backtest import backtest_hazards  # noqa: PLC0415
        from patron.predict.survival.kept_hazards import fit_to_run, keep_hazards, seed_of  # noqa: PLC0415

        # why: sums do not depend on how many cores there are
        with threadpool_limits(limits=1, user_api="blas"):
            try:
                landmarks = read_landmarks(view, first_at)
                result = backtest_hazards(landmarks, horizons, seed=seed_of(view))
                fitted = fit_to_run(view, landmarks, result.champion)
                backtests = backtest_rows(view, result)
                curves = curve_rows(view, result, fitted, keep_hazards(view, landmarks, fitted, backtests))
            except NotEnoughData as error:
                log.warning("there are no survival curves: %s", error.log_line)
    view.write("survival_curves", curves)
    view.write("survival_backtests", backtests)


def backtest_rows(view: StageView, result: "HazardBacktest") -> pa.Table:
    """Rows of `survival_backtests`."""
    origin = view.run.as_of - timedelta(days=result.origin * PERIOD_DAYS)
    rows = result.rows(view.run.run_id, f"{origin:%Y-%m-%d}")
    return pa.Table.from_pylist(rows, schema=SURVIVAL_BACKTESTS.schema())


def curve_rows(view: StageView, result: "HazardBacktest", fitted: "FittedHazards", version: str) -> pa.Table:
    """Rows of `survival_curves`, by hazards of this version: everybody who is active, at every checked horizon."""
    horizons = np.array(result.horizons_days)
    scores = view.query(CHURN_SCORES.format(run_id=view.run.run_id, question=CHURN.name))
    customers = active_customers(view).join(scores, "customer_id", join_type="inner").sort_by("customer_id")
    stays = survival(float_column(customers, "value"), fitted, customers, result.origin)
    at = horizons // PERIOD_DAYS - PAUSE_PERIODS
    days = expected_days(stays)[:, at]
    means = stays[:, at].mean(axis=0).round(6)  # why rounded: the last bits of a sum follow the order of secret ids
    count = customers.num_rows
    return pa.table(
        {
            "run_id": pa.repeat(view.run.run_id, count * len(horizons)),
            "customer_id": customers["customer_id"].take(pa.array(np.repeat(np.arange(count), len(horizons)))),
            "model_version": pa.repeat(version, count * len(horizons)),
            "horizon_days": pa.array(np.tile(horizons, count)),
            "probability_active": pa.array(stays[:, at].ravel()),
            "mean_probability_active": pa.array(np.tile(means, count)),
            "expected_days": pa.array(days.ravel(), mask=np.tile(at == 0, count)),
        },
        schema=SURVIVAL_CURVES.schema(),
    )


def survival(churn: Numbers, fitted: "FittedHazards", customers: pa.Table, periods: int) -> Numbers:
    """P(active) at 90 days and at the end of each later period of 30 days, so many in all; a row a customer."""
    later = fitted.survival(customers, periods - PAUSE_PERIODS)
    return (1 - churn)[:, None] * np.column_stack([np.ones(len(churn)), later])


def expected_days(stays: Numbers) -> Numbers:
    """Days until a pause of 90 days begins, of the time until 90 days before each column of `stays`.

    A pause begins within the first k periods unless no pause has ended within k + 3: a restricted mean.
    """
    before = np.cumsum(stays, axis=1) - stays
    return PERIOD_DAYS * before
