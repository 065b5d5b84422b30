"""What live lists are made from: the last run's index with people and product names; before any run, what sells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.govern.vault import initial_customer_id
from patron.recommenders.ids import codes_of_ids
from patron.recommenders.live.click_model import ClickWeights, ProductResponse
from patron.recommenders.live.index_tables import IndexTables, build_index, learned_model
from patron.recommenders.live.recommendation_index import RecommendationIndex, place_of
from patron.schema.table_definition import NUMBER, TEXT
from patron.schema.tables import EVENTS
from patron.service.session_events import day_of
from patron.storage.privacy.erasures import newest_erasure_entry
from patron.storage.recommendations.recommendation_tables import list_tables, looks_personal
from patron.storage.shop import Shop, Snapshot
from patron.understand.facts.usable_events import has_flag

NO_PEOPLE = pa.table({"token": pa.array([], pa.string()), "customer_id": pa.array([], pa.string())})
NOTHING_RELATED = pa.schema(
    [("product_id", TEXT), ("related_id", TEXT), ("kind", TEXT), ("strength", NUMBER)]
).empty_table()
NOBODY_WANTS = pa.schema(
    [
        ("customer_id", TEXT),
        ("product_id", TEXT),
        *((name, NUMBER) for name in ("probability", "days_since", "usual_days")),
        ("because_product_id", TEXT),
    ]
).empty_table()
NO_RUN = ""
"""Version of lists before any run."""


class SourceKey(NamedTuple):
    """What a source is made of; where it differs, the source is out of date."""

    run: object
    """The run and the versions of its tables; None before any."""
    newest_erasure: int
    """Its number in the audit log."""
    policy_version: str


@dataclass(frozen=True, eq=False)
class RecommendationSource:
    """The index, and what it does not know: whose token is whose, and what products are called."""

    key: SourceKey
    index: RecommendationIndex
    people: pa.Table
    """token and customer_id, in order of tokens; no device of several people."""
    product_names: pa.Array
    """In the order of the index's products."""
    price_cents: pa.Array
    as_of: datetime | None
    weights: ClickWeights
    response: ProductResponse
    """By the last night."""

    def customer_of(self, token: str) -> str:
        """Customer of a token: from the last run's identities, else a customer of this token alone."""
        tokens = self._tokens
        place = place_of(tokens, token)
        return initial_customer_id(token) if place < 0 else self.people["customer_id"][place].as_py()

    def tokens_of(self, customer_id: str) -> Sequence[str]:
        """Tokens of a customer of the last run."""
        order, customers = self._by_customer
        start, end = (np.searchsorted(customers, customer_id, side=side) for side in ("left", "right"))
        return [self._tokens[int(place)].as_py() for place in order[start:end]]

    def with_learning(self, other: Self) -> Self:
        """This source with what the other one has learned since the same run."""
        response = ProductResponse.unknown(len(self.index.facts))
        place = codes_of_ids(other.index.facts.products, self.index.facts.products)
        for name in ("clicks", "expected_clicks", "orders", "expected_orders"):
            getattr(response, name)[place[place >= 0]] = getattr(other.response, name)[place >= 0]
        response.source_clicks, response.source_orders = other.response.source_clicks, other.response.source_orders
        return replace(self, response=response, weights=other.weights)

    @cached_property
    def _tokens(self) -> pa.Array:
        return self.people["token"].combine_chunks()

    @cached_property
    def _by_customer(self) -> tuple[np.ndarray, np.ndarray]:
        customers = np.asarray(self.people["customer_id"].to_pylist(), dtype="U32")
        order = np.argsort(customers, kind="stable")
        return order, customers[order]


def source_key(shop: Shop, view: Snapshot | None) -> SourceKey:
    """What a source would be made of now: the run, its tables, the erasures since, and the policy."""
    run = (view.run.run_id, tuple(sorted(view.pinned.items()))) if view else None
    with shop.store.begin() as connection:
        return SourceKey(run, newest_erasure_entry(connection), shop.policy.version)


def load_source(shop: Shop, view: Snapshot | None, key: SourceKey, *, now: datetime) -> RecommendationSource:
    """Read the tables of the last run; before any run count what events in the lake name."""
    if view is None or view.table_version("recommendable_products") is None:
        return _without_run(shop, key, now=now)
    tables = IndexTables(**list_tables(view.query, view.run, view.policy))
    index = build_index(
        tables,
        at_day=day_of(view.run.as_of),
        margin_share=view.settings.shop.margin_share,
        version=view.run.run_id,
    )
    people = view.query("select token, customer_id from identities where shared_from is null order by token")
    names = view.query("select product_id, product_name, price_cents from products order by product_id")
    return _source(key, index, people, names, view.run.as_of, learned_model(tables, index.facts.products))


def _source(
    key: SourceKey,
    index: RecommendationIndex,
    people: pa.Table,
    names: pa.Table,
    as_of: datetime | None,
    learned: tuple[ClickWeights, ProductResponse],
) -> RecommendationSource:
    place = pc.index_in(index.facts.products, names["product_id"].combine_chunks())
    name, price = (names[column].combine_chunks().take(place) for column in ("product_name", "price_cents"))
    return RecommendationSource(key, index, people, name, price, as_of, *learned)


def _without_run(shop: Shop, key: SourceKey, *, now: datetime) -> RecommendationSource:
    """What sells and is looked at, from the events in the lake; nobody is known."""
    events = shop.lake.relation(EVENTS)
    usable = f"""(select * from ({events}) where product_id is not null and name <> 'Promotion Scheduled'
  and not {has_flag("test", "flags")} and not {has_flag("bot", "flags")} and not {has_flag("no_consent", "flags")})"""
    newest = "arg_max(json_extract_string(properties, '$.{0}'), known_at) filter (name = 'Product Updated')"
    named = shop.query(f"""
select product_id, max(product_name) as product_name, arg_max(price_cents, known_at) as price_cents,
  min(epoch(known_at)) / 86400.0 as known_day, max(category) as category, max(brand) as brand,
  cast(null as varchar) as style_id, cast(null as bigint) as cost_cents,
  try_cast({newest.format("stock")} as double) as stock,
  lower({newest.format("is_consumable")}) = 'true' as is_consumable,
  coalesce(lower({newest.format("is_blocked")}) = 'true', false) or {looks_personal("product_id")} as is_blocked
from {usable} e group by product_id order by product_id""")
    purchases = shop.query(f"""
select cast(null as varchar) as customer_id, product_id, {day_of(now)} - epoch(occurred_at) / 86400.0 as days,
  false as is_return
from {usable} e where name <> 'Product Updated'""")
    tables = IndexTables(named, purchases, NOTHING_RELATED, NOBODY_WANTS)
    margin_share = shop.settings.shop.margin_share
    index = build_index(tables, at_day=day_of(now), margin_share=margin_share, version=NO_RUN)
    return _source(key, index, NO_PEOPLE, named, None, learned_model(tables, index.facts.products))
