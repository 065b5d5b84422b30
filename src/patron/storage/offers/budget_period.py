"""The period of the policy's budget that a run falls in, and what the runs of it spend."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from patron.storage.engine import exact_sum, sql_list, timestamp
from patron.storage.offers.policy import BudgetPeriod

MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Period:
    """A stretch of time: `since` belongs to it, `until` does not."""

    since: datetime
    until: datetime


def budget_period(as_of: datetime, period: BudgetPeriod, zone: str) -> Period:
    """The period that holds a cutoff, by the shop's clock; in UTC."""
    local = as_of.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period in MONTHS:
        count = MONTHS[period]
        since = local.replace(month=local.month - (local.month - 1) % count, day=1)
        years, month = divmod(since.month - 1 + count, 12)
        until = since.replace(year=since.year + years, month=month + 1)
    else:
        since = local - timedelta(days=local.weekday() if period == "week" else 0)
        until = since + timedelta(days=7 if period == "week" else 1)
    return Period(since.astimezone(UTC), until.astimezone(UTC))


def spent_query(period: Period, *, without: Iterable[str], cost: str = "cost_cents") -> str:
    """SQL for the expected cost of the decisions of every run in a period but some, finished or interrupted, cents."""
    outside = sql_list(["", *without])  # why: SQL has no empty list, and no run has this name
    return f"""
select coalesce({exact_sum(cost)}, 0.0) as cents from decisions
where run_id not in {outside} and as_of >= {timestamp(period.since)} and as_of < {timestamp(period.until)}
"""
