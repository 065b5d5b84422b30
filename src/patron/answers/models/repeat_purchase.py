"""Repeat purchase of the shop by the last run's model of order days."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot

CONFIRMED = "confirmed"
MAX_HISTORY_DAYS = 365
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class RepeatPurchaseWeek:
    """Order days of returning customers in one week."""

    ended_at: datetime
    order_count: int
    expected_orders: float
    is_held_out: bool


@dataclass(frozen=True)
class RepeatPurchase:
    """Repeat purchase of the shop, from a model of order days alone."""

    customer_count: int
    expected_orders_90_days: float
    """Order days of all customers together."""
    dropout_check: str
    """`confirmed` where held-out weeks confirm who is inactive, or why they do not; P(alive) is shown only then."""
    inactive_count: int
    """Customers whose P(alive) was below a half before the held-out weeks."""
    inactive_expected_share: float | None
    """Share of them that the model expected to order in the held-out weeks."""
    inactive_actual_share: float | None
    active_expected_share: float | None
    """The same for the other customers of the model."""
    active_actual_share: float | None
    weeks: tuple[RepeatPurchaseWeek, ...]
    """Held-out weeks are a check of a model that did not know them; the others are what it was fitted to."""
    weeks_known_until: datetime
    """The last day that the model of the weeks knew."""
    checked_customer_count: int
    """Customers of that model, whose order days the weeks count; 0 where no weeks were held out."""
    held_out_count: int
    """Order days of the held-out weeks."""
    held_out_expected: float


@dataclass(frozen=True)
class RepeatPurchaseModel:
    """The fitted model, for pictures."""

    model: str
    """The saved Pareto/NBD, times in days, as JSON."""
    history_days: int
    """Age of the customers whose histories the matrix shows: a year, or as long as the shop is known."""


def repeat_purchase(view: Snapshot) -> RepeatPurchase | None:
    """Repeat purchase of the shop; None where too little was known for a model."""
    row = _model_row(view)
    if row is None:
        return None
    sql = """
select ended_at, order_count, expected_orders, is_held_out from this_repeat_purchase_weeks order by ended_at"""
    weeks = tuple(RepeatPurchaseWeek(**week) for week in records(view.query(sql)))
    held_out = [week for week in weeks if week.is_held_out]
    return RepeatPurchase(
        customer_count=row["customer_count"],
        expected_orders_90_days=row["expected_orders_90_days"],
        dropout_check=row["dropout_check"],
        inactive_count=row["inactive_count"],
        inactive_expected_share=row["inactive_expected_share"],
        inactive_actual_share=row["inactive_actual_share"],
        active_expected_share=row["active_expected_share"],
        active_actual_share=row["active_actual_share"],
        weeks=weeks,
        weeks_known_until=row["weeks_known_until"],
        checked_customer_count=row["checked_customer_count"],
        held_out_count=sum(week.order_count for week in held_out),
        held_out_expected=sum(week.expected_orders for week in held_out),
    )


def repeat_purchase_model(shop: Shop) -> RepeatPurchaseModel | None:
    """The last run's model; None where its dropout is not confirmed. Raises NoRunYet."""
    row = _confirmed_row(last_run(shop))
    if row is None:
        return None
    return RepeatPurchaseModel(row["model"], min(MAX_HISTORY_DAYS, row["last_day"] - row["first_day"]))


def _model_row(view: Snapshot) -> dict[str, Any] | None:
    sql = "select * from this_repeat_purchase_models"
    rows = view.once("repeat purchase model", lambda: records(view.query(sql)))
    return rows[0] if rows else None


def _confirmed_row(view: Snapshot) -> dict[str, Any] | None:
    row = _model_row(view)
    return row if row and row["dropout_check"] == CONFIRMED else None
