"""Who brought whom."""

from patron.understand.facts.usable_events import Scope, usable_events, with_customer

LATE_SECONDS = 86_400


def referrals(scope: Scope) -> str:
    """One row per customer whom another brought: the first referral known, never themselves.

    A referral known more than a day after the first order does not count: the person was a customer already.
    """
    referral_events = usable_events(
        scope,
        "referred_token",
        "known_at as link_at",
        where="e.name = 'Customer Referred' and e.referred_token is not null",
    )
    first = "partition by b.customer_id order by o.occurred_at, o.customer_id, o.event_id"
    return f"""
        select customer_id, referred_customer_id, occurred_at, known_at from (
            select o.customer_id, b.customer_id as referred_customer_id, o.occurred_at,
                greatest(o.known_at, b.known_at) as known_at, row_number() over ({first}) as place
            from ({with_customer(referral_events, "event_id", "referred_token", "occurred_at")}) o
            join identities b on b.token = o.referred_token and b.customer_id <> o.customer_id
            left join (select customer_id, min(occurred_at) as first_order_at from orders group by customer_id) f
                on f.customer_id = b.customer_id
            where f.first_order_at is null
                or seconds_of(o.occurred_at) - seconds_of(f.first_order_at) <= {LATE_SECONDS}
        ) r where place = 1"""
