"""Forecasts of earlier runs against what happened: calibration by decile, and bias."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from patron.schema.metrics import Numbers, bias_share, decile_of
from patron.schema.questions import HORIZON_DAYS
from patron.schema.table_definition import TEXT, TIME
from patron.schema.tables import FORECAST_CHECKS
from patron.storage.engine import timestamp
from patron.storage.shop import View

HISTORY_DAYS = 400
EVERYBODY = 0


@dataclass(frozen=True)
class Promise:
    """What a question's forecast said would happen; stated again here because stages do not import each other."""

    horizon_days: int
    happened: str
    """SQL over the order lines `l` of the horizon; the customer has none where l.customer_id is null."""


ORDERED = "max(case when l.customer_id is not null and not l.is_refund then 1.0 else 0.0 end)"
PROMISES = {
    "value": Promise(HORIZON_DAYS["value"], "coalesce(cast(sum(l.paid_cents) as double), 0.0)"),
    "churn": Promise(HORIZON_DAYS["churn"], f"1.0 - {ORDERED}"),
    "purchase": Promise(HORIZON_DAYS["purchase"], ORDERED),
}


def check_forecasts(view: View) -> pa.Table:
    """Write `forecast_checks` for every earlier run whose horizon is over by now, and return them."""
    rows = []
    for question, promise in PROMISES.items():
        found = view.query(scored_query(question, promise, view.run.as_of)).to_pylist()
        ends = {"scored_at": [row["as_of"] for row in found]}
        ends["until"] = [at + timedelta(days=promise.horizon_days) for at in ends["scored_at"]]
        asked = pa.table(
            {"run_id": pa.array([row["run_id"] for row in found], TEXT)}
            | {name: pa.array(cutoffs, TIME) for name, cutoffs in ends.items()}
        )
        for one in range(asked.num_rows):
            happened = view.query(happened_query(question, promise), asked=asked.slice(one, 1))
            same = {"run_id": view.run.run_id, "question": question, "scored_at": ends["scored_at"][one]}
            rows += [same | row for row in by_decile(_column(happened, "forecast"), _column(happened, "actual"))]
    checks = pa.Table.from_pylist(rows, schema=FORECAST_CHECKS.schema())
    view.write("forecast_checks", checks)
    return checks


def scored_query(question: str, promise: Promise, as_of: datetime) -> str:
    """SQL for the runs whose forecasts can be judged by `as_of`."""
    latest = timestamp(as_of - timedelta(days=promise.horizon_days))
    return f"""
select run_id, min(as_of) as as_of from scores
where question = '{question}' and as_of <= {latest} and as_of >= {timestamp(as_of - timedelta(days=HISTORY_DAYS))}
group by run_id order by 2, 1
"""


def happened_query(question: str, promise: Promise) -> str:
    """SQL over scores, order_lines and `asked` (run_id, scored_at, until): forecast and actual of each customer."""
    return f"""
select s.customer_id, max(s.value) as forecast, {promise.happened} as actual
from scores s join asked a on a.run_id = s.run_id
left join order_lines l on l.customer_id = s.customer_id
  and l.ordered_at >= a.scored_at and l.ordered_at < a.until and l.known_at < a.until
where s.question = '{question}'
group by s.customer_id order by s.customer_id
"""


def by_decile(forecast: Numbers, actual: Numbers) -> list[dict[str, float | int | None]]:
    """Means of each tenth of the forecast, the lowest first, after everybody (decile 0)."""
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


def _column(rows: pa.Table, name: str) -> Numbers:
    return np.asarray(rows[name].cast(pa.float64()).to_numpy(), dtype=np.float64)
