"""Customers as known at the run."""

from patron.understand.facts.usable_events import Scope


def customers(_scope: Scope) -> str:
    """One row per customer with any event."""
    return """
        select s.customer_id, s.is_identified, s.first_event_at, o.first_order_at, o.last_order_at,
            coalesce(o.order_count, 0) as order_count, coalesce(m.paid_cents, 0) as paid_cents,
            coalesce(m.refunded_cents, 0) as refunded_cents, s.acquisition_channel
        from (
            select customer_id, max(is_known) = 1 as is_identified, min(occurred_at) as first_event_at,
                max(case when place = 1 then channel end) as acquisition_channel
            from (
                select customer_id, is_known, occurred_at, channel, row_number() over (
                    partition by customer_id order by occurred_at, channel) as place
                from (
                    select customer_id, case when is_identified then 1 else 0 end as is_known, channel,
                        min(occurred_at) as occurred_at
                    from interactions group by 1, 2, 3
                    union all
                    select customer_id, case when is_identified then 1 else 0 end as is_known, channel,
                        min(occurred_at) as occurred_at
                    from order_lines group by 1, 2, 3
                    union all
                    select customer_id, case when is_user then 1 else 0 end as is_known,
                        cast(null as varchar) as channel, min(known_at) as occurred_at
                    from identities group by 1, 2
                ) seen
            ) ranked
            group by customer_id
        ) s
        left join (
            select customer_id, min(occurred_at) as first_order_at, max(occurred_at) as last_order_at,
                count(distinct order_id) as order_count
            from orders group by customer_id
        ) o on o.customer_id = s.customer_id
        left join (
            select customer_id, cast(sum(paid_cents) as bigint) as paid_cents,
                cast(sum(case when is_refund then -paid_cents else 0 end) as bigint) as refunded_cents
            from order_lines group by customer_id
        ) m on m.customer_id = s.customer_id"""
