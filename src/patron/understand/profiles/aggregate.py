"""Events to profiles, by one query: the same for a request that just came and for all the lake."""

from collections.abc import Iterator
from itertools import pairwise, starmap

import duckdb
import pyarrow as pa

from patron.schema.events import BY_NAME
from patron.storage.engine import timestamp
from patron.understand.facts.interactions import DONE_TO_CUSTOMERS, KINDS
from patron.understand.facts.usable_events import EARLIEST, flagged
from patron.understand.profiles.profile import (
    FEWEST_OWNERS,
    NEWEST_ACTS,
    NEWEST_ORDERS,
    NEWEST_PRODUCTS,
    Profile,
    profile_of,
)

SOLD = ("Order Completed", "Order Line Completed")
REFUNDED = ("Order Refunded", "Order Line Refunded", "Order Cancelled")
ADDED_TO_CART = ("Product Added", "Wishlist Product Added to Cart")
REMOVED_FROM_CART = ("Product Removed",)
VIEWED = ("Product Viewed", "Product Clicked")
LONGEST_TEXT = 200
"""Characters of a name or number that are kept: a profile cannot be made large by long ones."""
ROWS_TOGETHER = 2_000_000
PARTS = ("names", "money", "acts", "cart", "products", "orders", "users")


def profiles_of(con: duckdb.DuckDBPyConnection, events: str, *, slices: int = 1) -> Iterator[tuple[str, Profile]]:
    """Profile of each token of a relation of events; tokens are taken in slices so that memory is bounded."""
    for number in range(slices):
        for batch in con.sql(profiles_query(events, f"hash({{0}}) % {slices} = {number}")).to_arrow_reader(10_000):
            parts = zip(*(_lists(batch.column(name)) for name in PARTS), strict=True)
            yield from zip(batch.column("token").to_pylist(), starmap(profile_of, parts), strict=True)


def profiles_query(events: str, is_of_slice: str) -> str:
    """One row per token with the parts of its profile, each a list."""
    is_of_token, is_of_device = is_of_slice.format("token"), is_of_slice.format("anonymous_token")
    joins = " ".join(f"left join {name} on {name}.token = t.token" for name in PARTS)
    return f"""
        with token_events as (select * from ({_token_events(events)}) e where {is_of_token} or {is_of_device}),
        mine as (select * from token_events where {is_of_token}),
        names as ({_listed("name, n, first_us, last_us", _names())}),
        money as ({_listed("currency, paid_cents, refunded_cents", _money())}),
        acts as ({_listed(ACT, _newest(_not_in(_done_to_customers())))}),
        cart as ({_listed(ACT, _newest(f"name in {_texts(SOLD + ADDED_TO_CART + REMOVED_FROM_CART)}"))}),
        products as ({_listed("at_us, key", _latest("product_id", VIEWED, NEWEST_PRODUCTS))}),
        orders as ({_listed("at_us, key", _latest(ORDER, SOLD, NEWEST_ORDERS))}),
        users as ({_listed("at_us, key", _users(is_of_device))})
        select t.token, {", ".join(f"{name}.listed as {name}" for name in PARTS)}
        from (select token from names union select token from users) t {joins}"""


ACT = "at_us, source, event_id, name, product_id, quantity, order_id"
ORDER = "source || '/' || coalesce(order_id, event_id)"


def _token_events(events: str) -> str:
    """Events of customers with a possible time; they occurred no later than we knew, and count for their user first.

    What was kept without the consent it needs is left out, and so is test traffic.
    """
    return f"""
        select coalesce(user_token, anonymous_token) as token, user_token, anonymous_token, source, event_id,
            left(name, {LONGEST_TEXT}) as name, left(product_id, {LONGEST_TEXT}) as product_id, quantity,
            left(order_id, {LONGEST_TEXT}) as order_id, coalesce(currency, '') as currency,
            epoch_us(least(occurred_at, known_at)) as at_us, epoch_us(known_at) as known_us, {_worth()} as worth_cents
        from ({events}) e
        where coalesce(user_token, anonymous_token) is not null and occurred_at >= {timestamp(EARLIEST)}
            and not {flagged("no_consent", "flags")} and not {flagged("test", "flags")}"""


def _worth() -> str:
    """Paid or refunded without shipping and tax: the total, or product by product; an order counts once."""
    of_list = """list_sum([greatest(p.price_cents * coalesce(p.quantity, 1) - coalesce(p.discount_cents, 0), 0)
        for p in products])"""
    return f"""
        case when {flagged("repeated_order", "flags")} then 0 else greatest(0, coalesce(
            revenue_cents, total_cents - coalesce(shipping_cents, 0) - coalesce(tax_cents, 0),
            cast({of_list} as bigint) - coalesce(discount_cents, 0),
            price_cents * coalesce(quantity, 1) - coalesce(discount_cents, 0), 0)) end"""


def _names() -> str:
    known = f"case when name in {_texts(tuple(BY_NAME))} then name else '' end"
    return f"""
        select token, {known} as name, count(*) as n, min(at_us) as first_us, max(at_us) as last_us
        from mine group by all"""


def _money() -> str:
    def sum_of(names: tuple[str, ...]) -> str:
        return f"cast(sum(case when name in {_texts(names)} then worth_cents else 0 end) as bigint)"

    return f"""
        select token, currency, {sum_of(SOLD)} as paid_cents, {sum_of(REFUNDED)} as refunded_cents
        from mine where name in {_texts(SOLD + REFUNDED)} group by all"""


def _newest(where: str) -> str:
    order = "partition by token order by at_us desc, source desc, event_id desc"
    return f"""
        select token, {ACT} from mine where {where} qualify row_number() over ({order}) <= {NEWEST_ACTS}"""


def _latest(key: str, names: tuple[str, ...], most: int) -> str:
    return f"""
        select token, {key} as key, max(at_us) as at_us from mine
        where name in {_texts(names)} and {key} is not null group by token, {key}
        qualify row_number() over (partition by token order by max(at_us) desc, {key} desc) <= {most}"""


def _users(is_of_slice: str) -> str:
    order = "partition by anonymous_token order by min(known_us), user_token"
    return f"""
        select anonymous_token as token, user_token as key, min(known_us) as at_us from token_events
        where anonymous_token is not null and user_token is not null and {is_of_slice}
        group by anonymous_token, user_token
        qualify row_number() over ({order}) <= {FEWEST_OWNERS}"""


def _listed(columns: str, relation: str) -> str:
    named = ", ".join(f"{column} := {column}" for column in columns.split(", "))
    return f"select token, list(struct_pack({named})) as listed from ({relation}) q group by token"


def _done_to_customers() -> tuple[str, ...]:
    return tuple(name for name, kind in KINDS.items() if kind in DONE_TO_CUSTOMERS)


def _not_in(names: tuple[str, ...]) -> str:
    return f"name not in {_texts(names)}"


def _texts(values: tuple[str, ...]) -> str:
    return "(" + ", ".join(f"'{value}'" for value in values) + ")"


def _lists(part: pa.Array) -> Iterator[list[tuple]]:
    """The list of each row, as tuples: column by column, which is far quicker than structs one by one."""
    rows = list(zip(*(field.to_pylist() for field in part.values.flatten()), strict=True))
    starts = part.offsets.to_pylist()
    return (rows[start:end] for start, end in pairwise(starts))
