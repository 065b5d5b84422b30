"""Visits: a customer's events on the shop's own pages and tills with no gap of 30 minutes."""

from patron.storage.engine import sql_list
from patron.understand.facts.interactions import AWAY_FROM_THE_SHOP
from patron.understand.facts.usable_events import Scope

GAP_SECONDS = 30 * 60
"""A pause this long, counted in whole seconds, ends a visit."""


def sessions(_scope: Scope) -> str:
    """One row per visit; channel and device are those of its first event.

    Events alike in time, channel and device are counted together (the frame ends at the last of equals), so that it
    does not matter in which order they come.
    """
    first = "max(case when is_start = 1 then {0} end) as {0}"
    counts = ", ".join(
        f"cast(sum(case when kind = '{kind}' then 1 else 0 end) as bigint) as {kind}_count"
        for kind in ("search", "view", "click", "cart_add", "order")
    )
    in_order = "partition by customer_id order by occurred_at, channel, device"
    return f"""
        select customer_id, min(occurred_at) as started_at, max(occurred_at) as ended_at, count(*) as event_count,
            {counts}, {first.format("channel")}, {first.format("device")}
        from (
            select customer_id, occurred_at, kind, channel, device, is_start, sum(is_start) over ({in_order}) as visit
            from (
                select customer_id, occurred_at, kind, channel, device,
                    case when seconds_of(occurred_at) - seconds_of(lag(occurred_at) over ({in_order})) < {GAP_SECONDS}
                        then 0 else 1 end as is_start
                from ({_steps()}) s
            ) g
        ) v
        group by customer_id, visit"""


def _steps() -> str:
    return f"""
        select customer_id, occurred_at, kind, channel, device
        from interactions where kind not in {sql_list(AWAY_FROM_THE_SHOP)}
        union all
        select customer_id, occurred_at, 'order' as kind, channel, device from orders"""
