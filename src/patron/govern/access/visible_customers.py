"""Which customers an actor sees: those of their team's segment at the last run, or everybody."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.schema.access.access_rights import Actor
from patron.schema.errors import BadSegment, NoRunYet, NotFound
from patron.schema.table_definition import TEXT
from patron.storage.customers.customer_tags import tags_version
from patron.storage.runs.last_run import last_run
from patron.storage.runs.past_shop import PastShop
from patron.storage.segments.segment_definitions import definitions, tags_within
from patron.storage.segments.segment_query import member_ids
from patron.storage.shop import Shop

ID_BYTES = 32
MAX_SEGMENTS = 16
"""Segments whose members are remembered."""


@dataclass(frozen=True, eq=False)
class VisibleCustomers:
    """Customers whom a restricted actor sees."""

    segment: str
    rows: pa.Table
    """Their ids: one column, customer_id."""

    def __contains__(self, customer_id: str) -> bool:
        """Whether the actor sees a customer."""
        wanted = np.bytes_(customer_id.encode()[: ID_BYTES + 1])
        place = int(np.searchsorted(self.sorted_ids, wanted))
        return place < len(self.sorted_ids) and bool(self.sorted_ids[place] == wanted)

    def __len__(self) -> int:
        """How many they are."""
        return self.rows.num_rows

    def select(self, customer_ids: Iterable[str]) -> tuple[str, ...]:
        """Those of some customers whom the actor sees, in their order."""
        return tuple(customer_id for customer_id in customer_ids if customer_id in self)

    def restrict(self, rows: pa.Table) -> pa.Table:
        """Those rows of a table with customer_id that are about customers whom the actor sees."""
        return rows.filter(pc.is_in(rows["customer_id"], value_set=self.rows["customer_id"].combine_chunks()))

    @property
    def ids(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(self.rows["customer_id"].to_pylist())

    @cached_property
    def sorted_ids(self) -> np.ndarray:
        """Their ids as bytes, ascending."""
        return np.sort(self.rows["customer_id"].to_numpy().astype(f"S{ID_BYTES}"))


_KNOWN: WeakKeyDictionary[Shop, dict[str, tuple[object, VisibleCustomers]]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def visible_customers(shop: Shop, actor: Actor) -> VisibleCustomers | None:
    """Customers whom an actor sees; None is everybody.

    They are the members of the segment of the actor's team, by its newest rule and tags, as of the last run. Before any
    run, and where the segment was deleted or cannot be read, it is nobody.
    """
    # why: who looks back sees of the past what they may see today, not who was in the segment then
    present = shop.present if isinstance(shop, PastShop) else shop
    return _members(present, actor.segment) if actor.segment else None


def _members(shop: Shop, segment: str) -> VisibleCustomers:
    try:
        view = last_run(shop)
    except NoRunYet:
        return _nobody(segment)
    # why: a segment may be of others, whose newest rules count too, and of tags, which change between runs
    rules = repr(sorted(definitions(shop.store).items()))
    tags = tags_version(shop.store, tags_within(shop.store, segment))
    version = (view.run.run_id, view.run.as_of, rules, tags)
    with _LOCK:
        known = _KNOWN.setdefault(shop, {})
        if segment in known and known[segment][0] == version:
            return known[segment][1]
    try:
        members = VisibleCustomers(segment, member_ids(view, segment))
    except (NotFound, BadSegment):
        members = _nobody(segment)
    with _LOCK:
        while len(known) >= MAX_SEGMENTS:
            known.pop(next(iter(known)))
        known[segment] = (version, members)
    return members


def _nobody(segment: str) -> VisibleCustomers:
    return VisibleCustomers(segment, pa.table({"customer_id": pa.array([], TEXT)}))
