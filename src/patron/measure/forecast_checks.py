"""Forecasts of earlier runs against the actual: calibration by decile, and bias."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.schema.metrics import bias_share, decile_of
from patron.schema.numbers import Numbers, float_column
from patron.schema.questions import QUESTIONS, Question, label_query, label_windows
from patron.schema.tables import FORECAST_CHECKS
from patron.storage.engine import timestamp
from patron.storage.stage_view import StageView

HISTORY_DAYS = 400
EVERYBODY = 0


def check_forecasts(view: StageView) -> pa.Table:
    """Write `forecast_checks` for every earlier run whose horizon is over by now, and return them."""
    rows = []
    for question in QUESTIONS:
        if question.is_ranking:
            continue
        for run in view.query(scored_runs_query(question, view.run.as_of)).to_pylist():
            compared = forecast_and_actual(view, question, run["run_id"])
            same = {"run_id": view.run.run_id, "question": question.name, "scored_at": run["as_of"]}
            deciles = calibration_by_decile(float_column(compared, "forecast"), float_column(compared, "actual"))
            rows += [same | row for row in deciles]
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
        f"""select customer_id, as_of, value as forecast from scores
        where run_id = '{run_id}' and question = '{question.name}' order by customer_id"""
    )
    return view.query(
        f"""select s.customer_id, s.forecast, a.label as actual
        from scored s join ({label_query(question)}) a on a.customer_id = s.customer_id order by s.customer_id""",
        scored=scored,
        label_windows=label_windows(scored, question.horizon_days),
    )


def calibration_by_decile(forecast: Numbers, actual: Numbers) -> list[dict[str, float | int | None]]:
    """Means of each decile of the forecast, the lowest first, after everybody (decile 0)."""
    decile = decile_of(forecast)
    groups = [(EVERYBODY, np.ones(len(forecast), np.bool_)), *((int(d), decile == d) for d in np.unique(decile))]
    return [
        {
            "decile": name,
            "customer_count": int(which.sum()),
            "forecast_mean": float(forecast[which].mean()),
            "actual_mean": float(actual[which].mean()),
            "bias_share": _known(float(bias_share(actual[which], forecast[which]))),
        }
        for name, which in groups
        if which.any()
    ]


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
