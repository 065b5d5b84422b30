"""Who comes back, as the last run's model of order days has it: the shop, and one customer."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from patron.clv import rfm
from patron.clv.diagnostics import alive_over_time, forecast_fan, frequency_recency
from patron.clv.pareto_nbd import FittedParetoNBD
from patron.predict.value.repeat_purchase import CONFIRMED, HORIZON, UNIT, last_day, orders_of, restored
from patron.storage.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

DAYS_SHOWN = 365
"""Age of the customers whose chances the matrix shows, or as long as the shop is known."""
MOST_FREQUENCY = 12


@dataclass(frozen=True)
class Week:
    """Order days of customers who came back, in one week."""

    ended_at: datetime
    order_count: int
    expected: float
    is_held_out: bool


@dataclass(frozen=True)
class ComingBack:
    """What the days of orders say of the shop, from a model that knows nothing else."""

    customer_count: int
    expected_orders_90_days: float
    """Order days of all customers together."""
    drop_out: str
    """`confirmed` where the weeks held out bear out whom the model takes for gone, or why they do not; only then the
    chance of still being a customer is told."""
    gone_count: int
    """Customers to whom it gave less than an even chance."""
    gone_expected_share: float | None
    """Share of them that it expected to order in the weeks held out."""
    gone_came_share: float | None
    others_expected_share: float | None
    """The same of its other customers."""
    others_came_share: float | None
    weeks: tuple[Week, ...]
    """Those held out are a check of a model that did not know them; the others are what it was fitted to."""
    weeks_known_until: datetime
    """The last day that the model of the weeks knew."""
    checked_customer_count: int
    """Customers of that model, whose order days the weeks count; 0 where no weeks were held out."""
    held_out_count: int
    """Order days of the weeks held out."""
    held_out_expected: float


@dataclass(frozen=True)
class Rhythm:
    """What the days of one customer's orders say."""

    order_days: int
    expected_orders_90_days: float
    probability_alive: float
    """Chance of being a customer still."""


@dataclass(frozen=True)
class RhythmPictures:
    """Numbers of the pictures of one customer."""

    alive: pa.Table
    fan: pa.Table


def coming_back(view: Snapshot) -> ComingBack | None:
    """Who comes back to the shop; None where too little was known to say."""
    found = _model(view)
    if found is None:
        return None
    sql = f"""
select ended_at, order_count, expected, is_held_out from repeat_orders
where run_id = '{view.run.run_id}' order by ended_at"""
    weeks = tuple(Week(**row) for row in records(view.query(sql)))
    held_out = [week for week in weeks if week.is_held_out]
    return ComingBack(
        customer_count=found["customer_count"],
        expected_orders_90_days=found["expected_orders_90_days"],
        drop_out=found["drop_out"],
        gone_count=found["gone_count"],
        gone_expected_share=found["gone_expected_share"],
        gone_came_share=found["gone_came_share"],
        others_expected_share=found["others_expected_share"],
        others_came_share=found["others_came_share"],
        weeks=weeks,
        weeks_known_until=found["weeks_known_until"],
        checked_customer_count=found["checked_customer_count"],
        held_out_count=sum(week.order_count for week in held_out),
        held_out_expected=sum(week.expected for week in held_out),
    )


def matrix(shop: Shop) -> pa.Table | None:
    """What the model says of customers known for a year, or as long as the shop, by their history.

    None where drop-out is not confirmed. Raises NoRunYet.
    """
    view = last_run(shop)
    found = _model(view)
    if found is None or found["drop_out"] != CONFIRMED:
        return None
    first = records(view.query("select min(local_day) as day from orders where is_identified"))[0]["day"]
    age = (last_day(view) - date(1970, 1, 1)).days - first
    return frequency_recency(
        restored(found["model"]), HORIZON, T=float(min(DAYS_SHOWN, age)), most_frequency=MOST_FREQUENCY
    )


def rhythm(view: Snapshot, asked: pa.Table) -> Rhythm | None:
    """What the days of one customer's orders say; None without an order, or where the shop's model does not hold."""
    known = _known(view, asked)
    if known is None:
        return None
    fitted, orders = known
    summary = rfm(orders, until=last_day(view), unit=UNIT, value=None)
    return Rhythm(
        order_days=int(summary["frequency"][0].as_py()) + 1,
        expected_orders_90_days=float(fitted.expected_purchases(summary, HORIZON)[0]),
        probability_alive=float(fitted.probability_alive(summary)[0]),
    )


def rhythm_pictures(shop: Shop, customer_id: str) -> RhythmPictures | None:
    """One customer's chance over time, and orders to come; None where there is nothing to draw. Raises NoRunYet."""
    view = last_run(shop)
    known = _known(view, pa.table({"customer_id": [customer_id]}))
    if known is None:
        return None
    fitted, orders = known
    days, until = orders["ordered_at"].to_pylist(), last_day(view)
    return RhythmPictures(alive_over_time(fitted, days, until), forecast_fan(fitted, days, until, HORIZON))


def _model(view: Snapshot) -> dict[str, Any] | None:
    found = records(view.query(f"select * from order_models where run_id = '{view.run.run_id}'"))
    return found[0] if found else None


def _known(view: Snapshot, asked: pa.Table) -> tuple[FittedParetoNBD, pa.Table] | None:
    """The model and the customer's order days; None where one is missing, or the model's drop-out is not confirmed.

    Where customers whom it took for gone come back, what it says of single ones misleads.
    """
    found = _model(view)
    if found is None or found["drop_out"] != CONFIRMED:
        return None
    orders = orders_of(view, asked)
    until = last_day(view)
    if not any(day <= until for day in orders["ordered_at"].to_pylist()):
        return None
    return restored(found["model"]), orders
