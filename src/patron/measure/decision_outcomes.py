"""The outcome of each earlier decision: the customer's margin in the window after it, and before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.numbers import Numbers, float_column
from patron.schema.table_definition import NUMBER, TEXT, TIME
from patron.storage.engine import timestamp
from patron.storage.offers.margin import charged_orders_sum, margin_sum
from patron.storage.offers.offer_policy import Offer

NONE = "none"
BEFORE_DAYS = 84
"""Length of the time before a decision whose margin explains part of the margin after it (CUPED)."""


@dataclass(frozen=True)
class DecisionOutcomes:
    """One row per decision: its action, and the margin that followed, cents."""

    run: npt.NDArray[np.str_]
    customer: npt.NDArray[np.str_]
    stratum: npt.NDArray[np.str_]
    action: npt.NDArray[np.str_]
    is_holdout: npt.NDArray[np.bool_]
    is_first: npt.NDArray[np.bool_]
    """Whether no offer can have reached the customer before this decision."""
    margin_cents: Numbers
    covariates: Numbers
    """Columns known at the decision that explain the margin: margin before, forecast value, forecast purchase."""
    discount_cents: Numbers
    """Discounts on orders of the window with the offer's code."""
    other_cost_cents: Numbers
    """What the offer cost besides: sending, each order with its code, and points credited for these orders."""
    propensities: Mapping[str, Numbers]
    """Probability of each action among customers outside the holdout; 0 where it was impossible or is not known."""

    def rows(self, which: npt.NDArray) -> "DecisionOutcomes":
        """Some of the decisions."""
        plain = {
            field_.name: getattr(self, field_.name)[which] for field_ in fields(self) if field_.name != "propensities"
        }
        propensities = {name: propensity[which] for name, propensity in self.propensities.items()}
        return DecisionOutcomes(**plain, propensities=propensities)


def windows(runs: Sequence[tuple[str, datetime]], as_of: datetime, *, window_days: int, history_days: int) -> pa.Table:
    """The windows of each run that gave offers, in order of time.

    Columns: run_id, since, decided_at, until, window_days (from decided_at to until), is_measured.

    A window ends at the next such run at the latest, so that the offers of one run do not count as effects of another.
    """
    cutoffs = [at for _, at in runs]
    window, history, before = (timedelta(days=days) for days in (window_days, history_days, BEFORE_DAYS))
    until = [min([at + window, *cutoffs[place + 1 : place + 2]]) for place, at in enumerate(cutoffs)]
    ends = {"since": [at - before for at in cutoffs], "decided_at": cutoffs, "until": until}
    is_measured = [end <= as_of and at >= as_of - history for at, end in zip(cutoffs, until, strict=True)]
    lengths = [(end - at) / timedelta(days=1) for at, end in zip(cutoffs, until, strict=True)]
    return pa.table(
        {
            "run_id": pa.array([name for name, _ in runs], TEXT),
            "window_days": pa.array(lengths, NUMBER),
            "is_measured": pa.array(is_measured, pa.bool_()),
        }
        | {name: pa.array(column, TIME) for name, column in ends.items()}
    )


def window_share(windows: pa.Table, *, window_days: int) -> float:
    """Mean length of the windows measured as a share of what was promised; below 1 where offers come sooner."""
    rows = windows.filter(windows["is_measured"]).to_pylist()
    lengths = [(row["until"] - row["decided_at"]) / timedelta(days=window_days) for row in rows]
    return sum(lengths) / len(lengths)


def offering_runs_query(as_of: datetime) -> str:
    """SQL for the runs before `as_of` that gave offers, and whether these were really sent, in order of time."""
    return f"""
select d.run_id, min(d.as_of) as decided_at,
  max(case when coalesce(e.is_delivered, false) then 1 else 0 end) = 1 as is_delivered
from decisions d left join exposures e on e.decision_id = d.decision_id
where d.as_of < {timestamp(as_of)}
group by d.run_id having max(case when d.action <> 'none' then 1 else 0 end) = 1
order by 2, 1
"""


def outcomes_query(margin_share: float, offers: Iterable[Offer]) -> str:
    """SQL over decisions, `windows`, order_lines and scores: one row per decision, but where consent ruled it out.

    Margin is margin_share of the price before discounts, less discounts, net of refunds known by the window's end.
    """
    after = "l.ordered_at >= d.decided_at"
    before = "l.ordered_at < d.decided_at and l.known_at < d.decided_at"
    return f"""
with considered as (
  select d.*, w.since, w.decided_at, w.until, w.window_days, w.is_measured,
    row_number() over (partition by d.customer_id order by w.decided_at, d.run_id) = 1 as is_first
  from decisions d join windows w on w.run_id = d.run_id
  where d.reason not in ('no_consent', 'ordinary_offer')),
decided as (select * from considered where is_measured),
earned as (
  select d.decision_id,
    {margin_sum(after, margin_share)} as margin_cents,
    {margin_sum(before, margin_share)} as before_cents,
    count(distinct case when {after} and not l.is_refund then l.order_id end) as order_count
  from decided d join order_lines l on l.customer_id = d.customer_id
    and l.ordered_at >= d.since and l.ordered_at < d.until and l.known_at < d.until
  group by d.decision_id),
used_order as (
  select d.decision_id, d.action, l.order_id, sum(l.discount_cents) as discount_cents,
    sum(l.paid_cents) as paid_cents, sum(l.gross_cents) as gross_cents
  from decided d join order_lines l on l.customer_id = d.customer_id and l.coupon = d.action
    and l.ordered_at >= d.decided_at and l.ordered_at < d.until and l.known_at < d.until and not l.is_refund
  group by d.decision_id, d.action, l.order_id),
used as (
  select decision_id, cast(sum(discount_cents) as bigint) as used_discount_cents,
    cast(sum(paid_cents) as bigint) as used_paid_cents, count(*) as used_orders,
    {charged_orders_sum("action", "gross_cents", offers)} as charged_orders
  from used_order group by decision_id),
forecast as (
  select run_id, customer_id, max(case when question = 'value' then value end) as value_cents,
    max(case when question = 'purchase' then value end) as purchase
  from scores where run_id in (select run_id from windows) group by run_id, customer_id)
select d.decision_id, d.run_id, d.customer_id, d.stratum, d.action, d.is_holdout, d.is_first, d.propensity,
  d.window_days, coalesce(e.order_count, 0) as order_count,
  coalesce(u.used_discount_cents, 0) as used_discount_cents, coalesce(u.used_orders, 0) as used_orders,
  coalesce(u.charged_orders, 0) as charged_orders, coalesce(u.used_paid_cents, 0) as used_paid_cents,
  coalesce(e.margin_cents, 0.0) as margin_cents, coalesce(e.before_cents, 0.0) as before_cents,
  coalesce(f.value_cents, 0.0) as value_cents, coalesce(f.purchase, 0.0) as purchase,
  f.purchase is not null as has_forecast, d.reason
from decided d left join earned e on e.decision_id = d.decision_id
left join used u on u.decision_id = d.decision_id
left join forecast f on f.run_id = d.run_id and f.customer_id = d.customer_id
order by d.run_id, d.customer_id
"""


PROPENSITIES_QUERY = """
select p.decision_id, p.action, p.propensity from propensities p join windows w on w.run_id = p.run_id
where w.is_measured order by p.decision_id, p.action
"""


def as_decision_outcomes(
    rows: pa.Table, propensities: pa.Table, order_costs: Mapping[str, tuple[float, float, float]]
) -> DecisionOutcomes:
    """Arrays of the rows of both queries.

    `order_costs` has the cents of sending each offer and of an order charged to it, and the share of what is paid for
    orders with it that is redeemed as points. An offer that was certain has the propensity 1, and is not in
    `propensities`.
    """

    def texts(name: str) -> npt.NDArray[np.str_]:
        return np.array(rows[name].to_pylist(), dtype=np.str_)

    def flags(name: str) -> npt.NDArray[np.bool_]:
        return np.array(rows[name].to_pylist(), dtype=np.bool_)

    action = texts("action")
    by_action = _by_action(rows["decision_id"], propensities)
    is_certain = float_column(rows, "propensity") == 1
    for name in np.unique(action[is_certain & (action != NONE)]).tolist():
        is_sure = is_certain & (action == name)
        by_action[name] = np.where(is_sure, 1.0, by_action.get(name, np.zeros(len(action))))
    nothing = (0.0, 0.0, 0.0)
    sending, order, points = np.array([order_costs.get(one, nothing) for one in action.tolist()]).reshape(-1, 3).T
    return DecisionOutcomes(
        texts("run_id"),
        texts("customer_id"),
        stratum=texts("stratum"),
        action=action,
        is_holdout=flags("is_holdout"),
        is_first=flags("is_first"),
        margin_cents=float_column(rows, "margin_cents"),
        covariates=np.column_stack([float_column(rows, name) for name in ("before_cents", "value_cents", "purchase")]),
        discount_cents=float_column(rows, "used_discount_cents"),
        other_cost_cents=sending
        + order * float_column(rows, "charged_orders")
        + points * float_column(rows, "used_paid_cents"),
        propensities=by_action,
    )


def _by_action(decisions: pa.ChunkedArray, propensities: pa.Table) -> dict[str, Numbers]:
    """The probability of each action, one number per decision."""
    by_action = {}
    for action in sorted(pc.unique(propensities["action"]).to_pylist()):
        of_action = propensities.filter(pc.equal(propensities["action"], action))
        at = pc.index_in(decisions, of_action["decision_id"].combine_chunks())
        by_action[action] = pc.fill_null(of_action["propensity"].take(at), 0.0).to_numpy()
    return by_action
