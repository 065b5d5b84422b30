"""Forecasts of earlier runs, scored when their horizon is over: bias, error and coverage, of all and by decile."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.schema.models.label_windows import label_windows
from patron.schema.models.metrics import bias_share, brier, decile_of, mae
from patron.schema.models.questions import QUESTIONS, Question, label_query
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import FORECAST_CHECKS
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

HISTORY_DAYS = 400
EVERYBODY = 0
Z95 = 1.96


def check_forecasts(view: StageView) -> pa.Table:
    """Write `forecast_checks` for every earlier run whose horizon is over by now, and return them."""
    rows = []
    for question in QUESTIONS:
        if question.is_ranking:
            continue
        for run in view.query(scored_runs_query(question, view.run.as_of)).to_pylist():
            compared = forecast_and_actual(view, question, run["run_id"])
            same = {"run_id": view.run.run_id, "question": question.name, "scored_at": run["as_of"]}
            rows += [same | row for row in checks_by_decile(compared, is_probability=question.is_probability)]
    checks = pa.Table.from_pylist(rows, schema=FORECAST_CHECKS.schema())
    view.write("forecast_checks", checks)
    return checks


def scored_runs_query(question: Question, as_of: datetime) -> str:
    """SQL for the runs whose forecasts can be compared with the actual by `as_of`."""
    latest = timestamp(as_of - timedelta(days=question.horizon_days))
    return f"""
select run_id, min(as_of) as as_of from scores
where question = '{question.name}' and as_of <= {latest} and as_of >= {timestamp(as_of - timedelta(days=HISTORY_DAYS))}
group by run_id order by 2, 1
"""


def forecast_and_actual(view: StageView, question: Question, run_id: str) -> pa.Table:
    """Forecast and actual of each customer that a run scored, in order of their id."""
    scored = view.query(
        f"""select customer_id, as_of, value as forecast, low, high from scores
        where run_id = '{run_id}' and question = '{question.name}' order by customer_id"""
    )
    return view.query(
        f"""select s.customer_id, s.forecast, s.low, s.high, a.label as actual
        from scored s join ({label_query(question)}) a on a.customer_id = s.customer_id order by s.customer_id""",
        scored=scored,
        label_windows=label_windows(scored, question.horizon_days),
    )


def checks_by_decile(compared: pa.Table, *, is_probability: bool) -> list[dict[str, float | int | None]]:
    """Rows of everybody (decile 0), then of each decile of the forecast, the lowest first.

    `compared` has forecast, actual, low and high of each customer; the last two may be NULL.
    """
    forecast, actual = float_column(compared, "forecast"), float_column(compared, "actual")
    low, high = float_column(compared, "low", np.nan), float_column(compared, "high", np.nan)
    decile = decile_of(forecast)
    groups = [(EVERYBODY, np.ones(len(forecast), np.bool_)), *((int(d), decile == d) for d in np.unique(decile))]
    error = brier if is_probability else mae
    everybody = np.full(len(forecast), forecast.mean() if len(forecast) else 0.0)
    return [
        {
            "decile": name,
            "customer_count": int(which.sum()),
            "forecast_mean": float(forecast[which].mean()),
            "actual_mean": float(actual[which].mean()),
            **_bias(forecast[which], actual[which]),
            "error": float(error(actual[which], forecast[which])),
            "baseline_error": float(error(actual[which], everybody[which])),
            "covered_share": _covered_share(actual[which], low[which], high[which]),
        }
        for name, which in groups
        if which.any()
    ]


def _bias(forecast: Numbers, actual: Numbers) -> dict[str, float | None]:
    """Forecast total over actual total, less 1, with its 95 % interval over customers (delta method)."""
    bias = _known(float(bias_share(actual, forecast)))
    if bias is None or len(actual) < 2:
        return {"bias_share": bias, "bias_low": None, "bias_high": None}
    residual = forecast - (1 + bias) * actual
    reach = Z95 * float(residual.std(ddof=1)) / np.sqrt(len(actual)) / abs(float(actual.mean()))
    return {"bias_share": bias, "bias_low": bias - reach, "bias_high": bias + reach}


def _covered_share(actual: Numbers, low: Numbers, high: Numbers) -> float | None:
    """Share of the actuals within their interval; None where no forecast has one."""
    has_interval = np.isfinite(low) & np.isfinite(high)
    if not has_interval.any():
        return None
    is_within = (low <= actual) & (actual <= high)
    return float(is_within[has_interval].mean())


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
