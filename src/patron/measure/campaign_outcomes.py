"""What customers of a campaign bought in its window, whichever arm they are in, and what they bought before it."""

from datetime import datetime, timedelta

from patron.measure.decision_outcomes import BEFORE_DAYS, margin_sum
from patron.storage.engine import timestamp


def campaign_outcomes_query(start: datetime, until: datetime, margin_share: float) -> str:
    """SQL over the Arrow table `assigned` (customer_id, offer) and order_lines: one row per customer, in their order.

    Columns: margin_cents of the window (the price before discounts times the margin, less discounts, net of refunds
    known by its end), before_cents of the BEFORE_DAYS before it, orders, refunds, discounts, and orders with the
    coupon of the customer's offer.
    """
    since = start - timedelta(days=BEFORE_DAYS)
    after = f"l.ordered_at >= {timestamp(start)}"
    before = f"l.ordered_at < {timestamp(start)} and l.known_at < {timestamp(start)}"
    bought = f"{after} and not l.is_refund"

    def total(column: str, condition: str) -> str:
        return f"cast(sum(case when {condition} then {column} else 0 end) as bigint)"

    return f"""
with earned as (
  select a.customer_id,
    {margin_sum(after, margin_share)} as margin_cents,
    {margin_sum(before, margin_share)} as before_cents,
    count(distinct case when {bought} then l.order_id end) as order_count,
    count(distinct case when {after} and l.is_refund then l.order_id end) as refund_count,
    {total("-l.paid_cents", f"{after} and l.is_refund")} as refund_cents,
    {total("l.paid_cents", bought)} as paid_cents,
    {total("l.discount_cents", bought)} as discount_cents,
    count(distinct case when {bought} and l.coupon = a.offer then l.order_id end) as used_orders,
    {total("l.discount_cents", f"{bought} and l.coupon = a.offer")} as used_discount_cents,
    {total("l.paid_cents", f"{bought} and l.coupon = a.offer")} as used_paid_cents
  from assigned a join order_lines l on l.customer_id = a.customer_id
    and l.ordered_at >= {timestamp(since)} and l.ordered_at < {timestamp(until)} and l.known_at < {timestamp(until)}
  group by a.customer_id)
select a.customer_id, coalesce(e.margin_cents, 0.0) as margin_cents, coalesce(e.before_cents, 0.0) as before_cents,
  coalesce(e.order_count, 0) as order_count, coalesce(e.refund_count, 0) as refund_count,
  coalesce(e.refund_cents, 0) as refund_cents, coalesce(e.paid_cents, 0) as paid_cents,
  coalesce(e.discount_cents, 0) as discount_cents, coalesce(e.used_orders, 0) as used_orders,
  coalesce(e.used_discount_cents, 0) as used_discount_cents, coalesce(e.used_paid_cents, 0) as used_paid_cents
from assigned a left join earned e on e.customer_id = a.customer_id
order by a.customer_id
"""
