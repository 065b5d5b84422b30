"""What a customer is worth, part by part: what they paid and will pay, whom they referred, less what they cost."""

import numpy as np
import pyarrow as pa

from patron.schema.numbers import Numbers, float_column
from patron.schema.tables import VALUE_PARTS
from patron.storage.runs.stage_view import StageView

PRIOR_ORDERS = 5
"""How many orders the shop's share of returns, and mean order, are worth next to the customer's own."""
MAX_RETURNS_SHARE = 0.9
INPUTS = """
with sales as (
  select customer_id, order_id, paid_cents,
    dense_rank() over (partition by customer_id order by ordered_at, order_id) as place
  from order_lines where not is_refund
), bought as (
  select customer_id, cast(sum(paid_cents) as bigint) as paid, count(distinct order_id) as orders,
    cast(sum(case when place = 1 then paid_cents else 0 end) as bigint) as first_order
  from sales group by customer_id
), refunds as (
  select customer_id, cast(-sum(paid_cents) as bigint) as returned from order_lines where is_refund group by customer_id
), sent as (
  select customer_id, count(*) as messages from interactions where kind = 'message_sent' group by customer_id
), delivered as (
  select x.customer_id, cast(sum(c.contact_cents) as bigint) as contacts
  from exposures x join contact_costs c on c.action = x.action where x.is_delivered group by x.customer_id
)
select s.customer_id, s.value as expected, coalesce(b.paid, 0) as paid, coalesce(b.orders, 0) as orders,
  coalesce(b.first_order, 0) as first_order, coalesce(f.returned, 0) as returned, coalesce(m.messages, 0) as messages,
  coalesce(d.contacts, 0) as contacts
from scores s
left join bought b on b.customer_id = s.customer_id
left join refunds f on f.customer_id = s.customer_id
left join sent m on m.customer_id = s.customer_id
left join delivered d on d.customer_id = s.customer_id
where s.run_id = '{run_id}' and s.question = 'value' order by s.customer_id
"""
REFERRED = """
select r.customer_id, s.value from referrals r
join this_scores s on s.customer_id = r.referred_customer_id and s.question = 'value'
order by r.customer_id, r.referred_customer_id
"""
SHOP = """
select cast(sum(refunded_cents) as double) / nullif(cast(sum(paid_cents + refunded_cents) as double), 0.0)
    as returns_share,
  cast(sum(paid_cents + refunded_cents) as double) / nullif(cast(sum(order_count) as double), 0.0) as order_cents
from customers
"""


def build_value_parts(view: StageView) -> None:
    """Write `value_parts`: one row for each customer whose value the run forecasts.

    It comes after engage, so that the contacts of the run itself are among the costs.
    """
    inputs = view.query(INPUTS.format(run_id=view.run.run_id), contact_costs=_contact_costs(view))
    column = {name: float_column(inputs, name) for name in inputs.column_names if name != "customer_id"}
    shop = view.query(SHOP).to_pylist()[0]
    shop_returns = min(max(float(shop["returns_share"] or 0.0), 0.0), MAX_RETURNS_SHARE)
    paid = column["paid"]
    orders = column["orders"]
    returned = column["returned"]
    returns_share = np.divide(returned, paid, out=np.full(len(paid), shop_returns), where=paid != 0)
    weighted = PRIOR_ORDERS * shop_returns + orders * np.minimum(returns_share, MAX_RETURNS_SHARE)
    share = weighted / (PRIOR_ORDERS + orders)
    gross = np.maximum(column["expected"], 0.0) / (1 - share)
    order_cents = (PRIOR_ORDERS * float(shop["order_cents"] or 0.0) + paid) / (PRIOR_ORDERS + orders)
    expected_orders = np.divide(gross, order_cents, out=np.zeros(len(gross)), where=order_cents > 0)
    settings = view.settings.value
    marketing = column["messages"] * settings.message_cents + column["contacts"]
    parts = {
        "first_order_cents": column["first_order"],
        "repeat_cents": paid - column["first_order"],
        "expected_cents": np.rint(gross),
        "referral_cents": np.rint(settings.referral_share * _referred_cents(view, inputs)),
        "returns_cents": -returned - np.rint(gross * share),
        "service_cents": -np.rint((orders + expected_orders) * settings.service_cents_per_order),
        "marketing_cents": -np.rint(marketing),
    }
    parts["total_cents"] = np.sum(list(parts.values()), axis=0)
    columns = {
        "run_id": pa.array([view.run.run_id] * inputs.num_rows, pa.string()),
        "customer_id": inputs["customer_id"],
        **{name: pa.array(cents.astype(np.int64)) for name, cents in parts.items()},
    }
    view.write("value_parts", pa.table(columns, schema=VALUE_PARTS.schema()))


def _contact_costs(view: StageView) -> pa.Table:
    costs = {offer.id: offer.contact_cost_cents for offer in view.policy.offers}
    columns = {
        "action": pa.array(list(costs), pa.string()),
        "contact_cents": pa.array(list(costs.values()), pa.int64()),
    }
    return pa.table(columns)


def _referred_cents(view: StageView, inputs: pa.Table) -> Numbers:
    """What the people whom each customer referred are expected to pay."""
    referred = view.query(REFERRED.format(run_id=view.run.run_id))
    place = {customer_id: number for number, customer_id in enumerate(inputs["customer_id"].to_pylist())}
    cents = np.zeros(inputs.num_rows)
    for row in referred.to_pylist():
        if row["customer_id"] in place:
            cents[place[row["customer_id"]]] += row["value"]
    return cents
