"""How customers move between lifecycle stages in 30 days, and what they pay in the 90 days after being in one.

Stages at past cutoffs follow from churn forecasts made there, by models fitted to nothing later (`past_forecasts`). Two
cutoffs 30 days apart make a step: where a customer was, and where they were then.

What a stage is worth is what its customers paid, net, in the next 90 days, as it happened. A Markov chain that carries
the steps on for a year was tried and given up: it forgets where a customer came from, so that who is lapsed earns
like everybody once they are active, two to ten times what they did.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.models.label_windows import label_windows
from patron.schema.models.questions import CHURN
from patron.schema.numbers import Numbers, float_column
from patron.schema.table_definition import INT
from patron.schema.tables import LIFECYCLE_STAGES, STAGE_TRANSITIONS, STAGE_VALUES
from patron.storage.models.trainings import measured_rows, of_known_customers
from patron.storage.runs.stage_view import StageView
from patron.understand.contract_holders import contract_holders
from patron.understand.lifecycle_stages import ChurnRisk, OrderRhythm, lifecycle_stages

STEP = timedelta(days=30)
MIN_COUNT = 20
"""Customers who were seen in a stage, so that what it is worth is stated."""
TWO_SIDED_95 = 1.96
PAID = """
select w.place, coalesce(cast(sum(l.paid_cents) as bigint), 0) as paid_cents
from windows w left join order_lines l on l.customer_id = w.customer_id and l.is_identified
  and l.ordered_at >= w.as_of and l.ordered_at < w.until and l.known_at < w.until
group by w.place order by w.place"""


@dataclass(frozen=True, eq=False)
class PastStages:
    """Customers at past cutoffs, one row each: their stage, and what they paid in the 90 days that followed."""

    customer_ids: npt.NDArray[np.str_]
    cutoffs: npt.NDArray[np.datetime64]
    stages: npt.NDArray[np.int64]
    """Place in LIFECYCLE_STAGES."""
    paid_cents: Numbers
    """Paid within 90 days, net of refunds known by then."""


def build_stage_transitions(view: StageView) -> None:
    """Write `stage_transitions` and `stage_values`; empty where churn was not forecast at past cutoffs."""
    past = read_past_stages(view)
    view.write("stage_transitions", transition_rows(view.run.run_id, past))
    view.write("stage_values", value_rows(view.run.run_id, past))


def read_past_stages(view: StageView) -> PastStages:
    """Stages at the cutoffs that churn was forecast at, by the same rules as today's."""
    forecasts = view.query(f"""
select p.customer_id, p.as_of, p.value, f.days_since_last_order, f.days_from_first_to_last_order,
  f.order_day_count_lifetime, f.days_between_last_two_orders
from {measured_rows("past_forecasts", view.run.run_id)} p
join features f on f.run_id = p.run_id and f.customer_id = p.customer_id and f.as_of = p.as_of
where p.question = '{CHURN.name}' and p.{of_known_customers(view.run.run_id)} order by p.as_of, p.customer_id""")
    cutoffs = forecasts["as_of"].to_numpy()
    stages = np.zeros(forecasts.num_rows, dtype=np.int64)
    has_contract = contract_holders(view, forecasts)
    at_risk = view.policy.at_risk
    for cutoff in np.unique(cutoffs):
        here = cutoffs == cutoff
        rows = forecasts.filter(pa.array(here))
        rhythm = OrderRhythm.of(rows)
        risk = ChurnRisk(float_column(rows, "value", np.nan), at_risk.at_risk_from, at_risk.lapsed_from)
        names = lifecycle_stages(rhythm, rhythm.shop_pace_days(), risk, has_contract[here])
        stages[here] = [LIFECYCLE_STAGES.index(name) for name in names]
    windows = label_windows(forecasts.select(["customer_id", "as_of"]), CHURN.horizon_days)
    windows = windows.append_column("place", pa.array(np.arange(forecasts.num_rows), INT))
    paid = float_column(view.query(PAID, windows=windows), "paid_cents")
    return PastStages(np.array(forecasts["customer_id"].to_pylist(), dtype=np.str_), cutoffs, stages, paid)


def transition_rows(run_id: str, past: PastStages) -> pa.Table:
    """One row for each pair of stages that somebody moved between, or stayed in, within 30 days."""
    count = len(LIFECYCLE_STAGES)
    moved = np.zeros((count, count), dtype=np.int64)
    step = np.timedelta64(STEP)
    for first in np.unique(past.cutoffs):
        here, later = past.cutoffs == first, past.cutoffs == first + step
        _, begin, end = np.intersect1d(past.customer_ids[here], past.customer_ids[later], return_indices=True)
        np.add.at(moved, (past.stages[here][begin], past.stages[later][end]), 1)
    rows = [
        {"run_id": run_id, "from_stage": LIFECYCLE_STAGES[begin], "to_stage": LIFECYCLE_STAGES[end]}
        | {"customer_count": int(customers), "share": float(customers / moved[begin].sum())}
        for (begin, end), customers in np.ndenumerate(moved)
        if customers
    ]
    return pa.Table.from_pylist(rows, schema=STAGE_TRANSITIONS.schema())


def value_rows(run_id: str, past: PastStages) -> pa.Table:
    """One row for each stage that enough customers were seen in: the mean paid in 90 days, with its interval.

    A customer may be seen at several cutoffs: the standard error counts customers (Liang & Zeger 1986).
    """
    rows = []
    for place, stage in enumerate(LIFECYCLE_STAGES):
        chosen = past.stages == place
        customers, of_customer = np.unique(past.customer_ids[chosen], return_inverse=True)
        if len(customers) < MIN_COUNT:
            continue
        paid = past.paid_cents[chosen]
        mean = paid.mean()
        residual = np.bincount(of_customer, paid - mean)
        error = np.sqrt((residual**2).sum() * len(customers) / (len(customers) - 1)) / len(paid)
        ends = {"low": mean - TWO_SIDED_95 * error, "high": mean + TWO_SIDED_95 * error}
        # why rounded: the last bits of a sum follow the order of ids, which are made with a secret
        numbers = {name: round(float(value), 2) for name, value in ({"paid_cents_90_days": mean} | ends).items()}
        rows.append({"run_id": run_id, "lifecycle_stage": stage, "customer_count": len(customers)} | numbers)
    return pa.Table.from_pylist(rows, schema=STAGE_VALUES.schema())
