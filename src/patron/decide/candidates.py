"""Customers considered for an offer, with what is known of each: one row per customer, in order of customer_id."""

from datetime import datetime, timedelta

import pyarrow as pa

from patron.storage.engine import literal, timestamp
from patron.storage.offers.offer_usage import offered_lately
from patron.storage.offers.policy import Policy
from patron.storage.runs.snapshot import Snapshot

DAYS_OF_HISTORY = 365
REASON_COLUMNS = ("reason_1", "reason_2", "reason_3")
"""Why each customer is likely to leave, the strongest reason first; NULL without one."""
FACTS_OF_CANDIDATE = f"""s.value_cents_90_days, s.purchase, s.churn_probability,
  coalesce(b.order_count, 0) as order_count, coalesce(b.paid_cents, 0) as paid_cents,
  coalesce(b.gross_cents, 0) as gross_cents, coalesce(b.discount_cents, 0) as discount_cents,
  coalesce(b.coupon_order_count, 0) as coupon_order_count, coalesce(o.offer_count, 0) as offer_count,
  {", ".join(f"l.{name}" for name in REASON_COLUMNS)},
  r.answering_probability, r.expected_orders,
  t.is_granted as is_consent_granted, t.basis as consent_basis,
  coalesce(not p.is_granted, false) as is_personal_refused"""
JOINED_FACTS = """left join forecast s on s.customer_id = g.customer_id
left join bought b on b.customer_id = g.customer_id
left join offered o on o.customer_id = g.customer_id
left join consent t on t.customer_id = g.customer_id
left join personal p on p.customer_id = g.customer_id
left join leaving l on l.customer_id = g.customer_id
left join this_offer_responders r on r.customer_id = g.customer_id"""


def candidates_query(run_id: str, as_of: datetime, policy: Policy) -> str:
    """SQL for customers of the policy's lifecycle stages who were active lately, as known by then.

    Columns: customer_id, lifecycle_stage, expected spend and purchase (NULL without a score), the last year's orders,
    how many offers they had within the cap's days, their reasons for leaving, their latest consent to marketing as
    users, and whether they withdrew that to personal offers. The Arrow table `offered` says how many offers each
    customer had (`offer_usage`), and `moved_stages` the lifecycle stage of customers whose group has a threshold of its
    own. Who refuses personal offers is considered for the ordinary one whatever their stage.
    """
    refused = "or coalesce(not p.is_granted, false)" if policy.ordinary_offer else ""
    stages = ", ".join(f"'{stage}'" for stage in policy.at_risk.lifecycle_stages) or "''"
    active_condition = _active_condition(as_of, policy.at_risk.active_within_days)
    return f"""
with {_facts_of_candidates(as_of, policy)}
select g.customer_id, coalesce(m.lifecycle_stage, g.lifecycle_stage) as lifecycle_stage,
  {FACTS_OF_CANDIDATE}
from segments g
left join moved_stages m on m.customer_id = g.customer_id
{JOINED_FACTS}
where g.run_id = '{run_id}'
  and ((coalesce(m.lifecycle_stage, g.lifecycle_stage) in ({stages}){active_condition}) {refused})
order by g.customer_id
"""


def audience_rows(
    snapshot: Snapshot, policy: Policy, audience: pa.Table, *, without_run: str = "", without_campaign: str = ""
) -> pa.Table:
    """What is known of the customers of `audience` (customer_id), whatever their stage; columns as candidates.

    The lifecycle stage of who has not ordered yet is ''. Offers of one run and one campaign do not count.
    """
    as_of = snapshot.run.as_of
    sql = f"""
with {_facts_of_candidates(as_of, policy)}
select g.customer_id, coalesce(s2.lifecycle_stage, '') as lifecycle_stage,
  {FACTS_OF_CANDIDATE}
from audience g
left join (select customer_id, lifecycle_stage from this_segments) s2
  on s2.customer_id = g.customer_id
{JOINED_FACTS}
order by g.customer_id
"""
    had = offered_lately(snapshot, without_run=without_run, without_campaign=without_campaign)
    return snapshot.query(sql, audience=audience, offered=had)


def _facts_of_candidates(as_of: datetime, policy: Policy) -> str:
    """SQL of what is known of each customer by then: a common table each."""
    reasons = (
        f'max(case when "rank" = {at} then code end) as {name}' for at, name in enumerate(REASON_COLUMNS, start=1)
    )
    return f"""forecast as (
  select customer_id,
    max(case when question = 'value' then value end) as value_cents_90_days,
    max(case when question = 'purchase' then value end) as purchase,
    max(case when question = 'churn' then value end) as churn_probability
  from this_scores group by customer_id),
bought as (
  select customer_id, count(*) as order_count, cast(sum(paid_cents) as bigint) as paid_cents,
    cast(sum(gross_cents) as bigint) as gross_cents, cast(sum(discount_cents) as bigint) as discount_cents,
    cast(sum(case when has_coupon then 1 else 0 end) as bigint) as coupon_order_count
  from orders
  where known_at < {timestamp(as_of)} and occurred_at >= {timestamp(as_of - timedelta(days=DAYS_OF_HISTORY))}
  group by customer_id),
consent as (
  select customer_id, is_granted, basis from consents
  where purpose = {literal(policy.consent.purpose(policy.consent.marketing))} and is_latest),
personal as (
  select customer_id, is_granted from consents
  where purpose = {literal(policy.consent.purpose(policy.consent.personal_offers))} and is_latest),
leaving as (
  select customer_id, {", ".join(reasons)}
  from this_reasons where question = 'churn' group by customer_id)"""


def _active_condition(as_of: datetime, days: int) -> str:
    """SQL condition: the customer was active in the last `days` days; nothing for 0."""
    if not days:
        return ""
    return f"""
  and g.customer_id in (
    select customer_id from this_features
    where as_of = {timestamp(as_of)} and days_since_last_activity <= {days})"""
