"""What was sent to customers and what came of it: portable SQL over facts, times in whole seconds.

A message is a row of (customer, campaign, day) or (customer, decision): several on a day are one. What comes of it
counts while its offer is valid, or for 30 days where that is not known, and until the next message with the same coupon
or campaign at the latest, so that nothing counts twice.
"""

from datetime import timedelta

import pyarrow as pa

from patron.schema.models.questions import MESSAGE_RESPONSE
from patron.schema.tables import RESPONSE_KINDS
from patron.storage.engine import literal, timestamp
from patron.storage.runs.stage_view import StageView

HISTORY_DAYS = 730
"""Older messages are neither learned from nor counted."""
SECONDS_A_DAY = 86_400
MAX_DAYS = 180
"""The longest time that a response is waited for."""
MIN_ORDERS = 10
"""Orders that came of messages of a type from which on these are its response; with fewer it is a click."""
NOTHING = "cast(null as varchar)"
SENT = f"""
select customer_id, decision_id, campaign_id, coupon, channel, message_type, seconds_of(occurred_at) as sent,
    seconds_of(known_at) as known,
    case when valid_days is not null
        then cast(least(greatest(valid_days, 1), {MAX_DAYS}) * {SECONDS_A_DAY} as bigint) end as lasts
from interactions
where is_identified and kind in ('message_sent', 'offer') and coalesce(decision_id, campaign_id, coupon) is not null
    and occurred_at >= {{since}} and known_at < {{now}}
union all
select customer_id, decision_id, {NOTHING} as campaign_id, action as coupon, channel, action as message_type,
    seconds_of(exposed_at) as sent, seconds_of(coalesce(confirmed_at, exposed_at)) as known, {{validity}} as lasts
from exposures where is_delivered and exposed_at >= {{since}} and coalesce(confirmed_at, exposed_at) < {{now}}"""
ANSWERED = f"""
select customer_id, campaign_id, decision_id, case when kind = 'coupon' then coupon end as coupon,
    case when kind = 'coupon' then 1 else 0 end as is_order, seconds_of(occurred_at) as happened,
    seconds_of(known_at) as known
from interactions
where is_identified and kind in ('message_clicked', 'coupon') and occurred_at >= {{since}} and known_at < {{now}}
union all
select customer_id, campaign_id, {NOTHING} as decision_id, coupon, 1 as is_order, seconds_of(ordered_at) as happened,
    seconds_of(known_at) as known
from order_lines
where is_identified and not is_refund and coalesce(coupon, campaign_id) is not null and ordered_at >= {{since}}
    and known_at < {{now}}
group by customer_id, campaign_id, coupon, ordered_at, known_at"""
MESSAGES = """
select m.customer_id, m.campaign, m.channel, m.message_type, m.sent, m.known, m.until,
    min(case when r.is_order = 1 then r.known end) as ordered_known,
    min(case when r.is_order = 0 then r.known end) as clicked_known
from (
    select d.*, least(sent + lasts, lead(sent, 1, sent + lasts) over (
            partition by customer_id, coalesce(coupon, campaign_id, decision_id) order by sent, message_key)) as until,
        coalesce(campaign_id, message_type || '@' || cast(sent - sent % {day} as varchar)) as campaign
    from (
        select customer_id, message_key, max(decision_id) as decision_id, max(campaign_id) as campaign_id,
            max(coupon) as coupon, coalesce(max(channel), 'unknown') as channel,
            coalesce(max(message_type), 'any') as message_type, min(sent) as sent, min(known) as known,
            coalesce(max(lasts), {window}) as lasts
        from (select s.*, coalesce(decision_id, campaign_id, coupon) as message_key from ({sent}) s) k
        group by customer_id, message_key, case when decision_id is null then sent - sent % {day} else 0 end
    ) d
) m
left join ({answered}) r on r.customer_id = m.customer_id and r.happened >= m.sent and r.happened < m.until
    and r.known < m.until
    and (r.campaign_id = m.campaign_id or r.decision_id = m.decision_id or r.coupon = m.coupon)
group by m.customer_id, m.message_key, m.campaign, m.channel, m.message_type, m.sent, m.known, m.until"""
TYPES = """
select channel, message_type, count(*) as message_count, count(ordered_known) as order_count,
    count(clicked_known) as click_count, max(sent) as last_sent
from ({messages}) m where until <= {now} group by channel, message_type"""


def messages_query(view: StageView) -> str:
    """SQL of the messages known at the run, and when an order and a click that came of them were first known.

    Columns customer_id, campaign, channel, message_type, sent, known, until, ordered_known, clicked_known.
    """
    now = view.run.as_of
    times = {"since": timestamp(now - timedelta(days=HISTORY_DAYS)), "now": timestamp(now)}
    days = {offer.id: min(offer.valid_days, MAX_DAYS) for offer in view.policy.offers}
    offers = " ".join(f"when {literal(offer)} then {valid * SECONDS_A_DAY}" for offer, valid in days.items())
    validity = f"case action {offers} end" if offers else "cast(null as bigint)"
    seconds = {"window": MESSAGE_RESPONSE.horizon_days * SECONDS_A_DAY, "day": SECONDS_A_DAY}
    return MESSAGES.format(sent=SENT.format(**times, validity=validity), answered=ANSWERED.format(**times), **seconds)


def read_message_types(view: StageView) -> pa.Table:
    """Channels and types of messages whose time for a response is over, those with the most messages first.

    Columns channel, message_type, message_count, response (what counts as one), response_count, last_sent.
    """
    types = TYPES.format(messages=messages_query(view), now=int(view.run.as_of.timestamp()))
    is_order = f"order_count >= {MIN_ORDERS}"
    return view.query(
        f"""
        select channel, message_type, message_count, last_sent,
            case when {is_order} then '{RESPONSE_KINDS[0]}' else '{RESPONSE_KINDS[1]}' end as response,
            case when {is_order} then order_count else click_count end as response_count
        from ({types}) t order by message_count desc, channel, message_type"""
    )
