"""Order lines as sold: one row per line, in the shop's currency, before customers and refunds are looked at."""

from patron.understand.facts.usable_events import Scope, usable_events

ORDER_COLUMNS = (
    *("order_id", "product_id", "category", "brand", "quantity"),
    *("coupon", "campaign_id", "currency", "channel", "device"),
)
AMOUNTS = ("revenue_cents", "total_cents", "shipping_cents", "tax_cents", "discount_cents", "price_cents")
LINE_COLUMNS = """source, event_id, position, user_token, anonymous_token, order_id, product_id, category, brand,
    occurred_at, known_at, quantity, gross_cents, paid_cents, coupon, campaign_id, has_price, channel, device"""


def in_shop_currency(relation: str, scope: Scope, *amounts: str) -> str:
    """Rows of a relation with these amounts in the shop's currency, whole cents; no rate, no row. Below 0 is 0."""
    cents = "greatest(cast(round(c.{0} * r.rate) as bigint), 0)"
    worth = "".join(
        f", case when c.{amount} is not null then {cents.format(amount)} end as {amount}_here" for amount in amounts
    )
    return f"""
        select c.*, r.rate{worth}
        from ({relation}) c join rates r on r.currency = coalesce(c.currency, '{scope.currency}')"""


PAID_AS_SENT = """case when revenue_cents_here is not null then revenue_cents_here
    when total_cents_here is not null
        then greatest(total_cents_here - coalesce(shipping_cents_here, 0) - coalesce(tax_cents_here, 0), 0) end"""
"""Paid without shipping and tax; NULL without an amount (greatest alone would ignore the NULL)."""


def first_orders(scope: Scope, where: str = "true") -> str:
    """The `Order Completed` events that make an order: of several with one order number, the first known."""
    columns = (*ORDER_COLUMNS, "products", "received_at")
    order_events = usable_events(scope, *columns, *AMOUNTS, where=f"e.name = 'Order Completed' and {where}")
    return f"""
        select * from (
            select w.*, coalesce(w.order_id, w.event_id) as order_key, row_number() over (
                partition by w.source, coalesce(w.order_id, w.event_id)
                order by w.known_at, w.received_at, w.event_id) as place
            from ({order_events}) w
        ) p
        where place = 1"""


def sale_lines(scope: Scope, where: str = "true") -> str:
    """One row per line sold: lines sent one by one, orders without products, products of whole orders.

    `where` limits it to some orders, each with all of its events.
    """
    return f"""
        {_single_lines(scope, where)}
        union all
        {_bare_orders(scope, where)}
        union all
        {_listed_lines(scope, where)}"""


def _single_lines(scope: Scope, where: str) -> str:
    order_events = usable_events(scope, *ORDER_COLUMNS, *AMOUNTS, where=f"e.name = 'Order Line Completed' and {where}")
    return f"""
        select source, event_id, 1 as position, user_token, anonymous_token, coalesce(order_id, event_id) as order_id,
            product_id, category, brand, occurred_at, known_at, quantity,
            greatest(coalesce(gross, 0), paid) as gross_cents, paid as paid_cents,
            coupon, campaign_id, has_price, channel, device
        from (
            select s.*, coalesce({PAID_AS_SENT}, greatest(gross - coalesce(discount_cents_here, 0), 0), 0) as paid,
                coalesce(price_cents, revenue_cents, total_cents) is not null as has_price
            from (
                select source, event_id, user_token, anonymous_token, order_id, product_id, category, brand,
                    occurred_at, known_at, coupon, campaign_id, channel, device, price_cents, revenue_cents,
                    total_cents, revenue_cents_here, total_cents_here, shipping_cents_here, tax_cents_here,
                    discount_cents_here,
                    coalesce(quantity, 1) as quantity,
                    case when price_cents is null and revenue_cents_here is not null
                        then revenue_cents_here + coalesce(discount_cents_here, 0)
                        else greatest(
                            cast(round(cast(price_cents as double) * coalesce(quantity, 1) * rate) as bigint), 0)
                    end as gross
                from ({in_shop_currency(order_events, scope, *AMOUNTS)}) c
            ) s
        ) l"""


def _bare_orders(scope: Scope, where: str) -> str:
    return f"""
        select source, event_id, 1 as position, user_token, anonymous_token, order_key as order_id, product_id,
            category, brand, occurred_at, known_at, coalesce(quantity, 1) as quantity,
            coalesce({PAID_AS_SENT}, 0) + case when {PAID_AS_SENT} is null then 0
                else coalesce(discount_cents_here, 0) end as gross_cents,
            coalesce({PAID_AS_SENT}, 0) as paid_cents, coupon, campaign_id,
            coalesce(revenue_cents, total_cents) is not null as has_price, channel, device
        from ({in_shop_currency(first_orders(scope, where), scope, *AMOUNTS)}) c
        where coalesce(array_length(products), 0) < 1"""


def _listed_lines(scope: Scope, where: str) -> str:
    """Products of whole orders, the order's own discount shared over its lines.

    A discount of an order may be its own, besides those of its lines, or the total of both; shops send either. Where
    the amount paid is what the total would leave, but for rounding, only what the lines leave of it is shared. An
    amount near to it proves nothing: it may contain shipping or tax that the shop does not state.
    """
    whole, rest = (
        f"least({amount}, weight_in_all)"
        for amount in ("coalesce(order_discount, 0)", "greatest(coalesce(order_discount, 0) - lines_off, 0)")
    )
    return f"""
        select source, event_id, position, user_token, anonymous_token, order_key as order_id, product_id, category,
            brand, occurred_at, known_at, quantity,
            case when is_priced then gross else {_share("to_share")} end as gross_cents,
            case when is_priced then worth - {_share("to_share")} else {_share("to_share")} end as paid_cents,
            coupon, campaign_id,
            case when is_priced then price_cents is not null else paid_in_all is not null end as has_price, channel,
            device
        from (
            select w.*, case when not is_priced then coalesce(paid_in_all, 0)
                when abs(weight_in_all - {rest} - paid_in_all) <= line_count
                    and abs(weight_in_all - {rest} - paid_in_all) < abs(weight_in_all - {whole} - paid_in_all)
                    then {rest}
                else {whole} end as to_share
            from ({_line_weights(scope, where)}) w
        ) s"""


def _share(amount: str) -> str:
    """A line's part of an amount, in proportion to its weight.

    The part is the difference of two running totals, each rounded down, and the last line takes what is left:
    whole cents that always add up, and no line gets more than its weight of an amount within the total weight.
    """
    before = f"coalesce(part_of({amount}, weight_so_far - weight, weight_in_all), 0)"
    until = f"coalesce(part_of({amount}, weight_so_far, weight_in_all), 0)"
    return f"(case when position = line_count then {amount} else {until} end - {before})"


def _line_weights(scope: Scope, where: str) -> str:
    """Products with their weight in the order: what they cost, or their units when there is no price."""
    order = "partition by source, event_id"
    return f"""
        select v.*, cast(sum(weight) over ({order}) as bigint) as weight_in_all,
            cast(sum(weight) over ({order} order by position) as bigint) as weight_so_far,
            cast(sum(gross - worth) over ({order}) as bigint) as lines_off
        from (
            select n.*, case when is_priced then worth else quantity end as weight
            from (
                select u.*, greatest(gross - line_discount, 0) as worth,
                    count(*) over ({order}) as line_count, count(price_cents) over ({order}) > 0 as is_priced,
                    row_number() over ({order} order by product_id, gross, quantity, line_discount, category, brand,
                        product_coupon) as position
                from ({_product_rows(scope, where)}) u
            ) n
        ) v"""


def _product_rows(scope: Scope, where: str) -> str:
    whole = f"""
        select o.source, o.event_id, o.user_token, o.anonymous_token, o.order_key, o.occurred_at, o.known_at,
            o.coupon, o.campaign_id, o.channel, o.device, o.rate, o.products, o.discount_cents_here as order_discount,
            {PAID_AS_SENT} as paid_in_all
        from ({in_shop_currency(first_orders(scope, where), scope, *AMOUNTS)}) o
        where array_length(o.products) > 0"""
    return f"""
        select source, event_id, user_token, anonymous_token, order_key, occurred_at, known_at, campaign_id, channel,
            device, order_discount, paid_in_all, product_id, category, brand, price_cents, product_coupon,
            coalesce(units, 1) as quantity,
            coalesce(greatest(
                cast(round(cast(price_cents as double) * coalesce(units, 1) * rate) as bigint), 0), 0) as gross,
            coalesce(greatest(cast(round(line_discount_stated * rate) as bigint), 0), 0) as line_discount,
            coalesce(order_coupon, product_coupon) as coupon
        from (
            select x.source, x.event_id, x.user_token, x.anonymous_token, x.order_key, x.occurred_at, x.known_at,
                x.campaign_id, x.channel, x.device, x.rate, x.order_discount, x.paid_in_all, x.coupon as order_coupon,
                p.product_id, p.category, p.brand, p.price_cents, p.quantity as units,
                p.discount_cents as line_discount_stated, p.coupon as product_coupon
            from ({whole}) x cross join unnest(x.products) as t(p)
        ) y"""
