"""Refunds: the amount claimed, for which order, and how much of it can be booked.

Everything about a refund is decided from what was known when the refund was, so that no earlier cutoff changes:
an order that becomes known after its refund leaves it as it is, with the refund's own time and amount.
"""

from patron.understand.facts.sale_lines import AMOUNTS, PAID_AS_SENT, in_shop_currency
from patron.understand.facts.usable_events import Scope, usable_events

REFUNDS = "('Order Refunded', 'Order Line Refunded', 'Order Cancelled')"


def refund_lines(scope: Scope) -> str:
    """One row per refunded line with the claimed and the booked amount; needs the relation `sold` (sale lines).

    Units are booked likewise: no more of a product than the order had until then, when it had any.

    Booked is the claim, up to what was paid for the order until then and is not refunded yet; a refund of an
    order that is not known is booked as claimed. With B the total booked of one order and p what was paid until then,
    B = min(p, B before + claimed), which is a running sum and a running minimum: claimed + min(0, p - claimed ...).
    """
    order = "partition by source, order_id, is_order_known order by known_at, event_id, position"
    same = "partition by source, order_id, product_id, units_by_then is null order by known_at, event_id, position"
    until_now = "rows between unbounded preceding and current row"
    return f"""
        with {_relations(scope)}
        select b.*, booked_so_far - lag(booked_so_far, 1, 0) over ({order}) as booked_cents,
            units_so_far - lag(units_so_far, 1, 0) over ({same}) as booked_units
        from (
            select m.*, case when is_order_known then claim_so_far + least(0, min(paid_by_then - claim_so_far) over (
                    {order} {until_now})) else claim_so_far end as booked_so_far,
                case when units_by_then is not null then claim_units + least(0, min(units_by_then - claim_units) over (
                    {same} {until_now})) else claim_units end as units_so_far
            from (
                select a.*, cast(sum(claimed_cents) over ({order}) as bigint) as claim_so_far,
                    cast(sum(quantity) over ({same}) as bigint) as claim_units
                from claimed a
            ) m
        ) b"""


def _relations(scope: Scope) -> str:
    """Refunds, the lines of their orders, the totals of these, and what each refund asks for, line by line."""
    return f"""
        refunds as ({_refunds(scope)}),
        order_parts as (
            select r.source, r.event_id as refund_id, r.is_whole, r.known_at as refund_known_at, s.event_id, s.position,
                s.user_token, s.anonymous_token, s.product_id, s.category, s.brand, s.occurred_at, s.known_at,
                s.quantity, s.paid_cents, s.has_price, row_number() over (
                    partition by r.source, r.event_id order by s.known_at, s.event_id, s.position) as place
            from refunds r join sold s
                on s.source = r.source and s.order_id = r.order_id and s.known_at <= r.known_at
        ),
        whole as (
            select source, refund_id, cast(sum(paid_cents) as bigint) as paid_by_then, min(occurred_at) as ordered_at,
                max(case when place = 1 then user_token end) as user_token,
                max(case when place = 1 then anonymous_token end) as anonymous_token,
                max(case when place = 1 then known_at end) as link_at
            from order_parts group by source, refund_id
        ),
        per_product as (
            select source, refund_id, product_id, cast(sum(paid_cents) as bigint) as paid_cents,
                cast(sum(quantity) as bigint) as quantity, min(category) as category, min(brand) as brand
            from order_parts where product_id is not null group by source, refund_id, product_id
        ),
        named as ({_named_products()}),
        claimed as (
            select q.source, q.event_id, q.position, q.order_id, q.product_id, q.category, q.brand, q.occurred_at,
                q.refunded_at, q.known_at, q.quantity, q.claimed_cents, q.has_price, q.channel, q.device,
                w.refund_id is not null as is_order_known, coalesce(w.paid_by_then, 0) as paid_by_then,
                u.quantity as units_by_then,
                coalesce(w.ordered_at, q.occurred_at) as ordered_at,
                case when w.refund_id is null then q.user_token else w.user_token end as user_token,
                case when w.refund_id is null then q.anonymous_token else w.anonymous_token end as anonymous_token,
                coalesce(w.link_at, q.known_at) as link_at
            from ({_claimed_lines()}) q
            left join whole w on w.source = q.source and w.refund_id = q.event_id
            left join per_product u
                on u.source = q.source and u.refund_id = q.event_id and u.product_id = q.product_id
        )"""


def _refunds(scope: Scope) -> str:
    """Refunds as sent; of one that states all that its order was refunded so far (`is_so_far`), what is new in it."""
    columns = ("order_id", "products", "product_id", "category", "brand", "quantity", "currency", "channel", "device")
    refund_events = usable_events(scope, *columns, *AMOUNTS, "properties", where=f"e.name in {REFUNDS}")
    earlier = """partition by source, order_id, is_so_far order by known_at, stated_in_all, event_id
        rows between unbounded preceding and 1 preceding"""
    return f"""
        select source, event_id, name, user_token, anonymous_token, order_id, products, product_id, category, brand,
            quantity, occurred_at, refunded_at, known_at, channel, device, rate, price_cents, price_cents_here,
            discount_cents_here, is_whole, case when is_so_far
                then nullif(greatest(stated_in_all - coalesce(max(stated_in_all) over ({earlier}), 0), 0), 0)
                else stated_in_all end as stated_cents
        from (
            select source, event_id, name, user_token, anonymous_token, coalesce(order_id, event_id) as order_id,
                products, product_id, category, brand, quantity, occurred_at, known_at, channel, device, rate,
                case when coalesce(json_extract_string(properties, '$.is_undated'), '') <> 'true' then occurred_at end
                    as refunded_at, price_cents, price_cents_here, discount_cents_here, {PAID_AS_SENT} as stated_in_all,
                coalesce(json_extract_string(properties, '$.is_so_far'), '') = 'true' as is_so_far,
                name = 'Order Cancelled' or (name = 'Order Refunded' and coalesce(revenue_cents, total_cents) is null
                    and coalesce(array_length(products), 0) < 1) as is_whole
            from ({in_shop_currency(refund_events, scope, *AMOUNTS)}) c
        ) t"""


def _named_products() -> str:
    """Refunds that name products: worth as stated, else what the order paid for as many units of the product.

    A refunded line with neither units nor money refunds all of the product.
    """
    units = "coalesce(n.quantity, case when n.is_all then p.quantity end, 1)"
    line_worth = "greatest(cast(round(cast(price_cents as double) * coalesce(n.quantity, 1) * n.rate) as bigint)"
    return f"""
        select n.source, n.event_id, n.position, n.product_id, coalesce(n.category, p.category) as category,
            coalesce(n.brand, p.brand) as brand, {units} as quantity,
            case when n.stated_cents is not null then n.stated_cents
                when n.price_cents is not null then {line_worth} - coalesce(
                    greatest(cast(round(n.discount_cents * n.rate) as bigint), 0), 0), 0)
                else part_of(p.paid_cents, least({units}, p.quantity), p.quantity)
            end as claimed_cents
        from (
            select source, event_id, 1 as position, product_id, category, brand, quantity, price_cents,
                discount_cents_here / rate as discount_cents, rate, stated_cents,
                coalesce(quantity, price_cents, stated_cents) is null as is_all
            from refunds where name = 'Order Line Refunded'
            union all
            select source, event_id, row_number() over (partition by source, event_id
                    order by product_id, price_cents, quantity, discount_cents, category, brand) as position,
                product_id, category, brand, quantity, price_cents, discount_cents, rate, stated_cents, false as is_all
            from (
                select x.source, x.event_id, p.product_id, p.category, p.brand, p.quantity, p.price_cents,
                    p.discount_cents, x.rate, cast(null as bigint) as stated_cents
                from (select * from refunds where name = 'Order Refunded' and array_length(products) > 0) x
                cross join unnest(x.products) as t(p)
            ) u
        ) n
        left join per_product p
            on p.source = n.source and p.refund_id = n.event_id and p.product_id = n.product_id"""


def _claimed_lines() -> str:
    """Products by name where their worth is known; whole orders line by line; else one line with the stated amount."""
    refund = (
        "r.order_id, r.occurred_at, r.refunded_at, r.known_at, r.channel, r.device, r.user_token, r.anonymous_token"
    )
    return f"""
        select n.source, n.event_id, n.position, n.product_id, n.category, n.brand, n.quantity,
            coalesce(n.claimed_cents, 0) as claimed_cents, n.claimed_cents is not null as has_price, {refund}
        from named n join refunds r on r.source = n.source and r.event_id = n.event_id
        left join (
            select source, event_id, count(claimed_cents) as priced_count from named group by source, event_id
        ) k on k.source = n.source and k.event_id = n.event_id
        where k.priced_count > 0 or r.stated_cents is null
        union all
        select o.source, o.refund_id as event_id, o.place as position, o.product_id, o.category, o.brand, o.quantity,
            o.paid_cents as claimed_cents, o.has_price, {refund}
        from order_parts o join refunds r on r.source = o.source and r.event_id = o.refund_id
        where o.is_whole
        union all
        select r.source, r.event_id, 1 as position, cast(null as varchar) as product_id,
            cast(null as varchar) as category, cast(null as varchar) as brand, 0 as quantity,
            r.stated_cents as claimed_cents, true as has_price, {refund}
        from refunds r
        left join (
            select source, event_id, count(claimed_cents) as priced_count from named group by source, event_id
        ) k on k.source = r.source and k.event_id = r.event_id
        where not r.is_whole and r.stated_cents is not null and coalesce(k.priced_count, 0) = 0"""
