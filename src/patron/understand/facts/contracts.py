"""Contracts with a declared end, by term, and whether the customer has cancelled them."""

from patron.storage.engine import timestamp
from patron.understand.facts.declared_properties import declared_text, declared_time
from patron.understand.facts.usable_events import END_OF_TIME, Scope, usable_events, with_customer

STARTED, CANCELLED = "Contract Started", "Contract Cancelled"
CONTRACTS = f"('{STARTED}', '{CANCELLED}')"


def contract_id(of: str) -> str:
    """SQL of the contract that an event names."""
    return declared_text(of, "contract_id")


def ends_at(of: str, zone: str) -> str:
    """SQL of the end that an event declares."""
    return declared_time(of, "ends_at", zone)


def is_usable(of: str, zone: str) -> str:
    """SQL condition of an event of a contract: it names the contract and, when it starts, an end after its start."""
    end = f"({ends_at(of, zone)})"
    has_end = f"{end} > least({of}.occurred_at, {of}.known_at) and {end} < {timestamp(END_OF_TIME)}"
    return f"({contract_id(of)} is not null and ({of}.name = '{CANCELLED}' or coalesce({has_end}, false)))"


def contracts(scope: Scope) -> str:
    """One row per contract and term; of several events with the same end, the first known.

    A cancellation counts for each term that it is within: what was known of a term never depends on a later one.
    """
    kept = ("occurred_at", "contract_id", "ends_at", "name", "price_cents", "currency", "source", "event_id")
    contract_events = usable_events(
        scope,
        *("price_cents", "currency", "properties", "known_at as link_at"),
        where=f"e.name in {CONTRACTS} and {is_usable('e', scope.zone)}",
    )
    named = f"{contract_id('u')} as contract_id, {ends_at('u', scope.zone)} as ends_at"
    read = f"select u.*, {named} from ({contract_events}) u"
    rows = with_customer(read, *kept)
    of_contract = "partition by o.customer_id, o.contract_id"
    return f"""
        select t.customer_id, t.contract_id, t.term, t.started_at, t.ends_at, t.price_cents,
            min(c.occurred_at) as cancelled_at, min(c.known_at) as cancellation_known_at, t.known_at
        from (
            select s.*, row_number() over (partition by customer_id, contract_id order by ends_at) as term
            from (
                select o.customer_id, o.contract_id, o.ends_at, o.known_at, o.occurred_at as started_at,
                    case when o.price_cents >= 0 then cast(round(o.price_cents * r.rate) as bigint) end as price_cents,
                    row_number() over ({of_contract}, o.ends_at
                        order by o.known_at, o.occurred_at, o.source, o.event_id) as place
                from ({rows}) o
                left join rates r on r.currency = coalesce(o.currency, '{scope.currency}')
                where o.name = '{STARTED}'
            ) s
            where place = 1
        ) t
        left join (select * from ({rows}) o where o.name = '{CANCELLED}') c
            on c.customer_id = t.customer_id and c.contract_id = t.contract_id
            and c.occurred_at >= t.started_at and c.occurred_at < t.ends_at
        group by t.customer_id, t.contract_id, t.term, t.started_at, t.ends_at, t.price_cents, t.known_at"""
