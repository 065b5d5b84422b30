"""Which customer a token belongs to, and since when we could know it.

A user token is its own customer, or that of the person it is an alias of (`persons`). A device belongs to the one
person it was used with, by a sign-in or by an e-mail address or phone number of that person that a visitor gave.
Contacts never join two user ids: one that two people gave belongs, from then on, to neither.
"""

from patron.understand.facts.aliases import unlinked_tokens
from patron.understand.facts.usable_events import END_OF_TIME, Scope, timestamp, usable_events

MAX_CONTACTS = 5
"""E-mail addresses of one user id that link visitors, and as many phone numbers; the first known count."""
MAX_DEVICES_PER_WEEK = 5
"""Devices that become a user id's within one week (of seven days since 1970), by each kind of link."""
SIGN_IN, EMAIL, PHONE = 1, 2, 3
"""Priorities: a link is ignored where one that is stronger says otherwise already."""
RULES = f"case priority when {SIGN_IN} then 'sign_in' when {EMAIL} then 'email' when {PHONE} then 'phone' end"
WEEK_SECONDS = 7 * 86_400


def identities(scope: Scope) -> str:
    """One row per token.

    When a second person uses a device, what is known from then on belongs to neither (`shared_from`); what
    was known before stays, so that an earlier cutoff keeps what it saw.
    """
    return f"""
        with unlinked as ({unlinked_tokens(scope)}),
        sent_contacts as ({_contact_events(scope)}),
        contact_owners as ({_owners(_limited(_contacts_of_users(), "0", MAX_CONTACTS))}),
        device_owners as ({_owners(_limited(_devices_of_users(), _WEEK, MAX_DEVICES_PER_WEEK))}),
        last_persons as (select user_token, root_token, known_at from persons where until = {timestamp(END_OF_TIME)})
        select v.token, md5(coalesce(p.root_token, v.token)) as customer_id, true as is_user,
            coalesce(p.known_at, v.known_at) as known_at, cast(null as timestamptz) as shared_from,
            case when p.root_token <> v.token then 'alias' end as rule
        from (
            select user_token as token, min(known_at) as known_at from token_pairs where user_token is not null
            group by 1
        ) v
        left join last_persons p on p.user_token = v.token
        union all
        select v.token, md5(coalesce(p.root_token, o.user_token, v.token)) as customer_id, false as is_user,
            greatest(coalesce(o.known_at, v.known_at), coalesce(p.known_at, o.known_at, v.known_at)) as known_at,
            o.shared_from, o.rule
        from (
            select anonymous_token as token, min(known_at) as known_at from token_pairs
            where anonymous_token is not null group by 1
        ) v
        left join (select * from device_owners where shared_from is null or shared_from > known_at) o
            on o.thing = v.token
        left join last_persons p on p.user_token = o.user_token"""


def _contact_events(scope: Scope) -> str:
    """Contacts that users and visitors sent; those of an unlinked visitor never link it again."""
    events = usable_events(
        scope, "email_token", "phone_token", where="coalesce(e.email_token, e.phone_token) is not null"
    )
    kinds = " union all ".join(
        f"select t.*, {column} as contact, {priority} as priority from contact_events t where {column} is not null"
        for column, priority in (("email_token", EMAIL), ("phone_token", PHONE))
    )
    return f"""
        select c.user_token, case when c.user_token is null then c.anonymous_token end as anonymous_token, c.contact,
            c.priority, min(c.known_at) as known_at
        from (with contact_events as ({events}) {kinds}) c
        left join unlinked x on x.token = c.anonymous_token
        where c.user_token is not null or x.token is null
        group by 1, 2, c.contact, c.priority"""


def _contacts_of_users() -> str:
    return """
        select contact as thing, user_token, priority, min(known_at) as known_at
        from sent_contacts where user_token is not null group by contact, user_token, priority"""


_WEEK = f"cast(floor(seconds_of(known_at) / {WEEK_SECONDS}) as bigint)"


def _devices_of_users() -> str:
    """What links devices to users: sent together, or by a contact that was one person's by then."""
    since = "greatest(t.known_at, o.known_at)"
    return f"""
        select anonymous_token as thing, user_token, {SIGN_IN} as priority, linked_at as known_at
        from token_pairs where user_token is not null and anonymous_token is not null and linked_at is not null
        union all
        select t.anonymous_token as thing, o.user_token, t.priority, min({since}) as known_at
        from sent_contacts t join contact_owners o on o.thing = t.contact
        where t.user_token is null and (o.shared_from is null or {since} < o.shared_from)
        group by t.anonymous_token, o.user_token, t.priority"""


def _limited(links: str, period: str, most: int) -> str:
    """Links (thing, user_token, priority, known_at), of each user and kind no more than the first in a period."""
    return f"""
        select thing, user_token, priority, known_at
        from (
            select thing, user_token, priority, known_at, row_number() over (
                partition by user_token, priority, period order by known_at, thing) as place
            from (select l.*, {period} as period from ({links}) l) w
        ) r
        where place <= {most}"""


def _owners(links: str) -> str:
    """Whose a thing is: the first person's, since when, by which rule, and since when also somebody else's.

    Two user ids are one person if an alias had said so by the time; a link that is weaker than the best of the
    owner's by then does not count.
    """
    first = "partition by thing order by known_at, priority, user_token"
    at_the_time = "on {0}.user_token = l.{1} and {0}.known_at <= l.known_at and l.known_at < {0}.until"
    return f"""
        select thing, max(case when place = 1 then user_token end) as user_token,
            max(case when place = 1 then known_at end) as known_at, max(case when place = 1 then {RULES} end) as rule,
            min(case when is_other and priority <= best then known_at end) as shared_from
        from (
            select o.*, min(case when not is_other then priority end) over (
                partition by thing order by known_at) as best
            from (
                select l.thing, l.user_token, l.priority, l.known_at, l.place,
                    coalesce(p.root_token, l.user_token) <> coalesce(q.root_token, l.owner_token) as is_other
                from (
                    select k.*, row_number() over ({first}) as place,
                        first_value(user_token) over ({first}) as owner_token
                    from ({links}) k
                ) l
                left join persons p {at_the_time.format("p", "user_token")}
                left join persons q {at_the_time.format("q", "owner_token")}
            ) o
        ) b
        group by thing"""
