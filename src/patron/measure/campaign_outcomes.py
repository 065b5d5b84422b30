"""What customers of a campaign bought in its window, whichever arm they are in, and what they bought before it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from patron.measure.decision_outcomes import BEFORE_DAYS
from patron.storage.engine import timestamp
from patron.storage.offers.margin import charged_orders_sum, margin_sum
from patron.storage.offers.offer_policy import Offer


def campaign_outcomes_query(start: datetime, until: datetime, margin_share: float, offers: Iterable[Offer]) -> str:
    """SQL over the Arrow table `assigned` (customer_id, offer) and order_lines: one row per customer, in their order.

    Columns: margin_cents of the window (the price before discounts times the margin, less discounts, net of refunds
    known by its end), before_cents of the BEFORE_DAYS before it, orders, refunds, discounts, and orders with the
    coupon of the customer's offer, among them those that cost its `cost_per_order_cents`.
    """
    since = start - timedelta(days=BEFORE_DAYS)
    return _outcomes_query(timestamp(since), timestamp(start), timestamp(until), margin_share, offers)


def entry_outcomes_query(margin_share: float, offers: Iterable[Offer]) -> str:
    """The same, where each customer of `assigned` has a window of their own: its columns before_at, start_at, until_at.

    BEFORE_DAYS before `start_at` is `before_at`.
    """
    return _outcomes_query("a.before_at", "a.start_at", "a.until_at", margin_share, offers)


def _outcomes_query(since: str, start: str, until: str, margin_share: float, offers: Iterable[Offer]) -> str:
    after = f"l.ordered_at >= {start}"
    before = f"l.ordered_at < {start} and l.known_at < {start}"
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
    {total("l.discount_cents", bought)} as discount_cents
  from assigned a join order_lines l on l.customer_id = a.customer_id
    and l.ordered_at >= {since} and l.ordered_at < {until} and l.known_at < {until}
  group by a.customer_id),
used_order as (
  select a.customer_id, a.offer, l.order_id, sum(l.discount_cents) as discount_cents,
    sum(l.paid_cents) as paid_cents, sum(l.gross_cents) as gross_cents
  from assigned a join order_lines l on l.customer_id = a.customer_id and l.coupon = a.offer
    and {bought} and l.ordered_at < {until} and l.known_at < {until}
  group by a.customer_id, a.offer, l.order_id),
used as (
  select customer_id, cast(sum(discount_cents) as bigint) as used_discount_cents,
    cast(sum(paid_cents) as bigint) as used_paid_cents, count(*) as used_orders,
    {charged_orders_sum("offer", "gross_cents", offers)} as charged_orders
  from used_order group by customer_id)
select a.customer_id, coalesce(e.margin_cents, 0.0) as margin_cents, coalesce(e.before_cents, 0.0) as before_cents,
  coalesce(e.order_count, 0) as order_count, coalesce(e.refund_count, 0) as refund_count,
  coalesce(e.refund_cents, 0) as refund_cents, coalesce(e.paid_cents, 0) as paid_cents,
  coalesce(e.discount_cents, 0) as discount_cents, coalesce(u.used_orders, 0) as used_orders,
  coalesce(u.charged_orders, 0) as charged_orders,
  coalesce(u.used_discount_cents, 0) as used_discount_cents, coalesce(u.used_paid_cents, 0) as used_paid_cents
from assigned a left join earned e on e.customer_id = a.customer_id
left join used u on u.customer_id = a.customer_id
order by a.customer_id
"""
