"""Lines of orders and refunds of every customer, in the shop's currency."""

from patron.understand.facts.products import categories_over_time
from patron.understand.facts.refund_lines import refund_lines
from patron.understand.facts.sale_lines import sale_lines
from patron.understand.facts.usable_events import Scope, with_customer

LINE_COLUMNS = """
    line_id, order_id, product_id, category, brand, ordered_at, occurred_at, quantity, gross_cents, paid_cents,
    coupon, campaign_id, has_price, is_refund, refunded_at, channel, device,
    first_known_at"""


def order_lines(scope: Scope) -> str:
    """One row per line; refunds below zero. Category and brand from the line, else from the catalogue."""
    names = tuple(name.strip() for name in LINE_COLUMNS.split(","))
    return f"""
        with sold as ({sale_lines(scope)})
        select o.line_id, o.customer_id, o.is_identified, o.order_id, o.product_id,
            case when o.category is null and o.brand is null then v.category else o.category end as category,
            case when o.category is null and o.brand is null then v.brand else o.brand end as brand,
            case when coalesce(o.category, o.brand) is not null then o.known_at
                when v.first_known_at is not null then greatest(o.known_at, v.first_known_at) end as category_known_at,
            o.ordered_at, o.occurred_at, o.known_at, o.quantity, o.gross_cents,
            o.gross_cents - o.paid_cents as discount_cents, o.paid_cents, o.coupon is not null as has_coupon, o.coupon,
            o.campaign_id, o.has_price, o.is_refund, o.refunded_at, o.channel, o.device
        from ({with_customer(_all_lines(scope), *names)}) o
        left join ({categories_over_time(scope)}) v
            on v.product_id = o.product_id and o.first_known_at >= v.valid_from and o.first_known_at < v.valid_to"""


def _all_lines(scope: Scope) -> str:
    line_id = "source || '/' || event_id || '/' || cast(position as varchar) as line_id"
    return f"""
        select {line_id}, user_token, anonymous_token, order_id, product_id, category, brand,
            occurred_at as ordered_at, occurred_at, known_at, known_at as link_at, known_at as first_known_at, quantity,
            gross_cents, paid_cents, coupon, campaign_id, has_price, false as is_refund,
            cast(null as timestamptz) as refunded_at, channel, device
        from sold
        union all
        select {line_id}, user_token, anonymous_token, order_id, product_id, category, brand, ordered_at, occurred_at,
            known_at, link_at, known_at as first_known_at, -booked_units as quantity, -booked_cents as gross_cents,
            -booked_cents as paid_cents, cast(null as varchar) as coupon, cast(null as varchar) as campaign_id,
            has_price, true as is_refund, refunded_at, channel, device
        from ({refund_lines(scope)}) r
        where booked_cents > 0 or claimed_cents = 0"""
