"""How early the churn forecast warned of customers who left, and how often it was right, at past cutoffs.

A customer is warned of once: at the first past cutoff at which the rule picks them. A warning is right where no order
came in the next 90 days; it is early by the days until the 90th without an order, when everybody sees it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.estimators.bootstrap import Interval, bootstrap_weights, percentile_interval
from patron.predict.survival.landmarks import customer_keys
from patron.schema.models.label_windows import label_windows
from patron.schema.models.questions import CHURN, label_query
from patron.schema.models.survival import PAUSE_DAYS
from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import EARLY_WARNINGS
from patron.schema.tables.survival_tables import WARNING_RULES
from patron.storage.models.trainings import measured_rows
from patron.storage.runs.stage_view import StageView

SHARES = (0.02, 0.05, 0.1, 0.2)
"""Shares of customers and cutoffs that a rule picks."""
MIN_LEAVERS = 20
RESAMPLES = 200
FORECASTS = """
select p.customer_id, p.as_of, p.value, k.key,
  cast(floor((seconds_of(p.as_of) - 1 - max(seconds_of(o.occurred_at))) / 86400.0) as bigint) as days_since_last_order
from {past} p
join orders o on o.customer_id = p.customer_id and o.known_at < p.as_of
join customer_keys k on k.customer_id = p.customer_id
where p.question = '{question}' group by p.customer_id, p.as_of, p.value, k.key"""
ROWS = """
select f.*, l.label from ({forecasts}) f join ({labels}) l on l.customer_id = f.customer_id and l.as_of = f.as_of
where f.days_since_last_order < {pause} order by f.as_of, f.key, f.value"""


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Customers who were active at past cutoffs, a row each, in the order of time."""

    customers: npt.NDArray[np.intp]
    """A number for each row's customer, the same at every cutoff."""
    has_left: npt.NDArray[np.bool_]
    """Whether no order came in the next 90 days."""
    days_since_last_order: Numbers
    by_rule: dict[str, Numbers]
    """What each rule ranks by: the highest is warned of first."""
    weights: Numbers
    """How often each row counts, a line a resample of customers; the first line counts each once."""

    def first_warnings(self, rule: str, share: float) -> npt.NDArray[np.intp]:
        """The row of each customer's first warning."""
        count = max(1, round(share * len(self.customers)))
        # why stable: of equal ones the first, in an order as good as drawn
        picked = np.sort(np.argsort(-self.by_rule[rule], kind="stable")[:count])
        _, first = np.unique(self.customers[picked], return_index=True)
        return picked[np.sort(first)]

    def precision(self, rows: npt.NDArray[np.intp]) -> Numbers:
        """Share of these warnings that were right, in each resample."""
        weights = self.weights[:, rows]
        total = weights.sum(axis=1)
        return np.divide(weights @ self.has_left[rows], total, out=np.full(len(total), np.nan), where=total > 0)


def build_early_warnings(view: StageView) -> None:
    """Write `early_warnings`; empty where churn was not forecast at past cutoffs, or hardly anybody left."""
    forecasts = read_forecasts(view)
    leavers = len(np.unique(forecasts.customers[forecasts.has_left]))
    rows = [] if leavers < MIN_LEAVERS else warning_rows(forecasts)
    run = {"run_id": view.run.run_id}
    view.write("early_warnings", pa.Table.from_pylist([run | row for row in rows], schema=EARLY_WARNINGS.schema()))


def read_forecasts(view: StageView) -> Forecasts:
    """Churn forecasts at past cutoffs, of the champion's training, of who was active there, and what became of them."""
    past = measured_rows("past_forecasts", view.run.run_id)
    cutoffs = view.query(f"select customer_id, as_of from {past} p where question = '{CHURN.name}'")
    windows = label_windows(cutoffs, CHURN.horizon_days)
    forecasts = FORECASTS.format(past=past, question=CHURN.name)
    sql = ROWS.format(forecasts=forecasts, labels=label_query(CHURN), pause=PAUSE_DAYS)
    rows = view.query(sql, label_windows=windows, customer_keys=customer_keys(view))
    customers = np.unique(rows["key"].to_numpy(), return_inverse=True)[1]
    rng = np.random.default_rng(view.run.child_seed("early warnings"))
    weights = bootstrap_weights(customers, rng=rng, resamples=RESAMPLES)
    days = float_column(rows, "days_since_last_order")
    return Forecasts(
        customers,
        float_column(rows, "label") > 0,
        days_since_last_order=days,
        by_rule=dict(zip(WARNING_RULES, (float_column(rows, "value"), days), strict=True)),
        weights=np.vstack([np.ones(len(customers)), weights]),
    )


def warning_rows(forecasts: Forecasts) -> list[dict[str, Any]]:
    """Rows of `early_warnings`: each rule at each share, the churn forecast next to days since the last order."""
    leavers = np.unique(forecasts.customers[forecasts.has_left])
    same = {
        "base_rate": float(forecasts.has_left.mean()),
        "customer_count": len(np.unique(forecasts.customers)),
        "leaver_count": len(leavers),
    }
    rows = []
    for share in SHARES:
        warned = {rule: forecasts.first_warnings(rule, share) for rule in WARNING_RULES}
        precisions = {rule: forecasts.precision(places) for rule, places in warned.items()}
        baseline = WARNING_RULES[-1]
        for rule, places in warned.items():
            gain = None if rule == baseline else _interval(precisions[rule] - precisions[baseline])
            precision = _interval(precisions[rule])
            reached = np.isin(leavers, forecasts.customers[places]).mean()
            rows.append(
                {"rule": rule, "share": share, "warned_count": len(places), "precision": precision.value}
                | {"low": precision.low, "high": precision.high, "leavers_warned_share": float(reached)}
                | _gain(gain)
                | _lead(forecasts, places)
                | same
            )
    return rows


def _lead(forecasts: Forecasts, places: npt.NDArray[np.intp]) -> dict[str, float | None]:
    """Quartiles of the days from right warnings to the 90th day without an order."""
    names = ("lead_low_days", "lead_days", "lead_high_days")
    right = places[forecasts.has_left[places]]
    if not len(right):
        return dict.fromkeys(names)
    lead = PAUSE_DAYS - forecasts.days_since_last_order[right]
    return dict(zip(names, np.quantile(lead, (0.25, 0.5, 0.75)).tolist(), strict=True))


def _gain(gain: Interval | None) -> dict[str, float | None]:
    if gain is None:
        return dict.fromkeys(("gain", "gain_low", "gain_high"))
    return {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}


def _interval(draws: Numbers) -> Interval:
    return percentile_interval(float(draws[0]), draws[1:])
