"""What followed each earlier decision: the margin of the customer in the window after it, and before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.base.engine import timestamp
from patron.base.table import TEXT, TIME

Numbers = npt.NDArray[np.float64]

BEFORE_DAYS = 84
"""Length of the time before a decision whose margin explains part of the margin after it (CUPED)."""


@dataclass(frozen=True)
class Outcomes:
    """One row per decision: what was done, and the margin that followed, cents."""

    turn: npt.NDArray[np.str_]
    customer: npt.NDArray[np.str_]
    segment: npt.NDArray[np.str_]
    action: npt.NDArray[np.str_]
    propensity: Numbers
    is_holdout: npt.NDArray[np.bool_]
    margin_cents: Numbers
    known_before: Numbers
    """Columns known at the decision that explain the margin: margin before, forecast value, forecast purchase."""

    def rows(self, which: npt.NDArray) -> "Outcomes":
        """Some of the decisions."""
        return Outcomes(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def windows(turns: Iterable[tuple[str, datetime]], *, window_days: int) -> pa.Table:
    """Ends of each decision turn's windows: turn_id, since, decided_at, until."""
    listed = list(turns)
    ends = {
        "since": [at - timedelta(days=BEFORE_DAYS) for _, at in listed],
        "decided_at": [at for _, at in listed],
        "until": [at + timedelta(days=window_days) for _, at in listed],
    }
    return pa.table(
        {"turn_id": pa.array([name for name, _ in listed], TEXT)}
        | {name: pa.array(moments, TIME) for name, moments in ends.items()}
    )


def measurable_turns_query(as_of: datetime, *, window_days: int, history_days: int) -> str:
    """SQL for the turns whose window is over by `as_of`, and whether their offers were really sent."""
    return f"""
select d.turn_id, min(d.as_of) as decided_at,
  max(case when coalesce(e.is_delivered, false) then 1 else 0 end) = 1 as is_delivered
from decisions d left join exposures e on e.decision_id = d.decision_id
where d.as_of <= {timestamp(as_of - timedelta(days=window_days))}
  and d.as_of >= {timestamp(as_of - timedelta(days=history_days))}
group by d.turn_id having max(case when d.action <> 'none' then 1 else 0 end) = 1
order by 2, 1
"""


def outcomes_query(margin_share: float) -> str:
    """SQL over decisions, `windows`, order_lines and scores: one row per decision that consent did not rule out.

    Margin is margin_share of the price before discounts, less discounts, net of refunds known by the window's end.
    """
    margin = f"{margin_share} * l.gross_cents - l.discount_cents"
    return f"""
with decided as (
  select d.*, w.since, w.decided_at, w.until from decisions d join windows w on w.turn_id = d.turn_id
  where d.reason <> 'no_consent'),
earned as (
  select d.decision_id,
    sum(case when l.ordered_at >= d.decided_at then {margin} else 0.0 end) as margin_cents,
    sum(case when l.ordered_at < d.decided_at and l.known_at < d.decided_at then {margin} else 0.0 end) as before_cents
  from decided d join order_lines l on l.customer_id = d.customer_id
    and l.ordered_at >= d.since and l.ordered_at < d.until and l.known_at < d.until
  group by d.decision_id),
forecast as (
  select turn_id, customer_id, max(case when question = 'value' then value end) as value_cents,
    max(case when question = 'purchase' then value end) as purchase
  from scores where turn_id in (select turn_id from windows) group by turn_id, customer_id)
select d.turn_id, d.customer_id, d.segment, d.action, d.propensity, d.is_holdout,
  coalesce(e.margin_cents, 0.0) as margin_cents, coalesce(e.before_cents, 0.0) as before_cents,
  coalesce(f.value_cents, 0.0) as value_cents, coalesce(f.purchase, 0.0) as purchase
from decided d left join earned e on e.decision_id = d.decision_id
left join forecast f on f.turn_id = d.turn_id and f.customer_id = d.customer_id
order by d.turn_id, d.customer_id
"""


def as_outcomes(rows: pa.Table) -> Outcomes:
    """Arrays of the query's rows."""

    def texts(name: str) -> npt.NDArray[np.str_]:
        return np.array(rows[name].to_pylist(), dtype=np.str_)

    def numbers(name: str) -> Numbers:
        return np.asarray(rows[name].cast(pa.float64()).to_numpy(), dtype=np.float64)

    return Outcomes(
        texts("turn_id"),
        texts("customer_id"),
        texts("segment"),
        texts("action"),
        numbers("propensity"),
        np.array(rows["is_holdout"].to_pylist(), dtype=np.bool_),
        numbers("margin_cents"),
        np.column_stack([numbers(name) for name in ("before_cents", "value_cents", "purchase")]),
    )
