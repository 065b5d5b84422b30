"""The start of every facts query: usable events known before the cutoff, and the customers they belong to."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from patron.schema.table_definition import NUMBER, TEXT
from patron.storage.engine import timestamp

MIN_TIME = datetime(1990, 1, 1, tzinfo=UTC)
"""Events that claim to be older come from a clock that was never set; they are left out."""
BEGINNING_OF_TIME = datetime(1900, 1, 1, tzinfo=UTC)
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Scope:
    """The cutoff and the shop that facts are made for."""

    as_of: datetime
    """Only events known before this count."""
    time_zone: str = "UTC"
    currency: str = "USD"

    @property
    def zone(self) -> str:
        """The shop's time zone as a SQL literal."""
        return "'" + self.time_zone + "'"


def rates_table(currency: str, rates: dict[str, float]) -> pa.Table:
    """Units of the shop's currency that one unit of each currency is worth, as a small table."""
    known = {**rates, currency: 1.0}
    return pa.table(
        {"currency": pa.array(sorted(known), TEXT), "rate": pa.array([known[code] for code in sorted(known)], NUMBER)}
    )


def has_flag(flag: str, of: str = "e.flags") -> str:
    """SQL condition: the event has this flag of collect's."""
    return f"coalesce(list_contains({of}, '{flag}'), false)"


def usable_events(scope: Scope, *columns: str, where: str = "true") -> str:
    """SQL of the events with a user or device among `known_events`."""
    return known_events(scope, *columns, where=f"coalesce(e.user_token, e.anonymous_token) is not null and ({where})")


def known_events(scope: Scope, *columns: str, where: str = "true") -> str:
    """SQL of the events known before the cutoff with a plausible time; none occurred later than it was known.

    Test traffic is left out, and behaviour that was stored without the consent it needs.
    """
    picked = "".join(f", e.{column}" for column in columns)
    return f"""
        select e.source, e.event_id, e.name, e.user_token, e.anonymous_token, e.known_at,
            least(e.occurred_at, e.known_at) as occurred_at{picked}
        from events e
        where e.known_at < {timestamp(scope.as_of)} and e.occurred_at >= {timestamp(MIN_TIME)}
            and not {has_flag("test")} and not {has_flag("no_consent")} and ({where})"""


def with_customer(relation: str, *columns: str) -> str:
    """SQL that adds the customer to rows (tokens, known_at, link_at); `known_at` waits until the token's link is known.

    A device's rows belong to its only user, unless they became known (`link_at`) after a second user was seen with it.
    """
    picked = "".join(f", r.{column}" for column in columns)
    return f"""
        select coalesce(i.customer_id, md5(r.anonymous_token)) as customer_id,
            coalesce(i.is_identified, false) as is_identified,
            greatest(r.known_at, coalesce(i.known_at, r.known_at)) as known_at{picked}
        from ({relation}) r
        left join (
            select token, customer_id, known_at, is_user or customer_id <> md5(token) as is_identified,
                coalesce(shared_from, {timestamp(END_OF_TIME)}) as shared_from
            from identities
        ) i on i.token = coalesce(r.user_token, r.anonymous_token) and r.link_at < i.shared_from"""
