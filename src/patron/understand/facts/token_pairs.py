"""Tokens that were sent together, which identities are made of."""

from patron.understand.facts.aliases import unlinked_tokens
from patron.understand.facts.usable_events import Scope, has_flag, usable_events


def token_pairs(scope: Scope) -> str:
    """Pairs of tokens sent together, since when, and since when it counts; visitors that are only bots are nobody."""
    is_person = f"e.user_token is not null or not {has_flag('bot')}"
    people = usable_events(scope, where=f"({is_person}) and e.name <> 'Identity Unlinked'")
    counts = "x.known_at is null or s.known_at > x.known_at"
    return f"""
        select s.user_token, s.anonymous_token, min(s.known_at) as known_at,
            min(case when {counts} then s.known_at end) as linked_at
        from ({people}) s left join ({unlinked_tokens(scope)}) x on x.token = s.anonymous_token
        group by s.user_token, s.anonymous_token"""


def token_pairs_since(scope: Scope) -> str:
    """As `token_pairs`, by those of the last run and `events` that are new, none of which unlinks a token."""
    return f"""
        select user_token, anonymous_token, min(known_at) as known_at, min(linked_at) as linked_at
        from (
            select user_token, anonymous_token, known_at, linked_at from last_token_pairs
            union all
            select user_token, anonymous_token, known_at, linked_at from ({token_pairs(scope)}) n
        ) p
        group by user_token, anonymous_token"""
