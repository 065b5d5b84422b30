"""How long customers stay: what counts as leaving, over which horizons it is forecast, and from when on it can be."""

from datetime import datetime, timedelta

from patron.schema.models.questions import CHURN, DAYS_BEFORE_FORECAST

SURVIVAL = "survival"
"""Folder under models/ of the hazards that carry curves on: no question of its own."""
PERIOD_DAYS = 30
PAUSE_DAYS = CHURN.horizon_days
"""A customer has left once so many days have gone by without an order; the pause began after the last one."""
PAUSE_PERIODS = PAUSE_DAYS // PERIOD_DAYS
HORIZONS_DAYS = (PAUSE_DAYS, 180, 270, 360)
"""The first is the churn forecast's."""
DAYS_TO_LEARN = DAYS_BEFORE_FORECAST + PAUSE_DAYS + PERIOD_DAYS
"""Days of history until a customer who was known for a month can be observed to leave after the first horizon."""


def forecast_from(first_order_at: datetime, horizon_days: int) -> datetime:
    """First cutoff at which a horizon beyond the first can be forecast: one so long ago could be checked by then."""
    return first_order_at + timedelta(days=DAYS_TO_LEARN + horizon_days)
