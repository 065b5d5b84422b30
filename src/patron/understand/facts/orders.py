"""Orders: their lines together, before refunds."""

from patron.understand.facts.usable_events import Scope


def orders(scope: Scope) -> str:
    """One row per order part that became known at one time."""
    zone = scope.zone
    return f"""
        select customer_id, is_identified, order_id, occurred_at, known_at, line_count, product_count, unit_count,
            gross_cents, gross_cents - paid_cents as discount_cents, paid_cents, has_coupon, channel, device,
            local_hour(occurred_at, {zone}) as local_hour, local_weekday(occurred_at, {zone}) as local_weekday,
            local_day(occurred_at, {zone}) as local_day
        from (
            select customer_id, is_identified, order_id, known_at, min(occurred_at) as occurred_at,
                count(*) as line_count, count(distinct product_id) as product_count,
                cast(sum(quantity) as bigint) as unit_count, cast(sum(gross_cents) as bigint) as gross_cents,
                cast(sum(paid_cents) as bigint) as paid_cents,
                max(case when has_coupon then 1 else 0 end) = 1 as has_coupon,
                min(channel) as channel, min(device) as device
            from order_lines where not is_refund group by customer_id, is_identified, order_id, known_at
        ) o"""
