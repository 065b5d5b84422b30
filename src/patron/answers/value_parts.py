"""What a customer is worth, part by part: what they brought, what they will, whom they brought, less what they cost."""

from dataclasses import dataclass

import pyarrow as pa

from patron.storage.last_run import records
from patron.storage.settings import ValueSettings
from patron.storage.shop import Snapshot

SHOP_ORDERS = 5
"""How many orders the shop's share of returns, and mean order, are worth beside the customer's own."""


@dataclass(frozen=True)
class ValueParts:
    """Parts of a customer's value until 90 days from the run, cents, costs below zero; and what they add up to."""

    first_order_cents: int
    """Paid on the first order, before returns."""
    repeat_cents: int
    """Paid on later orders until the run, before returns."""
    expected_cents: int
    """Expected to be paid in the next 90 days, before returns."""
    referral_cents: int
    """A stated share of what those they brought are expected to pay in the next 90 days."""
    returns_cents: int
    """Given back, and expected to be."""
    service_cents: int
    """Service of orders so far and expected."""
    marketing_cents: int
    """Messages and offers sent."""
    total_cents: int
    """All parts together."""


def value_parts(view: Snapshot, asked: pa.Table, lines: pa.Table, settings: ValueSettings) -> ValueParts | None:
    """Parts of the value of the one customer `asked` for, whose order lines these are; None without a forecast."""
    run_id = view.run.run_id
    contacts = {offer.id: offer.contact_cost_cents for offer in view.policy.offers}
    costs = pa.table(
        {
            "action": pa.array(list(contacts), pa.string()),
            "contact_cents": pa.array(list(contacts.values()), pa.int64()),
        }
    )
    sql = f"""
select
  (select max(s.value) from scores s join asked a on a.customer_id = s.customer_id
    where s.run_id = '{run_id}' and s.question = 'value') as expected,
  (select coalesce(cast(sum(paid_cents) as bigint), 0) from (
    select paid_cents, dense_rank() over (order by ordered_at, order_id) as place from lines where not is_refund) l
    where place = 1) as first_order,
  (select coalesce(cast(sum(paid_cents) as bigint), 0) from lines where not is_refund) as paid,
  (select count(distinct order_id) from lines where not is_refund) as orders,
  (select coalesce(cast(-sum(paid_cents) as bigint), 0) from lines where is_refund) as returned,
  (select cast(sum(refunded_cents) as double) / nullif(cast(sum(paid_cents + refunded_cents) as double), 0.0)
    from customers)
    as shop_returns,
  (select cast(sum(paid_cents + refunded_cents) as double) / nullif(cast(sum(order_count) as double), 0.0)
    from customers) as shop_each,
  (select coalesce(sum(s.value), 0) from referrals r join asked a on a.customer_id = r.customer_id
    join scores s on s.customer_id = r.referred_customer_id and s.run_id = '{run_id}' and s.question = 'value')
    as brought,
  (select count(*) from interactions i join asked a on a.customer_id = i.customer_id where i.kind = 'message_sent')
    as messages,
  (select coalesce(cast(sum(c.contact_cents) as bigint), 0) from exposures x
    join asked a on a.customer_id = x.customer_id join costs c on c.action = x.action where x.is_delivered)
    as contacts"""
    (told,) = records(view.query(sql, asked=asked, lines=lines, costs=costs))
    if told["expected"] is None:
        return None
    shop_returns = min(max(float(told["shop_returns"] or 0.0), 0.0), 0.9)
    own = told["returned"] / told["paid"] if told["paid"] else shop_returns
    share = (SHOP_ORDERS * shop_returns + told["orders"] * min(own, 0.9)) / (SHOP_ORDERS + told["orders"])
    gross = max(float(told["expected"]), 0.0) / (1 - share)
    shop_each = float(told["shop_each"] or 0.0)
    each = (SHOP_ORDERS * shop_each + told["paid"]) / (SHOP_ORDERS + told["orders"])
    orders = told["orders"] + (gross / each if each > 0 else 0.0)
    parts = {
        "first_order_cents": int(told["first_order"]),
        "repeat_cents": int(told["paid"] - told["first_order"]),
        "expected_cents": round(gross),
        "referral_cents": round(settings.referral_share * float(told["brought"])),
        "returns_cents": -int(told["returned"]) - round(gross * share),
        "service_cents": -round(orders * settings.service_cents_per_order),
        "marketing_cents": -round(told["messages"] * settings.message_cents + float(told["contacts"])),
    }
    return ValueParts(**parts, total_cents=sum(parts.values()))
