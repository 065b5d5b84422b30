"""Facts: what happened, cleaned and in one currency, each with the time from which it could be known."""

from collections.abc import Callable, Mapping

import pyarrow as pa

from patron.govern import consent_ledger
from patron.storage.stage_view import StageView
from patron.understand.facts.aliases import aliases, persons
from patron.understand.facts.cleaning import cleaning
from patron.understand.facts.customer_consents import consents, ledger_table
from patron.understand.facts.customer_traits import trait_names, traits
from patron.understand.facts.customers import customers
from patron.understand.facts.identities import identities
from patron.understand.facts.identity_changes import identity_changes
from patron.understand.facts.interactions import interactions
from patron.understand.facts.order_lines import order_lines
from patron.understand.facts.orders import orders
from patron.understand.facts.products import products
from patron.understand.facts.referrals import referrals
from patron.understand.facts.sessions import sessions
from patron.understand.facts.usable_events import Scope, rates_table

FACTS: Mapping[str, Callable[[Scope], str]] = {
    "identities": identities,
    "traits": traits,
    "consents": consents,
    "products": products,
    "order_lines": order_lines,
    "orders": orders,
    "interactions": interactions,
    "referrals": referrals,
    "sessions": sessions,
    "customers": customers,
    "cleaning": cleaning,
}
"""Table to its query, in the order they are made: each reads `events`, tables before it and the small `lookups`."""


def build_facts(view: StageView) -> None:
    """Make every table of facts from the events known before the run's cutoff."""
    shop = view.settings.shop
    scope = Scope(view.run.as_of, shop.time_zone, shop.currency)
    ledger = ledger_table(consent_ledger.ledger(view.declared_store), view.policy.consent)
    tables = lookups(scope, view.settings.rates, view.query, ledger)
    for name, query in FACTS.items():
        sql = query(scope)
        if name == "cleaning":
            sql = f"select '{view.run.run_id}' as run_id, c.* from ({sql}) c"
        view.write_query(name, sql, **tables)
    view.write_query("identity_changes", identity_changes(view.run.run_id))


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
