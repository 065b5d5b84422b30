"""Who comes back, from the days of orders alone: a counting model of the shop, and how its forecast went.

It answers no question of a turn, as forecasts of value know more. It shows the rhythm that they rest on, of the shop
and of each customer, in pictures that can be checked against what came.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.base.horizons import HORIZON_DAYS
from patron.base.shop import View
from patron.base.tables import ORDER_MODELS, REPEAT_ORDERS
from patron.predict.value.btyd import FittedParetoNBD, ParetoNBD, rfm
from patron.predict.value.btyd.rows import FEWEST_CUSTOMERS
from patron.predict.value.history import FEWEST_DAYS
from patron.predict.value.views import tracking

UNIT = "D"
HORIZON = float(HORIZON_DAYS["value"])
EVEN = 0.5
FEWEST_GONE = 20
"""Of fewer whom the model takes for gone it cannot be said whether they are."""
MOST_RETURNED = 1.5
"""How many times as many as expected may come back."""
HELD_OUT = timedelta(weeks=13)
"""Whole weeks that the model that is checked does not know; only where at least as much lies before them."""


def run(view: View) -> None:
    """Fit Pareto/NBD to the turn's orders and check it: writes `order_models` and `repeat_orders`.

    The check is a fit to the orders before the newest 13 whole weeks, in a shop twice as old; in a younger one there is
    none, and the weeks are those of the fit itself. Nothing is said of fewer than ten customers or 14 days.
    """
    orders, until = orders_of(view), last_day(view)
    summary = rfm(orders, until=until, unit=UNIT, value=None)
    longest = float(np.max(summary["T"].to_numpy(), initial=0.0))
    if summary.num_rows < FEWEST_CUSTOMERS or longest < FEWEST_DAYS:
        view.write("order_models", ORDER_MODELS.empty())
        view.write("repeat_orders", REPEAT_ORDERS.empty())
        return
    fitted = ParetoNBD().fit(summary)
    before = last_week_ends(orders, until) - HELD_OUT
    then = rfm(orders, until=before, unit=UNIT, value=None)
    is_checked = then.num_rows >= FEWEST_CUSTOMERS and longest >= 2 * HELD_OUT.days
    known, model = (then, ParetoNBD().fit(then)) if is_checked else (summary, fitted)
    weeks = tracking(model, known, orders, until=until, value=None)
    gone = taken_for_gone(model, then, orders, before) if is_checked else Gone(0, None, None)
    turn_id = view.turn.turn_id
    row = {
        "turn_id": turn_id,
        "model": json.dumps(fitted.saved()),
        "customer_count": summary.num_rows,
        "expected_orders_90_days": float(fitted.expected_purchases(summary, HORIZON).sum()),
        "is_drop_out_confirmed": gone.is_confirmed and not fitted.is_collapsed,
        "gone_count": gone.count,
        "gone_expected_share": gone.expected_share,
        "gone_came_share": gone.came_share,
        "checked_customer_count": then.num_rows if is_checked else 0,
        "weeks_known_until": midnight(before if is_checked else until),
    }
    view.write("order_models", pa.Table.from_pylist([row], schema=ORDER_MODELS.schema()))
    columns = {
        "turn_id": pa.array([turn_id] * weeks.num_rows, pa.string()),
        "ended_at": weeks["at"],
        "order_count": weeks["orders"],
        "expected": weeks["expected"],
        "is_held_out": weeks["is_holdout"],
    }
    view.write("repeat_orders", pa.table(columns, schema=REPEAT_ORDERS.schema()))


@dataclass(frozen=True)
class Gone:
    """Customers to whom a model gave less than an even chance of still being one, and how many ordered all the same."""

    count: int
    expected_share: float | None
    came_share: float | None

    @property
    def is_confirmed(self) -> bool:
        """Whether they stayed away about as expected: enough of them, and not half as many again, beyond chance."""
        if self.count < FEWEST_GONE or self.expected_share is None or self.came_share is None:
            return False
        chance = 2 * np.sqrt(self.expected_share * (1 - self.expected_share) / self.count)
        return bool(self.came_share <= MOST_RETURNED * self.expected_share + chance)


def taken_for_gone(model: FittedParetoNBD, then: pa.Table, orders: pa.Table, before: date) -> Gone:
    """Of the customers of a summary until `before`, those the model takes for gone, judged by the weeks held out."""
    is_gone = model.probability_alive(then) < EVEN
    if not is_gone.any():
        return Gone(0, None, None)
    ends = pa.scalar(before + HELD_OUT, pa.date32())
    days = orders["ordered_at"]
    later = orders.filter(pc.and_(pc.greater(days, pa.scalar(before, pa.date32())), pc.less_equal(days, ends)))
    came = pc.is_in(then["customer_id"], value_set=later["customer_id"].combine_chunks()).to_numpy()
    expected = model.probability_of_purchase(then, float(HELD_OUT.days))
    return Gone(int(is_gone.sum()), float(expected[is_gone].mean()), float(came[is_gone].mean()))


def orders_of(view: View, asked: pa.Table | None = None) -> pa.Table:
    """Order days of known customers, or of those `asked` for, by the shop's calendar: customer_id, ordered_at."""
    own = "" if asked is None else "join asked a on a.customer_id = o.customer_id"
    sql = f"select o.customer_id, o.local_day from orders o {own} where o.is_identified"
    found = view.query(sql, **({} if asked is None else {"asked": asked}))
    days = found["local_day"].cast(pa.int32()).cast(pa.date32())
    return pa.table({"customer_id": found["customer_id"], "ordered_at": days})


def last_week_ends(orders: pa.Table, until: date) -> date:
    """The last day of the newest whole week, of weeks that are counted from the first order."""
    first = pc.min(orders["ordered_at"]).as_py()
    return until - timedelta(days=((until - first).days + 1) % 7)


def midnight(day: date) -> datetime:
    """A day of the shop's calendar as a moment, as if it were UTC's."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def last_day(view: View) -> date:
    """The last day that the turn knows something of, by the shop's calendar."""
    return (view.turn.as_of - timedelta(microseconds=1)).astimezone(ZoneInfo(view.settings.shop.time_zone)).date()


def restored(model: str) -> FittedParetoNBD:
    """The model of a row of `order_models`."""
    return FittedParetoNBD.restored(json.loads(model))
