"""Facts made from those of the last run: only what new events change is computed, by the same queries.

What was known before a cutoff stays as it was. Exceptions are tokens that belong to another customer now, products of
another category and orders with new events: what depends on these is made again from all of their events.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView
from patron.understand.facts.cleaning import SALES
from patron.understand.facts.customer_traits import traits
from patron.understand.facts.customers import customers
from patron.understand.facts.interactions import interactions
from patron.understand.facts.order_lines import order_lines
from patron.understand.facts.orders import orders
from patron.understand.facts.products import categories_over_time
from patron.understand.facts.refund_lines import REFUNDS
from patron.understand.facts.sessions import sessions
from patron.understand.facts.usable_events import END_OF_TIME, Scope

MAX_SHARE = 0.2
"""Share of all events above which everything is made again, which then costs less."""
ORDER_KEY = "coalesce(e.order_id, e.event_id)"
OF_ORDERS = f"(e.name in {SALES} or e.name in {REFUNDS})"
CATALOGUE = "e.name = 'Product Updated'"
COLUMNS_OF_TOKENS = """source, event_id, name, user_token, anonymous_token, occurred_at, known_at, flags, order_id,
    decision_id, coupon, product_id, category, campaign_id, rating, channel, device, properties, traits"""
"""Columns that interactions and traits are made of, and the orders that are made again."""
Small = Mapping[str, pa.Table]
"""Small tables that queries read by name, some in place of the whole ones."""


@dataclass(frozen=True)
class Change:
    """What new events change."""

    since: Scope
    """The last run's cutoff; everything new became known from then on."""
    events: pa.Table
    """New events, and all events of tokens whose customer is made again."""
    order_events: pa.Table
    """All events of the orders that are made again, and the catalogue."""
    customers: pa.Table
    """Customers (`customer_id`) of whom no row stays."""
    orders: pa.Table
    """Orders (`order_id`) that are made again."""
    touched: pa.Table
    """Customers (`customer_id`) whose tokens are new or another customer's, before or now."""


def is_amendable(view: StageView, scope: Scope, definition: str, facts: Iterable[str]) -> bool:
    """Whether the last run's facts were made by the same queries from a part of these events, known earlier."""
    last = view.last
    if last is None or last.facts is None or last.facts.definition != definition or last.run.as_of >= scope.as_of:
        return False
    if last.facts.events_version is None or not all(map(view.has_last, facts)):
        return False
    # why: an unlinked token is void for the past too, and a backfill was known before the last run
    changes_the_past = f"known_at < {timestamp(last.run.as_of)} or name = 'Identity Unlinked'"
    sql = f"select count(*) as n from events where {changes_the_past}"
    added = view.query_added("events", last.facts.events_version, sql)
    if added is None or added["n"][0].as_py():
        return False
    since = timestamp(last.run.as_of)
    counts = f"""
        select count(*) as all_count,
            sum(case when e.known_at >= {since} or {CATALOGUE} then 1 else 0 end) as read_count,
            sum(case when e.known_at >= {since} and e.name = 'Identity Unlinked' then 1 else 0 end) as unlinked_count
        from events e where e.known_at < {timestamp(scope.as_of)}"""
    [counted] = view.query(counts).to_pylist()
    return not counted["unlinked_count"] and (counted["read_count"] or 0) <= MAX_SHARE * counted["all_count"]


def new_events(view: StageView, scope: Scope) -> pa.Table:
    """Events that became known since the last run."""
    return view.query(f"select e.* from events e where {_is_new(view)} and e.known_at < {timestamp(scope.as_of)}")


def described_products(view: StageView, scope: Scope, new: pa.Table) -> pa.Table:
    """What `products` is made of, as events: new ones, the catalogue's, and the last run's products as one each."""
    return view.query(
        f"""
        select e.* from new e
        union all by name
        select e.* from events e where {CATALOGUE} and not {_is_new(view)}
        union all by name
        select '' as source, product_id as event_id, 'Product Viewed' as name, known_at as occurred_at, known_at,
            product_id, product_name, department, category, brand, price_cents, '{scope.currency}' as currency
        from last_products""",
        new=new,
    )


def find_change(view: StageView, scope: Scope, new: pa.Table) -> Change | None:
    """What new events change, given new `identities` and `products`; None when it is too much to amend.

    Customers of whom no row stays are closed: every token with a row among them is one whose events are read.
    """
    last = view.last
    if last is None:
        return None
    since = Scope(last.run.as_of, scope.time_zone, scope.currency)
    moved = view.query(_moved_tokens(since))
    gone, tokens = _closure(view, view.query(_customers_to_make_again(), moved=moved))
    tokens = view.query("select token from tokens union select token from moved", tokens=tokens, moved=moved)
    all_tokens = view.query("select count(*) as n from identities")["n"][0].as_py()
    if len(tokens) - len(moved) > MAX_SHARE * all_tokens:
        return None
    known = f"e.known_at < {timestamp(scope.as_of)}"
    events = view.query(
        f"""
        select e.* from new e
        union all by name
        select {COLUMNS_OF_TOKENS} from events e
        where not {_is_new(view)} and coalesce(user_token, anonymous_token) in (select token from tokens)""",
        new=new,
        tokens=tokens,
    )
    orders_again = view.query(_orders_to_make_again(scope, since), new_events=events)
    order_events = view.query(
        f"""
        select e.* from events e
        where {known} and ({CATALOGUE} or ({OF_ORDERS} and {ORDER_KEY} in (select order_id from again)))""",
        again=orders_again,
    )
    touched = view.query(
        """
        select customer_id from gone union select new_id from moved where new_id is not null
        union select customer_id from last_order_lines where order_id in (select order_id from again)""",
        gone=gone,
        moved=moved,
        again=orders_again,
    )
    return Change(since, events, order_events=order_events, customers=gone, orders=orders_again, touched=touched)


def amend_facts(view: StageView, scope: Scope, change: Change, tables: Small) -> None:
    """Make the facts that have rows by customer or order from the last run's and the change."""
    events, order_events = {**tables, "events": change.events}, {**tables, "events": change.order_events}
    gone = "customer_id in (select customer_id from gone)"
    again = "order_id in (select order_id from again)"
    view.amend("traits", view.query(traits(scope), **events), where=gone, gone=change.customers)
    lines = view.query(order_lines(scope), **order_events)
    view.amend("order_lines", lines, where=again, again=change.orders)
    view.amend("orders", view.query(orders(scope), order_lines=lines), where=again, again=change.orders)
    steps = view.query(interactions(scope), **events)
    view.amend("interactions", steps, where=gone, gone=change.customers)
    touched = view.query(
        """
        select customer_id from touched union select customer_id from steps union select customer_id from lines""",
        touched=change.touched,
        steps=steps.select(["customer_id"]),
        lines=lines.select(["customer_id"]),
    )
    _amend_by_customer(view, scope, touched)


def changed_events(view: StageView, change: Change) -> pa.Table:
    """All events of the change, each once."""
    return view.query(
        f"select * from order_events union all by name select e.* from others e where not ({CATALOGUE} or {OF_ORDERS})",
        order_events=change.order_events,
        others=change.events,
    )


def last_checks(view: StageView) -> pa.Table:
    """The last run's rows of `cleaning`."""
    run_id = view.last.run.run_id if view.last else ""
    return view.query(f"select * from last_cleaning where run_id = '{run_id}'")


def _amend_by_customer(view: StageView, scope: Scope, touched: pa.Table) -> None:
    """Make sessions and customers again of all touched customers, from the new rows of the other facts."""
    is_touched = "customer_id in (select customer_id from touched)"
    columns = {
        "interactions": "customer_id, is_identified, kind, channel, device, occurred_at",
        "orders": "customer_id, order_id, channel, device, occurred_at",
        "order_lines": "customer_id, is_identified, channel, occurred_at, paid_cents, is_refund",
        "identities": "customer_id, is_user, known_at",
    }
    small = {
        name: view.query(f"select {selected} from {name} where {is_touched}", touched=touched)
        for name, selected in columns.items()
    }
    for name, query in (("sessions", sessions), ("customers", customers)):
        view.amend(name, view.query(query(scope), **small), where=is_touched, touched=touched)


def _is_new(view: StageView) -> str:
    last = view.last
    return f"(e.known_at >= {timestamp(last.run.as_of)})" if last else "true"


def _closure(view: StageView, gone: pa.Table) -> tuple[pa.Table, pa.Table]:
    """These and all further customers with rows of their tokens, and the tokens.

    A shared device has rows of its owner and, later, of a customer of its own.
    """
    while True:
        tokens = view.query(
            """
            select token, customer_id from last_identities
            where customer_id in (select customer_id from gone) or md5(token) in (select customer_id from gone)""",
            gone=gone,
        )
        more = view.query(
            """
            select customer_id from gone union select customer_id from tokens union select md5(token) from tokens""",
            gone=gone,
            tokens=tokens,
        )
        if len(more) == len(gone):
            return gone, tokens.select(["token"])
        gone = more


def _moved_tokens(since: Scope) -> str:
    """Tokens that are new or whose rows before the cutoff have another customer or time now."""
    never = timestamp(END_OF_TIME)
    shared = f"coalesce(n.shared_from, {never}) <> coalesce(o.shared_from, {never})"
    return f"""
        select coalesce(n.token, o.token) as token, o.customer_id as old_id, n.customer_id as new_id
        from identities n full join last_identities o on o.token = n.token
        where o.token is null or n.token is null or n.customer_id <> o.customer_id or n.known_at <> o.known_at
            or n.is_user <> o.is_user
            or ({shared} and least(n.shared_from, o.shared_from) < {timestamp(since.as_of)})"""


def _customers_to_make_again() -> str:
    """Customers of moved tokens, and those who did something with a product of another category."""
    return """
        select old_id as customer_id from moved where old_id is not null
        union
        select md5(token) from moved
        union
        select i.customer_id from last_interactions i
        join products n on n.product_id = i.product_id
        join last_products o on o.product_id = i.product_id
        where n.category is distinct from o.category"""


def _orders_to_make_again(scope: Scope, since: Scope) -> str:
    """Orders of the events, and those with a product that the catalogue did not have before."""
    first = f"valid_from < {timestamp(since.as_of)} and first_known_at >= {timestamp(since.as_of)}"
    return f"""
        select {ORDER_KEY} as order_id from new_events e where {OF_ORDERS}
        union
        select l.order_id from last_order_lines l
        where l.product_id in (select product_id from ({categories_over_time(scope)}) c where {first})"""
