"""Landmarks: customers as they were every 30 days back, and how long they stayed from there.

Only the days of orders count: what else is known of a customer is in the churn forecast, which the first 90 days of
every curve are. So landmarks reach further back than the features of a run, and cost little.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.predict.sampling import FACTS, NUMBERS, OF_CUSTOMERS, keys_of_facts
from patron.schema.models.questions import DAYS_BEFORE_FORECAST
from patron.schema.models.survival import HORIZONS_DAYS, PAUSE_DAYS, PAUSE_PERIODS, PERIOD_DAYS
from patron.schema.numbers import float_column
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

MAX_CUSTOMERS = 20_000
"""Customers who are learned from and evaluated; of more, those with the lowest keys. All active ones get a curve."""
MAX_PERIODS_BACK = 36
EVALUATED = 3
"""Past cutoffs that forecasts are checked at."""
PERIODS = HORIZONS_DAYS[-1] // PERIOD_DAYS
"""Periods that a customer is followed."""
FEATURES = (
    "days_since_last_order",
    "days_since_first_order",
    "order_days",
    "order_days_90",
    "order_days_365",
    "mean_days_between_order_days",
    "overdue_ratio",
    "paid_cents_365_days",
)
DAYS = """
select o.customer_id, {key} as key, {ago} as ago, max({known_ago}) as known_ago,
  cast(sum(o.paid_cents) as bigint) as paid_cents
from orders o {join} where o.is_identified group by 1, 2, 3"""
"""Whole days with an order, counted back from the cutoff, and since when the first order of each is known."""
LANDMARKS = """
select *, order_span / nullif(order_days - 1, 0) as mean_days_between_order_days,
  days_since_last_order * (order_days - 1) / nullif(order_span, 0) as overdue_ratio
from (
  select d.customer_id, d.key, b.back, min(d.ago) - b.back as days_since_last_order,
    max(d.ago) - b.back as days_since_first_order, max(d.ago) - min(d.ago) as order_span, count(*) as order_days,
    sum(case when d.ago < b.back + 90 then 1 else 0 end) as order_days_90,
    sum(case when d.ago < b.back + 365 then 1 else 0 end) as order_days_365,
    cast(sum(case when d.ago < b.back + 365 then d.paid_cents else 0 end) as bigint) as paid_cents_365_days
  from periods_back b join ({days}) d on d.ago >= b.back and d.known_ago >= b.back
  group by d.customer_id, d.key, b.back having min(d.ago) < b.back + {pause}
) active"""
"""Customers with an order in the 90 days before each landmark, by what was known there."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Customers at landmarks, one row each, and the 30-day periods in which they ordered later."""

    rows: pa.Table
    """Columns of FEATURES, `back` (periods from the landmark to the cutoff) and `key`, the customer."""
    known_ago: npt.NDArray[np.int64]
    """By customer and period back, since how many days it is known that they ordered in it; -1 where they did not."""
    place: npt.NDArray[np.intp]
    """The row of `known_ago` of each row."""

    @property
    def back(self) -> npt.NDArray[np.int64]:
        """Periods from each landmark to the cutoff."""
        return np.asarray(self.rows["back"].to_numpy(), dtype=np.int64)

    def known_at(self, origin: int) -> pa.Table:
        """Lifetimes from landmarks before an origin, so many periods back, as they were known there."""
        return self._lifetimes(np.flatnonzero(self.back > origin + PAUSE_PERIODS), origin)

    def since(self, origin: int) -> pa.Table:
        """Lifetimes from the origin and from the two landmarks after it, as they are known now."""
        is_after = (self.back <= origin) & (self.back > max(origin - EVALUATED, PAUSE_PERIODS))
        return self._lifetimes(np.flatnonzero(is_after), 0)

    def _lifetimes(self, at: npt.NDArray[np.intp], until: int) -> pa.Table:
        """Customers who ordered in the first 90 days, with `periods` after them and whether they `left` in the last."""
        ahead = np.arange(1, PERIODS + 1)
        cells = self.back[at][:, None] - ahead
        followed = np.minimum((cells >= until).sum(axis=1), PERIODS)
        known = self.known_ago[self.place[at][:, None], np.maximum(cells, 0)]
        is_empty = (cells >= until) & (known < until * PERIOD_DAYS)
        is_pause = np.zeros(is_empty.shape, dtype=bool)
        is_pause[:, PAUSE_PERIODS - 1 :] = is_empty[:, 2:] & is_empty[:, 1:-1] & is_empty[:, :-2]
        stayed = np.flatnonzero(~is_pause[:, PAUSE_PERIODS - 1])
        left = np.asarray(is_pause.any(axis=1))
        periods = np.where(left, is_pause.argmax(axis=1) + 1, followed) - PAUSE_PERIODS
        rows = self.rows.take(pa.array(at[stayed]))
        return rows.append_column("periods", pa.array(periods[stayed])).append_column("left", pa.array(left[stayed]))


def read_landmarks(view: StageView, first_at: datetime) -> Landmarks:
    """Landmarks of a sample of customers, every 30 days back from a month after the shop's first order."""
    history = int((view.run.as_of - first_at).total_seconds() // 86400) - DAYS_BEFORE_FORECAST
    backs = np.arange(1, min(history // PERIOD_DAYS, MAX_PERIODS_BACK) + 1)
    everybody = customer_keys(view)
    order = np.argsort(everybody["key"].to_numpy(), kind="stable")
    customers = everybody.take(pa.array(np.sort(order[:MAX_CUSTOMERS])))
    of_sample = _days_sql(view, "join customers c on c.customer_id = o.customer_id", "c.key")
    days = view.query(of_sample, customers=customers)
    periods_back = pa.table({"back": pa.array(backs * PERIOD_DAYS, pa.int64())})
    sql = LANDMARKS.format(days="select * from days", pause=PAUSE_DAYS) + " order by back, key"
    rows = view.query(sql, days=days, periods_back=periods_back)
    known_ago = np.full((customers.num_rows, MAX_PERIODS_BACK + 1), -1, dtype=np.int64)
    ids = customers["customer_id"].combine_chunks()
    ago = np.asarray(days["ago"].to_numpy())
    recent = ago < known_ago.shape[1] * PERIOD_DAYS
    order_of = _places(days["customer_id"], ids)
    np.maximum.at(known_ago, (order_of[recent], ago[recent] // PERIOD_DAYS), days["known_ago"].to_numpy()[recent])
    place = _places(rows["customer_id"], ids)
    back = pa.array(np.asarray(rows["back"].to_numpy()) // PERIOD_DAYS)
    table = pa.table({name: rows[name] for name in ("key", *FEATURES)}).append_column("back", back)
    return Landmarks(table, known_ago, place)


def first_order_at(view: StageView) -> datetime | None:
    """When the shop's first order of a known customer was known; None without any."""
    return view.query("select min(known_at) as first_at from orders where is_identified")["first_at"][0].as_py()


def customer_keys(view: StageView) -> pa.Table:
    """Columns customer_id and key: a number that follows from a customer's orders, the same whatever the ids are."""
    facts = view.query(FACTS.format(facts=OF_CUSTOMERS.format(now=timestamp(view.run.as_of))))
    keys = keys_of_facts(float_column(facts, name) for name in NUMBERS) >> np.uint64(1)
    return pa.table({"customer_id": facts["customer_id"], "key": pa.array(keys.astype(np.int64))})


def active_customers(view: StageView) -> pa.Table:
    """Everybody with an order in the 90 days before the cutoff: customer_id and the columns of FEATURES."""
    now = pa.table({"back": pa.array([0], pa.int64())})
    sql = LANDMARKS.format(days=_days_sql(view, "", "0"), pause=PAUSE_DAYS) + " order by customer_id"
    return view.query(sql, periods_back=now).select(["customer_id", *FEATURES])


def _days_sql(view: StageView, join: str, key: str) -> str:
    last = int(view.run.as_of.timestamp()) - 1
    ago, known_ago = (
        f"cast(floor(({last} - seconds_of(o.{clock})) / 86400.0) as bigint)" for clock in ("occurred_at", "known_at")
    )
    return DAYS.format(join=join, key=key, ago=ago, known_ago=known_ago)


def _places(customers: pa.ChunkedArray, ids: pa.Array) -> npt.NDArray[np.intp]:
    return np.asarray(pc.index_in(customers, value_set=ids).to_numpy(), dtype=np.intp)
