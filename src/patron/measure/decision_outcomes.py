"""What followed each earlier decision: the margin of the customer in the window after it, and before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.numbers import Numbers, float_column
from patron.schema.table_definition import TEXT, TIME
from patron.storage.engine import timestamp

BEFORE_DAYS = 84
"""Length of the time before a decision whose margin explains part of the margin after it (CUPED)."""


@dataclass(frozen=True)
class Outcomes:
    """One row per decision: what was done, and the margin that followed, cents."""

    run: npt.NDArray[np.str_]
    customer: npt.NDArray[np.str_]
    segment: npt.NDArray[np.str_]
    action: npt.NDArray[np.str_]
    is_holdout: npt.NDArray[np.bool_]
    is_first: npt.NDArray[np.bool_]
    """Whether no offer can have reached the customer before this decision."""
    margin_cents: Numbers
    known_before: Numbers
    """Columns known at the decision that explain the margin: margin before, forecast value, forecast purchase."""
    chance: Mapping[str, Numbers]
    """Probability of each action; 0 where chance could not have chosen it, or nothing was left to chance."""

    @property
    def propensity(self) -> Numbers:
        """Probability of the action that was chosen; 0 where nothing was left to chance."""
        chosen = np.zeros(len(self.action))
        for name, chance in self.chance.items():
            chosen = np.where(self.action == name, chance, chosen)
        return chosen

    def may_be(self, action: str) -> npt.NDArray[np.bool_]:
        """Where chance could have chosen an action."""
        return self.chance.get(action, np.zeros(len(self.action))) > 0

    def rows(self, which: npt.NDArray) -> "Outcomes":
        """Some of the decisions."""
        plain = {one.name: getattr(self, one.name)[which] for one in fields(self) if one.name != "chance"}
        return Outcomes(**plain, chance={name: chance[which] for name, chance in self.chance.items()})


def windows(runs: Sequence[tuple[str, datetime]], as_of: datetime, *, window_days: int, history_days: int) -> pa.Table:
    """What is counted for each run that gave offers, in order of time: run_id, since, decided_at, until, is_measured.

    A window ends at the next such run at the latest: what is offered then must not count as an effect of now.
    """
    cutoffs = [at for _, at in runs]
    window, history, before = (timedelta(days=days) for days in (window_days, history_days, BEFORE_DAYS))
    until = [min([at + window, *cutoffs[place + 1 : place + 2]]) for place, at in enumerate(cutoffs)]
    ends = {"since": [at - before for at in cutoffs], "decided_at": cutoffs, "until": until}
    is_measured = [end <= as_of and at >= as_of - history for at, end in zip(cutoffs, until, strict=True)]
    return pa.table(
        {"run_id": pa.array([name for name, _ in runs], TEXT), "is_measured": pa.array(is_measured, pa.bool_())}
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


def outcomes_query(margin_share: float) -> str:
    """SQL over decisions, `windows`, order_lines and scores: one row per decision that consent did not rule out.

    Margin is margin_share of the price before discounts, less discounts, net of refunds known by the window's end.
    """
    margin = f"{margin_share} * l.gross_cents - l.discount_cents"
    return f"""
with considered as (
  select d.*, w.since, w.decided_at, w.until, w.is_measured,
    row_number() over (partition by d.customer_id order by w.decided_at, d.run_id) = 1 as is_first
  from decisions d join windows w on w.run_id = d.run_id
  where d.reason <> 'no_consent'),
decided as (select * from considered where is_measured),
earned as (
  select d.decision_id,
    sum(case when l.ordered_at >= d.decided_at then {margin} else 0.0 end) as margin_cents,
    sum(case when l.ordered_at < d.decided_at and l.known_at < d.decided_at then {margin} else 0.0 end) as before_cents
  from decided d join order_lines l on l.customer_id = d.customer_id
    and l.ordered_at >= d.since and l.ordered_at < d.until and l.known_at < d.until
  group by d.decision_id),
forecast as (
  select run_id, customer_id, max(case when question = 'value' then value end) as value_cents,
    max(case when question = 'purchase' then value end) as purchase
  from scores where run_id in (select run_id from windows) group by run_id, customer_id)
select d.decision_id, d.run_id, d.customer_id, d.segment, d.action, d.is_holdout, d.is_first,
  coalesce(e.margin_cents, 0.0) as margin_cents, coalesce(e.before_cents, 0.0) as before_cents,
  coalesce(f.value_cents, 0.0) as value_cents, coalesce(f.purchase, 0.0) as purchase
from decided d left join earned e on e.decision_id = d.decision_id
left join forecast f on f.run_id = d.run_id and f.customer_id = d.customer_id
order by d.run_id, d.customer_id
"""


CHANCES = """
select p.decision_id, p.action, p.propensity from propensities p join windows w on w.run_id = p.run_id
where w.is_measured order by p.decision_id, p.action
"""


def as_outcomes(rows: pa.Table, chances: pa.Table) -> Outcomes:
    """Arrays of the rows of both queries."""

    def texts(name: str) -> npt.NDArray[np.str_]:
        return np.array(rows[name].to_pylist(), dtype=np.str_)

    def flags(name: str) -> npt.NDArray[np.bool_]:
        return np.array(rows[name].to_pylist(), dtype=np.bool_)

    return Outcomes(
        texts("run_id"),
        texts("customer_id"),
        texts("segment"),
        texts("action"),
        flags("is_holdout"),
        flags("is_first"),
        float_column(rows, "margin_cents"),
        np.column_stack([float_column(rows, name) for name in ("before_cents", "value_cents", "purchase")]),
        _by_action(rows["decision_id"], chances),
    )


def _by_action(decisions: pa.ChunkedArray, chances: pa.Table) -> dict[str, Numbers]:
    """The probability of each action, one number per decision."""
    found = {}
    for action in sorted(pc.unique(chances["action"]).to_pylist()):
        of_action = chances.filter(pc.equal(chances["action"], action))
        at = pc.index_in(decisions, of_action["decision_id"].combine_chunks())
        found[action] = pc.fill_null(of_action["propensity"].take(at), 0.0).to_numpy()
    return found
