"""People with several user ids: what aliases say, as connected groups, and since when."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from patron.schema.table_definition import TEXT, TIME
from patron.understand.facts.usable_events import END_OF_TIME, Scope, usable_events

MAX_USER_IDS = 5
"""User ids of one person; an alias that would join more is a mistake of the sender's (one id named for everybody)."""

PERSONS = pa.schema([("user_token", TEXT), ("root_token", TEXT), ("known_at", TIME), ("until", TIME)])
"""Which user token stands for a person, one row per user token of several and per time it was so."""


@dataclass(frozen=True, order=True)
class Alias:
    """Two user tokens that were said to be one person, and when each was first known."""

    known_at: datetime
    user_token: str
    previous_token: str
    user_known_at: datetime
    previous_known_at: datetime


def unlinked_tokens(scope: Scope) -> str:
    """Tokens that were taken out of their customer, and when last: what linked them until then is void."""
    return f"""
        select coalesce(user_token, anonymous_token) as token, max(known_at) as known_at
        from ({usable_events(scope, where="e.name = 'Identity Unlinked'")}) u
        group by coalesce(user_token, anonymous_token)"""


def aliases(scope: Scope) -> str:
    """One row per two user tokens that an alias joins, since when both are users and the alias is known."""
    alias_events = usable_events(scope, "previous_token", where="e.name = 'Alias' and e.user_token <> e.previous_token")
    return f"""
        with alias_pairs as (
            select a.user_token, a.previous_token, min(a.known_at) as known_at
            from ({alias_events}) a
            left join ({unlinked_tokens(scope)}) u on u.token = a.user_token
            left join ({unlinked_tokens(scope)}) p on p.token = a.previous_token
            where (u.known_at is null or a.known_at > u.known_at) and (p.known_at is null or a.known_at > p.known_at)
            group by a.user_token, a.previous_token
        ), users as (
            select e.user_token as token, min(e.known_at) as known_at
            from ({usable_events(scope, where="e.name <> 'Identity Unlinked'")}) e
            join (select user_token as token from alias_pairs union select previous_token as token from alias_pairs) t
                on t.token = e.user_token
            group by e.user_token
        )
        select greatest(s.known_at, u.known_at, p.known_at) as known_at, s.user_token, s.previous_token,
            u.known_at as user_known_at, p.known_at as previous_known_at
        from alias_pairs s join users u on u.token = s.user_token join users p on p.token = s.previous_token"""


def persons(alias_rows: pa.Table) -> pa.Table:
    """Who stands for whom over time, by rows of `aliases`: the user token that was known first stands for a person.

    Aliases are taken as they became known, so that what is known later changes nothing of what held before.
    """
    links = sorted(Alias(**row) for row in alias_rows.to_pylist())
    first = {link.user_token: link.user_known_at for link in links}
    first |= {link.previous_token: link.previous_known_at for link in links}
    members = {token: [token] for token in first}
    stood = defaultdict(dict)
    for token, known_at in first.items():
        stood[token][known_at] = token
    for link in links:
        one, other = members[link.user_token], members[link.previous_token]
        if one is other or len(one) + len(other) > MAX_USER_IDS:
            continue
        both = one + other
        root = min(both, key=lambda token: (first[token], token))
        for token in both:
            members[token] = both
            stood[token][link.known_at] = root
    return _intervals((token, times) for token, times in sorted(stood.items()) if len(members[token]) > 1)


def _intervals(stood: Iterable[tuple[str, dict[datetime, str]]]) -> pa.Table:
    """Rows of PERSONS: each root from its time to the next one's."""
    rows = []
    for token, times in stood:
        changes = [(at, root) for at, root in sorted(times.items())]
        kept = [one for n, one in enumerate(changes) if n == 0 or one[1] != changes[n - 1][1]]
        ends = [at for at, _ in kept[1:]] + [END_OF_TIME]
        rows += [(token, root, at, end) for (at, root), end in zip(kept, ends, strict=True)]
    return pa.Table.from_pylist([dict(zip(PERSONS.names, row, strict=True)) for row in rows], schema=PERSONS)
