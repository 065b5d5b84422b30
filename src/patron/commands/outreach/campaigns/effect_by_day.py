"""The effect of a campaign or a journey day by day: how it grew, and from when on it was known."""

from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import pyarrow as pa

from patron.commands.outreach.campaigns.campaign_arms import campaign_arms
from patron.commands.outreach.campaigns.campaign_steps import shop_zone
from patron.commands.outreach.journeys.measure_journey import journey_people
from patron.experiments.confidence_sequences import reach_of_sequence
from patron.measure.effect_estimates import HOLDOUT, TREATED
from patron.schema.errors import BadCampaign, BadJourney
from patron.schema.numbers import Numbers
from patron.storage.offers.margin import margin_sum
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.journey_file import JOURNEY
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop, Snapshot

DAY_SECONDS = 86_400
MIN_CUSTOMERS = 2


@dataclass(frozen=True)
class DayEffect:
    """Margin of each treated customer less that of each of the control group, until the end of one day; cents."""

    day: int
    """Of the campaign, or since each customer's entry; from 1."""
    effect_cents: float
    """Raw, and before what sending costs."""
    low: float
    high: float
    """Ends of the 95 % interval that holds at all days together."""


def effect_by_day(shop: Shop, kind: Literal["campaign", "journey"], name: str) -> tuple[DayEffect, ...]:
    """The effect until the end of each day, from the last run; nothing without two customers in each arm.

    Before anything can have happened there is none. Raises NotFound, NoRunYet.
    """
    snapshot = last_run(shop)
    try:
        people = _counted_customers(shop, snapshot, kind, name)
    except (BadCampaign, BadJourney):
        return ()
    arms = np.array(people["arm"].to_pylist(), dtype=np.str_)
    counts = np.array([(arms == arm).sum() for arm in (TREATED, HOLDOUT)], dtype=np.float64)
    if counts.min() < MIN_CUSTOMERS:
        return ()
    windows = zip(people["start_at"].to_pylist(), people["until_at"].to_pylist(), strict=True)
    spans = [(end - start).total_seconds() for start, end in windows]
    days = max(ceil(max(spans) / DAY_SECONDS), 0)
    sums, squares = _grown(snapshot, people, days)
    means = sums / counts
    variance = np.maximum(squares - counts * means**2, 0.0) / (counts - 1) / counts
    customers = float(counts.sum())
    reach = float(reach_of_sequence(np.array([customers]), int(customers))[0]) * np.sqrt(variance.sum(axis=1))
    effect = means[:, 0] - means[:, 1]
    return tuple(
        DayEffect(day + 1, float(effect[day]), float(effect[day] - reach[day]), float(effect[day] + reach[day]))
        for day in range(days)
    )


def _counted_customers(shop: Shop, snapshot: Snapshot, kind: str, name: str) -> pa.Table:
    """Customers whose window counts, with its times."""
    if kind == "journey":
        people = journey_people(shop, JOURNEY.saved_in(shop.store, name), snapshot)[1]
        return people.filter(people["is_over"])
    campaign, zone = CAMPAIGN.saved_in(shop.store, name).content, shop_zone(shop)
    window = campaign.start_at(zone), campaign.end_at(zone)
    return campaign_arms(shop.store, snapshot, name).with_windows(lambda _: window, snapshot.run.as_of)


def _grown(snapshot: Snapshot, people: pa.Table, days: int) -> tuple[Numbers, Numbers]:
    """(days, arms): sum of the margins until the end of each day, and of their squares over customers."""
    margin = margin_sum("true", snapshot.settings.shop.margin_share)
    sql = f"""
with daily as (
  select a.arm, a.customer_id,
    cast(floor((seconds_of(l.ordered_at) - seconds_of(a.start_at)) / {DAY_SECONDS}) as bigint) as day,
    {margin} as margin
  from assigned a join order_lines l on l.customer_id = a.customer_id
    and l.ordered_at >= a.start_at and l.ordered_at < a.until_at and l.known_at < a.until_at
  group by 1, 2, 3
), grown as (
  select *, sum(margin) over (partition by customer_id order by day) as so_far from daily
)
select arm, day, cast(sum(margin) as double) as margin,
  sum(cast(margin as double) * cast(2 * so_far - margin as double)) as squares
from grown group by arm, day"""
    sums, squares = np.zeros((days, 2)), np.zeros((days, 2))
    for row in snapshot.query(sql, assigned=people).to_pylist():
        place = (min(row["day"], days - 1), 0 if row["arm"] == TREATED else 1)
        sums[place] += row["margin"]
        squares[place] += row["squares"]
    return sums.cumsum(axis=0), squares.cumsum(axis=0)
