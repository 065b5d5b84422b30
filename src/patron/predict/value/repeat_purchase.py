"""Repeat purchase: a counting model of order days, of the shop and of each customer, and a check of its forecast.

It answers no question of a run, as forecasts of value know more. It shows the rhythm that they rest on, in pictures
that can be compared with the actual orders.
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
from patron.clv.distinct_histories import MIN_CUSTOMERS
from patron.predict.value.btyd_inputs import MIN_DAYS
from patron.schema.models.questions import VALUE
from patron.schema.numbers import Numbers
from patron.schema.tables import REPEAT_PURCHASE, REPEAT_PURCHASE_MODELS, REPEAT_PURCHASE_WEEKS
from patron.storage.runs.stage_view import StageView

UNIT = "D"
HORIZON = float(VALUE.horizon_days)
EVEN = 0.5
"""P(alive) below which the model counts a customer as inactive."""
MIN_INACTIVE = 50
"""Fewer inactive customers confirm nothing."""
MAX_RATIO = 1.5
"""How many times as many as expected may order, or be missing; a choice."""
CONFIRMED = "confirmed"
EPOCH = date(1970, 1, 1)
HELD_OUT = timedelta(weeks=13)
"""Whole weeks that the checked model does not know; only where at least as much lies before them."""


def build_repeat_purchase(view: StageView) -> None:
    """Fit Pareto/NBD to the run's orders and check it: writes the three tables of repeat purchase.

    The check is a fit to the orders before the newest 13 whole weeks, in a shop twice as old; in a younger one there is
    none, and the weeks are those of the fit itself. Of fewer than ten customers or 14 days the tables are empty.
    """
    orders, until = order_days(view), last_day(view)
    summary = rfm(orders, until=until, unit=UNIT, value=None)
    longest = float(np.max(summary["T"].to_numpy(), initial=0.0))
    if summary.num_rows < MIN_CUSTOMERS or longest < MIN_DAYS:
        for table in (REPEAT_PURCHASE_MODELS, REPEAT_PURCHASE_WEEKS, REPEAT_PURCHASE):
            view.write(table.name, table.empty())
        return
    fitted = ParetoNBD().fit(summary)
    expected_orders = fitted.expected_purchases(summary, HORIZON)
    check = _check(orders, until, summary, fitted)
    row = {
        "run_id": view.run.run_id,
        "model": json.dumps(fitted.to_dict()),
        "first_day": (pc.min(orders["ordered_at"]).as_py() - EPOCH).days,
        "last_day": (until - EPOCH).days,
        "customer_count": summary.num_rows,
        "expected_orders_90_days": float(expected_orders.sum()),
        "dropout_check": check.result(is_collapsed=fitted.is_collapsed),
        "inactive_count": check.inactive.count,
        "inactive_expected_share": check.inactive.expected_share,
        "inactive_actual_share": check.inactive.actual_share,
        "active_expected_share": check.active.expected_share,
        "active_actual_share": check.active.actual_share,
        "checked_customer_count": check.customer_count,
        "weeks_known_until": midnight(check.known_until),
    }
    view.write("repeat_purchase_models", pa.Table.from_pylist([row], schema=REPEAT_PURCHASE_MODELS.schema()))
    _write_weeks(view, check.weeks)
    columns = {
        "run_id": pa.array([view.run.run_id] * summary.num_rows, pa.string()),
        "customer_id": summary["customer_id"],
        "order_day_count": pa.array(summary["frequency"].to_numpy().astype(np.int64) + 1),
        "expected_orders_90_days": pa.array(expected_orders),
        "probability_active": pa.array(fitted.probability_alive(summary)),
    }
    view.write("repeat_purchase", pa.table(columns, schema=REPEAT_PURCHASE.schema()))


def _write_weeks(view: StageView, weeks: pa.Table) -> None:
    columns = {
        "run_id": pa.array([view.run.run_id] * weeks.num_rows, pa.string()),
        "ended_at": weeks["at"],
        "order_count": weeks["orders"],
        "expected_orders": weeks["expected"],
        "is_held_out": weeks["is_holdout"],
    }
    view.write("repeat_purchase_weeks", pa.table(columns, schema=REPEAT_PURCHASE_WEEKS.schema()))


@dataclass(frozen=True)
class Group:
    """Customers of the checked model: how many, and the shares of them expected to order and who did, when held out."""

    count: int = 0
    expected_share: float | None = None
    actual_share: float | None = None

    @classmethod
    def of(cls, expected: Numbers, actual: npt.NDArray[np.bool_]) -> "Group":
        """Group of a model's probabilities, and of who ordered."""
        return cls(len(actual), float(expected.mean()), float(actual.mean())) if len(actual) else cls()

    @property
    def is_above(self) -> bool:
        """Whether more than half as many again as expected ordered, beyond noise."""
        return self._is_beyond(MAX_RATIO, 1)

    @property
    def is_below(self) -> bool:
        """Whether fewer than two thirds of those expected ordered, beyond noise."""
        return self._is_beyond(1 / MAX_RATIO, -1)

    def _is_beyond(self, times: float, sign: int) -> bool:
        if self.expected_share is None or self.actual_share is None:
            return False
        noise = np.sqrt(self.expected_share * (1 - self.expected_share) / self.count)
        return bool(sign * (self.actual_share - times * self.expected_share) > noise)


@dataclass(frozen=True)
class DropoutCheck:
    """Weeks of orders next to what a model expected, and the customers whom it counted as inactive or active."""

    weeks: pa.Table
    known_until: date
    """The last day that the model of the weeks knew."""
    customer_count: int = 0
    """Customers of a model that did not know the held-out weeks; 0 without a check."""
    inactive: Group = Group()
    active: Group = Group()

    def result(self, *, is_collapsed: bool) -> str:
        """CONFIRMED where the held-out weeks confirm who is inactive, or why they do not."""
        if is_collapsed:
            return "unseen"
        if not self.customer_count:
            return "unchecked"
        if self.inactive.is_above:
            return "inactive_returned"
        if self.active.is_below:
            return "active_lapsed"
        return CONFIRMED if self.inactive.count >= MIN_INACTIVE else "too_few"


def _check(orders: pa.Table, until: date, summary: pa.Table, fitted: FittedParetoNBD) -> DropoutCheck:
    """Fit to the orders before the held-out weeks; where the shop is too young, the weeks of the fit itself."""
    before = last_week_ends(orders, until) - HELD_OUT
    earlier = rfm(orders, until=before, unit=UNIT, value=None)
    is_old = before - HELD_OUT >= pc.min(orders["ordered_at"]).as_py() - timedelta(days=1)
    if not is_old or earlier.num_rows < MIN_CUSTOMERS:
        return DropoutCheck(tracking(fitted, summary, orders, until=until, value=None), until)
    model = ParetoNBD().fit(earlier)
    weeks = tracking(model, earlier, orders, until=until, value=None)
    return DropoutCheck(weeks, before, earlier.num_rows, *inactive_and_active(model, earlier, orders, before))


def inactive_and_active(
    model: FittedParetoNBD, earlier: pa.Table, orders: pa.Table, before: date
) -> tuple[Group, Group]:
    """Customers of a summary until `before` that the model counts as inactive, and the others, in held-out weeks."""
    is_inactive = model.probability_alive(earlier) < EVEN
    days, ends = orders["ordered_at"], pa.scalar(before + HELD_OUT, pa.date32())
    later = orders.filter(pc.and_(pc.greater(days, pa.scalar(before, pa.date32())), pc.less_equal(days, ends)))
    has_ordered = pc.is_in(earlier["customer_id"], value_set=later["customer_id"].combine_chunks()).to_numpy()
    expected = model.probability_of_purchase(earlier, float(HELD_OUT.days))
    return (
        Group.of(expected[is_inactive], has_ordered[is_inactive]),
        Group.of(expected[~is_inactive], has_ordered[~is_inactive]),
    )


def order_days(view: StageView) -> pa.Table:
    """Order days of known customers by the shop's calendar: customer_id, ordered_at."""
    # why ordered: likelihoods are sums of floats over customers, whose last digits depend on the order
    sql = "select customer_id, local_day from orders where is_identified order by 1, 2"
    rows = view.query(sql)
    days = rows["local_day"].cast(pa.int32()).cast(pa.date32())
    return pa.table({"customer_id": rows["customer_id"], "ordered_at": days})


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
