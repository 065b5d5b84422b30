"""Which customer a token belongs to, and since when we could know it."""

from patron.understand.facts.scope import Scope, usable


def identities(scope: Scope) -> str:
    """One row per token.

    A user token is its own customer. A device seen with exactly one user is that user's, from the time both were
    first told together. When a second user appears, what is known from then on belongs to neither (`shared_from`);
    what was known before stays, so that an earlier moment keeps what it saw.
    """
    return f"""
        with seen as (
            select user_token, anonymous_token, min(known_at) as known_at from ({usable(scope)}) u
            group by user_token, anonymous_token
        ), pairs as (
            select anonymous_token, user_token, known_at,
                row_number() over (partition by anonymous_token order by known_at, user_token) as place
            from seen where user_token is not null and anonymous_token is not null
        ), links as (
            select a.anonymous_token, a.user_token, a.known_at, b.known_at as shared_from
            from (select * from pairs where place = 1) a
            left join (select * from pairs where place = 2) b on a.anonymous_token = b.anonymous_token
        )
        select user_token as token, md5(user_token) as customer_id, true as is_user, min(known_at) as known_at,
            cast(null as timestamptz) as shared_from
        from seen where user_token is not null group by user_token
        union all
        select v.token, md5(coalesce(l.user_token, v.token)) as customer_id, false as is_user,
            coalesce(l.known_at, v.known_at) as known_at, l.shared_from
        from (
            select anonymous_token as token, min(known_at) as known_at
            from seen where anonymous_token is not null group by anonymous_token
        ) v
        left join (select * from links where shared_from is null or shared_from > known_at) l
            on l.anonymous_token = v.token"""
