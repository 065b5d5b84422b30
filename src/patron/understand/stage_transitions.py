"""How customers move between lifecycle stages in 30 days, and what a stage is worth: a Markov chain with rewards.

Stages at past cutoffs follow from churn forecasts made there, by models that knew nothing later (`past_forecasts`). Two
cutoffs 30 days apart make a step: where a customer was, where they were then, and what they paid, net, in between. A
stage's transition shares and pay have the weight of one average customer mixed in, so that a rare stage stays finite.

The worth of a stage is what a customer in it is expected to pay in the next 360 days, if steps go on as they went:
r + P r + P^2 r + ... over twelve steps (Pfeifer & Carraway 2000, *Journal of Interactive Marketing* 14(2)), without a
discount. Intervals draw whole customers.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.bootstrap_intervals import bootstrap_weights
from patron.schema.numbers import Numbers, float_column
from patron.schema.questions import CHURN
from patron.schema.table_definition import INT
from patron.schema.tables import LIFECYCLE_STAGES, STAGE_TRANSITIONS, STAGE_VALUES
from patron.storage.engine import timestamp
from patron.storage.stage_view import StageView
from patron.understand.lifecycle_stages import ChurnRisk, OrderRhythm, lifecycle_stages

STAGES = LIFECYCLE_STAGES
STEP_DAYS = 30
STEPS = 12
FEWEST = 20
"""Steps that begin in a stage, so that its worth is stated."""
RESAMPLES = 200
ENDS = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class StageSteps:
    """Steps of customers between two cutoffs, one row each."""

    customer_ids: npt.NDArray[np.str_]
    begin: npt.NDArray[np.int64]
    """Place in STAGES at the first cutoff."""
    end: npt.NDArray[np.int64]
    """Place in STAGES at the second."""
    paid_cents: Numbers
    """Paid between them, net of refunds."""


def build_stage_transitions(view: StageView) -> None:
    """Write `stage_transitions` and `stage_values`; empty where no two past cutoffs 30 days apart were forecast."""
    steps = read_steps(view)
    if steps is None:
        view.write("stage_transitions", STAGE_TRANSITIONS.empty())
        view.write("stage_values", STAGE_VALUES.empty())
        return
    rng = np.random.default_rng(view.run.child_seed("stage transitions"))
    weights = bootstrap_weights(steps.customer_ids, rng=rng, resamples=RESAMPLES)
    view.write("stage_transitions", transition_rows(view.run.run_id, steps))
    view.write("stage_values", value_rows(view.run.run_id, steps, weights))


def read_steps(view: StageView) -> StageSteps | None:
    """Steps between past cutoffs that are 30 days apart; None without any."""
    forecasts = view.query(f"""
select p.customer_id, p.as_of, p.value, f.days_since_last_order, f.days_from_first_to_last_order,
  f.order_day_count_lifetime, f.days_between_last_two_orders
from past_forecasts p
join features f on f.run_id = p.run_id and f.customer_id = p.customer_id and f.as_of = p.as_of
where p.run_id = '{view.run.run_id}' and p.question = '{CHURN.name}' order by p.as_of, p.customer_id""")
    stages = _stages_by_cutoff(view, forecasts)
    parts = [
        _steps_between(view, first, first + timedelta(days=STEP_DAYS), stages)
        for first in sorted(stages)
        if first + timedelta(days=STEP_DAYS) in stages
    ]
    if not parts:
        return None
    joined = pa.concat_tables(parts)
    return StageSteps(
        np.array(joined["customer_id"].to_pylist(), dtype=np.str_),
        joined["begin"].to_numpy(),
        joined["end"].to_numpy(),
        float_column(joined, "paid_cents"),
    )


def _stages_by_cutoff(view: StageView, forecasts: pa.Table) -> dict[datetime, pa.Table]:
    at_risk, stages = view.policy.at_risk, {}
    as_of = forecasts["as_of"].to_numpy()
    for moment in np.unique(as_of):
        rows = forecasts.filter(pa.array(as_of == moment))
        rhythm = OrderRhythm.of(rows)
        risk = ChurnRisk(float_column(rows, "value", np.nan), at_risk.at_risk_from, at_risk.lapsed_from)
        places = [STAGES.index(stage) for stage in lifecycle_stages(rhythm, rhythm.shop_pace_days(), risk)]
        cutoff = rows["as_of"][0].as_py()
        stages[cutoff] = pa.table({"customer_id": rows["customer_id"], "stage": pa.array(places, INT)})
    return stages


def _steps_between(view: StageView, first: datetime, last: datetime, stages: dict[datetime, pa.Table]) -> pa.Table:
    sql = f"""
with paid as (
  select customer_id, cast(sum(paid_cents) as bigint) as paid_cents from order_lines
  where is_identified and ordered_at >= {timestamp(first)} and ordered_at < {timestamp(last)}
    and known_at < {timestamp(last)} group by customer_id)
select b.customer_id, b.stage as "begin", e.stage as "end", coalesce(p.paid_cents, 0) as paid_cents
from begins b join ends e on e.customer_id = b.customer_id left join paid p on p.customer_id = b.customer_id
order by b.customer_id"""
    return view.query(sql, begins=stages[first], ends=stages[last])


def transition_shares(steps: StageSteps, weights: Numbers | None = None) -> tuple[Numbers, Numbers]:
    """Share of each stage's customers in each stage 30 days later, and mean cents paid meanwhile.

    With bootstrap `weights` (resamples, steps) both have one more axis in front.
    """
    count = len(STAGES)
    drawn = np.ones((1, len(steps.begin))) if weights is None else weights
    cell = steps.begin * count + steps.end
    moved = np.stack([np.bincount(cell, one, count * count) for one in drawn]).reshape(-1, count, count)
    paid = np.stack([np.bincount(steps.begin, one * steps.paid_cents, count) for one in drawn])
    began, total = moved.sum(axis=2), moved.sum(axis=(1, 2))[:, None]
    mean_move, mean_paid = moved.sum(axis=1) / total, paid.sum(axis=1, keepdims=True) / total
    shares = (moved + mean_move[:, None, :]) / (began + 1)[:, :, None]
    pay = (paid + mean_paid) / (began + 1)
    return (shares[0], pay[0]) if weights is None else (shares, pay)


def worth(shares: Numbers, pay: Numbers, steps: int = STEPS) -> Numbers:
    """Cents that a customer of each stage is expected to pay over so many steps; leading axes are kept."""
    total, coming = np.zeros_like(pay), pay
    for _ in range(steps):
        total = total + coming
        coming = np.einsum("...ij,...j->...i", shares, coming)
    return total


def transition_rows(run_id: str, steps: StageSteps) -> pa.Table:
    """One row for each pair of stages that somebody moved between, or stayed in."""
    cell = steps.begin * len(STAGES) + steps.end
    counts = np.bincount(cell, minlength=len(STAGES) ** 2).reshape(len(STAGES), -1)
    rows = [
        {"run_id": run_id, "from_stage": STAGES[begin], "to_stage": STAGES[end], "customer_count": int(count)}
        | {"share": float(count / counts[begin].sum())}
        for (begin, end), count in np.ndenumerate(counts)
        if count
    ]
    return pa.Table.from_pylist(rows, schema=STAGE_TRANSITIONS.schema())


def value_rows(run_id: str, steps: StageSteps, weights: Numbers) -> pa.Table:
    """One row for each stage that enough steps began in: paid in 30 days, and worth over 360 days."""
    shares, pay = transition_shares(steps)
    low, high = np.quantile(worth(*transition_shares(steps, weights)), ENDS, axis=0)
    counts = np.bincount(steps.begin, minlength=len(STAGES))
    rows = [
        {"run_id": run_id, "lifecycle_stage": stage, "customer_count": int(counts[place])}
        | {"paid_cents_30_days": float(pay[place]), "worth_cents": float(value)}
        | {"low": float(low[place]), "high": float(high[place])}
        for place, (stage, value) in enumerate(zip(STAGES, worth(shares, pay), strict=True))
        if counts[place] >= FEWEST
    ]
    return pa.Table.from_pylist(rows, schema=STAGE_VALUES.schema())
