"""Payback: in which month after their first order customers have brought what it cost to win them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from patron.answers.insight.cohort_sums import CohortSum, CohortSums, month_number, month_text, sums_at_last_run
from patron.answers.insight.retention import margin_cell
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.storage.insight.cost_tables import ACQUISITION_COSTS
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.store.store import Store

Costs = Mapping[tuple[str, int], int]
"""Cents by channel and month number."""


@dataclass(frozen=True)
class PaybackMonth:
    """What each customer had brought by the end of one month after their first order; cents."""

    month: int
    """Months after the first order, from 0."""
    customer_count: int
    """Customers who have been known for so long."""
    margin_cents: float
    low: float
    high: float
    """Ends of its 95 % interval."""


@dataclass(frozen=True)
class Payback:
    """Customers who came by one channel in the months of which the cost is known; months that are not over are not."""

    channel: str
    """Empty for all channels together."""
    first_month: str
    last_month: str
    """YYYY-MM."""
    customer_count: int
    cost_cents: int
    cost_per_customer_cents: float
    months: tuple[PaybackMonth, ...]
    paid_back: int | None
    """First month after the first order by whose end they had brought their cost; NULL: not yet."""
    earliest: int | None
    latest: int | None
    """The 95 % interval of that month; NULL: not yet."""


@dataclass(frozen=True)
class UnusedCost:
    """A channel and month with a cost in which nobody came: it counts in no payback."""

    channel: str
    month: str
    """YYYY-MM."""


@dataclass(frozen=True)
class PaybackView:
    """Payback by channel, against what winning customers cost."""

    paybacks: tuple[Payback, ...]
    unused_costs: tuple[UnusedCost, ...]
    channels: tuple[str, ...]
    """Channels by which customers came."""
    cost_count: int


@operation(Right(Action.READ, Area.OVERVIEW), "GET /api/retention/payback")
def show_payback(cache: AnswerCache) -> PaybackView:
    """When customers have brought what it cost to win them, by channel."""
    # why: costs may be entered between runs, so that they are read afresh
    sums, costs = sums_at_last_run(cache, "channel"), acquisition_costs(cache.shop.store)
    return PaybackView(
        paybacks(sums, costs),
        tuple(UnusedCost(*cost) for cost in unused_costs(sums, costs)),
        tuple(sorted({cohort.group for cohort in sums.cohorts if cohort.group})),
        len(costs),
    )


def acquisition_costs(store: Store) -> dict[tuple[str, int], int]:
    """What was spent on winning customers, cents, by channel and month number."""
    table = ACQUISITION_COSTS.c
    with store.begin() as connection:
        rows = connection.execute(sa.select(table.channel, table.month, table.cost_cents)).all()
    return {(row[0], month_number(row[1])): row[2] for row in rows}


def paybacks(sums: CohortSums, costs: Costs) -> tuple[Payback, ...]:
    """Payback of all channels with a cost together, then of each; `sums` are those by channel."""
    counted = [
        cohort for cohort in sums.cohorts if (cohort.group, cohort.month) in costs and cohort.month < sums.run_month
    ]
    channels = sorted({one.group for one in counted})
    # why: what was spent in a month in which nobody came was spent on those who came in others
    spent = {key: cents for key, cents in costs.items() if key[0] in channels and key[1] < sums.run_month}
    each = tuple(_payback(sums, name, [one for one in counted if one.group == name], spent) for name in channels)
    return (_payback(sums, "", counted, spent), *each) if len(each) > 1 else each


def unused_costs(sums: CohortSums, costs: Costs) -> tuple[tuple[str, str], ...]:
    """Channels and months with a cost that count in no payback: nobody came by them, or the month is not over."""
    channels = {
        cohort.group
        for cohort in sums.cohorts
        if (cohort.group, cohort.month) in costs and cohort.month < sums.run_month
    }
    unused = [key for key in costs if key[0] not in channels or key[1] >= sums.run_month]
    return tuple((channel, month_text(month)) for channel, month in sorted(unused))


def _payback(sums: CohortSums, channel: str, cohorts: Sequence[CohortSum], spent: Costs) -> Payback:
    months = []
    for age in range(sums.run_month - min(cohort.month for cohort in cohorts)):
        cell = margin_cell(sums, [cohort for cohort in cohorts if cohort.month + age < sums.run_month], age)
        if cell.low is not None and cell.high is not None:
            months.append(PaybackMonth(age, cell.customer_count, margin_cents=cell.value, low=cell.low, high=cell.high))
    of_channel = {key: cents for key, cents in spent.items() if channel in {"", key[0]}}
    customers, cost = sum(cohort.customer_count for cohort in cohorts), sum(of_channel.values())
    each = cost / customers
    return Payback(
        channel,
        month_text(min(month for _, month in of_channel)),
        last_month=month_text(max(month for _, month in of_channel)),
        customer_count=customers,
        cost_cents=cost,
        cost_per_customer_cents=each,
        months=tuple(months),
        paid_back=_first(months, [month.margin_cents for month in months], each),
        earliest=_first(months, [month.high for month in months], each),
        latest=_first(months, [month.low for month in months], each),
    )


def _first(months: Sequence[PaybackMonth], earned: Sequence[float], cost: float) -> int | None:
    """The first month by whose end what was earned covers the cost."""
    pairs = zip(months, earned, strict=True)
    return next((one.month for one, cents in pairs if cents >= cost), None)
