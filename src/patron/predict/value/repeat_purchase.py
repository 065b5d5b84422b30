"""Who comes back, from the days of orders alone: a counting model of the shop, and how its forecast went.

It answers no question of a run, as forecasts of value know more. It shows the rhythm that they rest on, of the shop
and of each customer, in pictures that can be checked against what came.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from patron.clv import FittedParetoNBD, ParetoNBD, rfm
from patron.clv.diagnostics import tracking
from patron.clv.distinct_histories import FEWEST_CUSTOMERS
from patron.predict.value.btyd_inputs import FEWEST_DAYS
from patron.schema.numbers import Numbers
from patron.schema.questions import VALUE
from patron.schema.tables import ORDER_MODELS, REPEAT_ORDERS
from patron.storage.stage_view import StageView

UNIT = "D"
HORIZON = float(VALUE.horizon_days)
EVEN = 0.5
"""The chance of still being a customer below which the model takes somebody for gone."""
FEWEST_GONE = 50
"""Of fewer whom the model takes for gone it cannot be said whether they are."""
MOST_OFF = 1.5
"""How many times as many as expected may come, or be missing; a choice."""
CONFIRMED = "confirmed"
HELD_OUT = timedelta(weeks=13)
"""Whole weeks that the model that is checked does not know; only where at least as much lies before them."""


def build_repeat_purchase(view: StageView) -> None:
    """Fit Pareto/NBD to the run's orders and check it: writes `order_models` and `repeat_orders`.

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
    is_old = before - HELD_OUT >= pc.min(orders["ordered_at"]).as_py() - timedelta(days=1)
    is_checked = is_old and then.num_rows >= FEWEST_CUSTOMERS
    known, model = (then, ParetoNBD().fit(then)) if is_checked else (summary, fitted)
    weeks = tracking(model, known, orders, until=until, value=None)
    gone, others = gone_and_others(model, then, orders, before) if is_checked else (Group(0, None, None),) * 2
    run_id = view.run.run_id
    row = {
        "run_id": run_id,
        "model": json.dumps(fitted.saved()),
        "customer_count": summary.num_rows,
        "expected_orders_90_days": float(fitted.expected_purchases(summary, HORIZON).sum()),
        "drop_out": drop_out(gone, others, is_checked=is_checked, is_collapsed=fitted.is_collapsed),
        "gone_count": gone.count,
        "gone_expected_share": gone.expected_share,
        "gone_came_share": gone.came_share,
        "others_expected_share": others.expected_share,
        "others_came_share": others.came_share,
        "checked_customer_count": then.num_rows if is_checked else 0,
        "weeks_known_until": midnight(before if is_checked else until),
    }
    view.write("order_models", pa.Table.from_pylist([row], schema=ORDER_MODELS.schema()))
    columns = {
        "run_id": pa.array([run_id] * weeks.num_rows, pa.string()),
        "ended_at": weeks["at"],
        "order_count": weeks["orders"],
        "expected": weeks["expected"],
        "is_held_out": weeks["is_holdout"],
    }
    view.write("repeat_orders", pa.table(columns, schema=REPEAT_ORDERS.schema()))


@dataclass(frozen=True)
class Group:
    """Customers of the checked model: how many, and the shares of them expected in the weeks held out, and who came."""

    count: int
    expected_share: float | None
    came_share: float | None

    @classmethod
    def of(cls, expected: Numbers, came: npt.NDArray[np.bool_]) -> "Group":
        """Of the chances that a model gave, and who came."""
        return cls(len(came), float(expected.mean()), float(came.mean())) if len(came) else cls(0, None, None)

    @property
    def is_above(self) -> bool:
        """Whether more than half as many again as expected came, by more than chance."""
        return self._is_beyond(MOST_OFF, 1)

    @property
    def is_below(self) -> bool:
        """Whether fewer than two thirds of those expected came, by more than chance."""
        return self._is_beyond(1 / MOST_OFF, -1)

    def _is_beyond(self, times: float, sign: int) -> bool:
        if self.expected_share is None or self.came_share is None:
            return False
        chance = np.sqrt(self.expected_share * (1 - self.expected_share) / self.count)
        return bool(sign * (self.came_share - times * self.expected_share) > chance)


def gone_and_others(model: FittedParetoNBD, then: pa.Table, orders: pa.Table, before: date) -> tuple[Group, Group]:
    """Customers of a summary until `before` whom the model takes for gone, and the others, in the weeks held out."""
    is_gone = model.probability_alive(then) < EVEN
    days, ends = orders["ordered_at"], pa.scalar(before + HELD_OUT, pa.date32())
    later = orders.filter(pc.and_(pc.greater(days, pa.scalar(before, pa.date32())), pc.less_equal(days, ends)))
    came = pc.is_in(then["customer_id"], value_set=later["customer_id"].combine_chunks()).to_numpy()
    expected = model.probability_of_purchase(then, float(HELD_OUT.days))
    return Group.of(expected[is_gone], came[is_gone]), Group.of(expected[~is_gone], came[~is_gone])


def drop_out(gone: Group, others: Group, *, is_checked: bool, is_collapsed: bool) -> str:
    """What the weeks held out say of the model's departures: CONFIRMED, or why they are not."""
    if is_collapsed:
        return "unseen"
    if not is_checked:
        return "unchecked"
    if gone.is_above:
        return "came_back"
    if others.is_below:
        return "stayed_away"
    return CONFIRMED if gone.count >= FEWEST_GONE else "too_few"


def orders_of(view: StageView, asked: pa.Table | None = None) -> pa.Table:
    """Order days of known customers, or of those `asked` for, by the shop's calendar: customer_id, ordered_at."""
    own = "" if asked is None else "join asked a on a.customer_id = o.customer_id"
    # why ordered: likelihoods are sums of floats over customers, whose last digits depend on the order
    sql = f"select o.customer_id, o.local_day from orders o {own} where o.is_identified order by 1, 2"
    found = view.query(sql, **({} if asked is None else {"asked": asked}))
    days = found["local_day"].cast(pa.int32()).cast(pa.date32())
    return pa.table({"customer_id": found["customer_id"], "ordered_at": days})


def last_week_ends(orders: pa.Table, until: date) -> date:
    """The last day of the newest whole week, of weeks that are counted from the first order."""
    first = pc.min(orders["ordered_at"]).as_py()
    return until - timedelta(days=((until - first).days + 1) % 7)


def midnight(day: date) -> datetime:
    """A day of the shop's calendar as a cutoff, as if it were UTC's."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def last_day(view: StageView) -> date:
    """The last day that the run knows something of, by the shop's calendar."""
    return (view.run.as_of - timedelta(microseconds=1)).astimezone(ZoneInfo(view.settings.shop.time_zone)).date()


def restored(model: str) -> FittedParetoNBD:
    """The model of a row of `order_models`."""
    return FittedParetoNBD.restored(json.loads(model))
