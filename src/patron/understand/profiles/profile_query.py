"""Aggregate events into profiles by one query, which serves a request that just came and the whole lake."""

from collections.abc import Iterator
from itertools import pairwise, starmap

import duckdb
import pyarrow as pa

from patron.schema.events import BY_NAME
from patron.storage.engine import sql_list, timestamp
from patron.understand.facts.interactions import DONE_TO_CUSTOMERS, KINDS
from patron.understand.facts.usable_events import MIN_TIME, has_flag
from patron.understand.profiles.token_profile import (
    MAX_EVENTS,
    MAX_ORDERS,
    MAX_OWNERS,
    MAX_PRODUCTS,
    TokenProfile,
    profile_from_rows,
)

SOLD = ("Order Completed", "Order Line Completed")
REFUNDED = ("Order Refunded", "Order Line Refunded", "Order Cancelled")
ADDED_TO_CART = ("Product Added", "Wishlist Product Added to Cart")
REMOVED_FROM_CART = ("Product Removed",)
CHANGES_CART = SOLD + ADDED_TO_CART + REMOVED_FROM_CART
VIEWED = ("Product Viewed", "Product Clicked")
MAX_TEXT_LENGTH = 200
"""Longer names and ids are cut off, so that they cannot make a profile large."""
ROWS_PER_SLICE = 2_000_000
"""Events that are aggregated at a time."""
PROFILE_FIELDS = ("tallies", "totals", "recent_events", "cart_events", "viewed_products", "orders", "users")


def profiles_of(con: duckdb.DuckDBPyConnection, events: str, *, slices: int = 1) -> Iterator[tuple[str, TokenProfile]]:
    """Profile of each token of a relation of events; tokens are processed in slices, so that memory is bounded."""
    for number in range(slices):
        for batch in con.sql(profiles_query(events, f"hash({{0}}) % {slices} = {number}")).to_arrow_reader(10_000):
            fields = zip(*(_rows_of_lists(batch.column(name)) for name in PROFILE_FIELDS), strict=True)
            yield from zip(batch.column("token").to_pylist(), starmap(profile_from_rows, fields), strict=True)


def profiles_query(events: str, slice_condition: str) -> str:
    """One row per token with the fields of its profile, each a list."""
    is_of_token, is_of_device = slice_condition.format("token"), slice_condition.format("anonymous_token")
    joins = " ".join(f"left join {name} on {name}.token = t.token" for name in PROFILE_FIELDS)
    return f"""
        with token_events as (select * from ({_token_events(events)}) e where {is_of_token} or {is_of_device}),
        slice_events as (select * from token_events where {is_of_token}),
        tallies as ({_list_per_token("name, n, first_us, last_us", _tallies())}),
        totals as ({_list_per_token("currency, paid_cents, refunded_cents", _totals())}),
        recent_events as ({_list_per_token(EVENT_COLUMNS, _newest_events(_is_not_named(_done_to_customers())))}),
        cart_events as ({_list_per_token(EVENT_COLUMNS, _newest_events(f"name in {sql_list(CHANGES_CART)}"))}),
        viewed_products as ({_list_per_token("at_us, key", _latest_by_key("product_id", VIEWED, MAX_PRODUCTS))}),
        orders as ({_list_per_token("at_us, key", _latest_by_key(ORDER_KEY, SOLD, MAX_ORDERS))}),
        users as ({_list_per_token("at_us, key", _first_users(is_of_device))})
        select t.token, {", ".join(f"{name}.items as {name}" for name in PROFILE_FIELDS)}
        from (select token from tallies union select token from users) t {joins}"""


EVENT_COLUMNS = "at_us, source, event_id, name, product_id, quantity, order_id"
ORDER_KEY = "source || '/' || coalesce(order_id, event_id)"


def _token_events(events: str) -> str:
    """Events with a token and a plausible time; an event with a user and a device counts for the user.

    Events without the consent they need and test traffic are left out. An event occurred no later than it was known.
    """
    return f"""
        select coalesce(user_token, anonymous_token) as token, user_token, anonymous_token, source, event_id,
            left(name, {MAX_TEXT_LENGTH}) as name, left(product_id, {MAX_TEXT_LENGTH}) as product_id, quantity,
            left(order_id, {MAX_TEXT_LENGTH}) as order_id, coalesce(currency, '') as currency,
            epoch_us(least(occurred_at, known_at)) as at_us, epoch_us(known_at) as known_us,
            {_worth_cents()} as worth_cents
        from ({events}) e
        where coalesce(user_token, anonymous_token) is not null and occurred_at >= {timestamp(MIN_TIME)}
            and not {has_flag("no_consent", "flags")} and not {has_flag("test", "flags")}"""


def _worth_cents() -> str:
    """Amount paid or refunded without shipping and tax: the total, else the sum over products; an order counts once."""
    of_products = """list_sum([greatest(p.price_cents * coalesce(p.quantity, 1) - coalesce(p.discount_cents, 0), 0)
        for p in products])"""
    return f"""
        case when {has_flag("repeated_order", "flags")} then 0 else greatest(0, coalesce(
            revenue_cents, total_cents - coalesce(shipping_cents, 0) - coalesce(tax_cents, 0),
            cast({of_products} as bigint) - coalesce(discount_cents, 0),
            price_cents * coalesce(quantity, 1) - coalesce(discount_cents, 0), 0)) end"""


def _tallies() -> str:
    known = f"case when name in {sql_list(BY_NAME)} then name else '' end"
    return f"""
        select token, {known} as name, count(*) as n, min(at_us) as first_us, max(at_us) as last_us
        from slice_events group by all"""


def _totals() -> str:
    def sum_of(names: tuple[str, ...]) -> str:
        return f"cast(sum(case when name in {sql_list(names)} then worth_cents else 0 end) as bigint)"

    return f"""
        select token, currency, {sum_of(SOLD)} as paid_cents, {sum_of(REFUNDED)} as refunded_cents
        from slice_events where name in {sql_list(SOLD + REFUNDED)} group by all"""


def _newest_events(where: str) -> str:
    order = "partition by token order by at_us desc, source desc, event_id desc"
    return f"""
        select token, {EVENT_COLUMNS} from slice_events where {where}
        qualify row_number() over ({order}) <= {MAX_EVENTS}"""


def _latest_by_key(key: str, names: tuple[str, ...], most: int) -> str:
    return f"""
        select token, {key} as key, max(at_us) as at_us from slice_events
        where name in {sql_list(names)} and {key} is not null group by token, {key}
        qualify row_number() over (partition by token order by max(at_us) desc, {key} desc) <= {most}"""


def _first_users(slice_condition: str) -> str:
    order = "partition by anonymous_token order by min(known_us), user_token"
    return f"""
        select anonymous_token as token, user_token as key, min(known_us) as at_us from token_events
        where anonymous_token is not null and user_token is not null and {slice_condition}
        group by anonymous_token, user_token
        qualify row_number() over ({order}) <= {MAX_OWNERS}"""


def _list_per_token(columns: str, relation: str) -> str:
    named = ", ".join(f"{column} := {column}" for column in columns.split(", "))
    return f"select token, list(struct_pack({named})) as items from ({relation}) q group by token"


def _done_to_customers() -> tuple[str, ...]:
    return tuple(name for name, kind in KINDS.items() if kind in DONE_TO_CUSTOMERS)


def _is_not_named(names: tuple[str, ...]) -> str:
    return f"name not in {sql_list(names)}"


def _rows_of_lists(part: pa.Array) -> Iterator[list[tuple]]:
    """List of tuples of each row, read column by column, which is far quicker than struct by struct."""
    rows = list(zip(*(field.to_pylist() for field in part.values.flatten()), strict=True))
    starts = part.offsets.to_pylist()
    return (rows[start:end] for start, end in pairwise(starts))
