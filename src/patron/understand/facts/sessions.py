"""Visits: a customer's events on the shop's own pages and tills with no gap of 30 minutes."""

from patron.clickstream import PAUSE_SECONDS
from patron.storage.engine import sql_list
from patron.understand.facts.interactions import AWAY_FROM_THE_SHOP
from patron.understand.facts.usable_events import Scope

GAP_SECONDS = PAUSE_SECONDS
"""A pause this long, counted in whole seconds, ends a visit."""
KINDS_COUNTED = ("search", "view", "click", "cart_add", "order")


def sessions(_scope: Scope) -> str:
    """One row per visit; channel and device are those of its first event, ties by their names.

    Events of one half hour of the clock belong to one visit: they are counted together, which leaves few rows to sort.
    """
    first = "max(case when is_start = 1 then {0} end) as {0}"
    counts = ", ".join(f"cast(sum({kind}_count) as bigint) as {kind}_count" for kind in KINDS_COUNTED)
    in_order = "partition by customer_id order by started_at, channel, device"
    return f"""
        select customer_id, min(started_at) as started_at, max(ended_at) as ended_at,
            cast(sum(event_count) as bigint) as event_count, {counts}, {first.format("channel")},
            {first.format("device")}
        from (
            select g.*, sum(is_start) over (
                {in_order} rows between unbounded preceding and current row) as visit
            from (
                select h.*, case when seconds_of(started_at) - seconds_of(max(ended_at) over (
                        {in_order} rows between unbounded preceding and 1 preceding)) < {GAP_SECONDS}
                    then 0 else 1 end as is_start
                from ({_half_hours()}) h
            ) g
        ) v
        group by customer_id, visit"""


def _half_hours() -> str:
    """Steps counted by customer, half hour, channel and device."""
    counts = ", ".join(f"sum(case when kind = '{kind}' then 1 else 0 end) as {kind}_count" for kind in KINDS_COUNTED)
    halves = [
        f"""
        select customer_id, channel, device, min(occurred_at) as started_at, max(occurred_at) as ended_at,
            count(*) as event_count, {counts}
        from ({steps}) s
        group by customer_id, channel, device, floor(seconds_of(occurred_at) / {GAP_SECONDS})"""
        for steps in (
            f"select i.* from interactions i where kind not in {sql_list(AWAY_FROM_THE_SHOP)}",
            "select o.*, 'order' as kind from orders o",
        )
    ]
    return " union all ".join(halves)
