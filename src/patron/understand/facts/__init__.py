"""Facts: what happened, cleaned and in one currency, each with the time from which it could be known.

Start: `usable_events` is how every query begins, `declared_properties` reads properties without a column.
People: `identities` of `token_pairs` and `aliases`, `identity_changes`; `customers`, `customer_traits`,
`customer_consents`, `referrals`.
Orders: `order_lines` of `sale_lines` and `refund_lines`; `orders`, `later_refunds`, `contracts`.
Goods: `products`, `promotions`. Behaviour: `sessions`, `interactions`.
The next day: `amendment` computes only what new events change. `cleaning` counts what was wrong.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pyarrow as pa

from patron.govern.privacy import consent_ledger
from patron.storage.runs.runs import FactsOrigin
from patron.storage.runs.stage_view import StageView
from patron.understand.facts.aliases import aliases, persons
from patron.understand.facts.amendment import (
    amend_facts,
    changed_events,
    described_products,
    find_change,
    is_amendable,
    last_checks,
    new_events,
)
from patron.understand.facts.cleaning import cleaning, cleaning_since
from patron.understand.facts.contracts import contracts
from patron.understand.facts.customer_consents import consents, ledger_table
from patron.understand.facts.customer_traits import trait_names, traits
from patron.understand.facts.customers import customers
from patron.understand.facts.identities import identities
from patron.understand.facts.identity_changes import identity_changes
from patron.understand.facts.interactions import interactions
from patron.understand.facts.order_lines import order_lines
from patron.understand.facts.orders import orders
from patron.understand.facts.products import products
from patron.understand.facts.promotions import promotions
from patron.understand.facts.referrals import referrals
from patron.understand.facts.sessions import sessions
from patron.understand.facts.token_pairs import token_pairs, token_pairs_since
from patron.understand.facts.usable_events import BEGINNING_OF_TIME, Scope, rates_table

FACTS: Mapping[str, Callable[[Scope], str]] = {
    "token_pairs": token_pairs,
    "identities": identities,
    "traits": traits,
    "consents": consents,
    "products": products,
    "order_lines": order_lines,
    "orders": orders,
    "interactions": interactions,
    "referrals": referrals,
    "contracts": contracts,
    "promotions": promotions,
    "sessions": sessions,
    "customers": customers,
    "cleaning": cleaning,
}
"""Table to its query, in the order they are made: each reads `events`, tables before it and the small `lookups`."""


def build_facts(view: StageView) -> FactsOrigin:
    """Make every table of facts from the events known before the run's cutoff; return what they were made from.

    They are made from the last run's where nothing old changed, and whole otherwise, with the same result.
    """
    shop = view.settings.shop
    scope = Scope(view.run.as_of, shop.time_zone, shop.currency)
    ledger = ledger_table(consent_ledger.ledger(view.declared_store), view.policy.consent)
    tables = lookups(scope, view.settings.rates, view.query, ledger)
    origin = FactsOrigin(view.table_version("events"), _definition(scope, view.settings.rates))
    change = None
    if is_amendable(view, scope, origin.definition, FACTS):
        new = new_events(view, scope)
        view.write_query("token_pairs", token_pairs_since(scope), events=new)
        _write(view, scope, tables, ("identities",))
        _write(view, scope, {**tables, "events": described_products(view, scope, new)}, ("products",))
        change = find_change(view, scope, new)
    if change is None:
        _write(view, scope, tables, FACTS)
    else:
        amend_facts(view, scope, change, tables)
        _write(view, scope, tables, ("consents", "referrals", "contracts", "promotions"))
        checks = cleaning_since(scope, change.since)
        small = {"events": changed_events(view, change), "last_checks": last_checks(view)}
        _write_checks(view, checks, {**tables, **small})
    view.write_query("identity_changes", identity_changes(view.run.run_id))
    return origin


def _write(view: StageView, scope: Scope, tables: Mapping[str, pa.Table], names: Iterable[str]) -> None:
    for name in names:
        sql = FACTS[name](scope)
        if name == "cleaning":
            _write_checks(view, sql, tables)
        else:
            view.write_query(name, sql, **tables)


def _write_checks(view: StageView, sql: str, tables: Mapping[str, pa.Table]) -> None:
    view.write_query("cleaning", f"select '{view.run.run_id}' as run_id, c.* from ({sql}) c", **tables)


def _definition(scope: Scope, rates: Mapping[str, float]) -> str:
    """Hash of all that facts follow from besides events and cutoff: their queries, in this shop's zone and currency."""
    at_any_time = replace(scope, as_of=BEGINNING_OF_TIME)
    queries = [query(at_any_time) for query in (aliases, *FACTS.values())]
    return hashlib.sha256("\n".join([*queries, str(sorted(rates.items()))]).encode()).hexdigest()[:16]


def lookups(
    scope: Scope, rates: Mapping[str, float], query: Callable[[str], pa.Table], ledger: pa.Table
) -> dict[str, pa.Table]:
    """The tables that facts queries join: `rates`, `trait_names`, `ledger` and, made of a query's answer, `persons`."""
    return {
        "rates": rates_table(scope.currency, dict(rates)),
        "trait_names": trait_names(),
        "ledger": ledger,
        "persons": persons(query(aliases(scope))),
    }
