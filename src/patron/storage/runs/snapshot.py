"""Every table as one completed run left it: what answers and commands read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from patron.schema.table_definition import TEXT
from patron.schema.tables import BY_NAME, EVENTS, EXPOSURES
from patron.storage.engine import Parameters, literal
from patron.storage.offers.deliveries import NO_DELIVERIES, Deliveries
from patron.storage.offers.policy import Policy
from patron.storage.runs.past_facts import facts_before, past_conditions
from patron.storage.runs.pinned_tables import PinnedTables, select_sql
from patron.storage.runs.runs import Run
from patron.storage.settings import Settings
from patron.storage.store.store import Store

if TYPE_CHECKING:
    from patron.storage.shop import Shop

Fact = TypeVar("Fact")


class Past(Enum):
    """How a snapshot looks back at a run."""

    NOT = auto()
    """It is the last one."""
    EXACT = auto()
    """Later runs have completed, and the facts are those that the run left."""
    REBUILT = auto()
    """The run's own facts are gone: they are made of those of the last run."""


@dataclass(frozen=True)
class Snapshot:
    """Every table as one completed run left it, to read only: what answers and commands read."""

    shop: "Shop"
    run: Run
    pinned: Mapping[str, int | None]
    """Versions to read, None for a table that had not been written; one that is not named is read at its newest."""
    deliveries: Deliveries = NO_DELIVERIES
    """What became of the offers of each run: `exposures` is read without those that reached nobody."""
    past: Past = Past.NOT
    """Whether somebody looks back at the run: rows of later runs, and what became known later, are not read."""

    @property
    def settings(self) -> Settings:
        """Where we run."""
        return self.shop.settings

    @property
    def policy(self) -> Policy:
        """What we promise."""
        return self.shop.policy

    @property
    def store(self) -> Store:
        """The operational store."""
        return self.shop.store

    @property
    def folder(self) -> Path:
        """The workspace."""
        return self.shop.folder

    @cached_property
    def version(self) -> object:
        """What tells this snapshot from every other one of the shop, for what is kept of it."""
        return (self.run.run_id, tuple(sorted(self.pinned.items())), self.deliveries, self.past)

    def query(self, sql: str, parameters: Parameters | None = None, **tables: pa.Table) -> pa.Table:
        """Run a portable SELECT over the run's tables and the Arrow tables given by name."""
        return self.tables.query(sql, tables, parameters)

    def query_customer(self, customer_id: str, sql: str) -> pa.Table:
        """Run a portable SELECT about one customer, who is the only row of the table `customer`.

        It may lack rows of others: files that hold none of the customer's need not be read.
        """
        return self.query(sql, customer=customer_row(customer_id))

    def customer_rows(self, name: str, customer_id: str, *, is_of_run: bool = False) -> pa.Table:
        """Rows that a table has of one customer, with every column; perhaps only those of this run."""
        of_run = f" where t.run_id = {literal(self.run.run_id)}" if is_of_run else ""
        sql = f"select t.* from {name} t join customer a on a.customer_id = t.customer_id{of_run}"
        return self.query(sql, customer=customer_row(customer_id))

    def read(self, name: str, columns: Iterable[str] | None = None) -> pa.Table:
        """Read a table, whole or some columns."""
        return self.query(select_sql(name, columns))

    def table_version(self, name: str) -> int | None:
        """Version of a table as the run left it; None when it had not been written."""
        return self.tables.version(name)

    def once(self, name: object, make: Callable[[], Fact]) -> Fact:  # noqa: ARG002 - what keeps it needs the name
        """What `make` returns about the run as a whole; computed once a run where its reader is kept."""
        return make()

    @property
    def tables(self) -> PinnedTables:
        """The tables of the lake that queries read."""
        facts = facts_before(self.run.as_of) if self.past is Past.REBUILT else {}
        return PinnedTables(
            self.shop.lake,
            self.shop.engine,
            names=frozenset(BY_NAME),
            versions=self.pinned,
            run_id=self.run.run_id,
            conditions=self._conditions,
            rebuilt={**facts, **self.deliveries.rebuilt},
        )

    def with_newest_events(self) -> "Snapshot":
        """The same run, with events that were stored since."""
        return replace(self, pinned={name: one for name, one in self.pinned.items() if name != EVENTS.name})

    @property
    def _conditions(self) -> Mapping[str, str]:
        reached = self.deliveries.conditions((EXPOSURES.name,))
        if self.past is Past.NOT:
            return reached
        past = past_conditions(self.run)
        return past | {name: f"{condition} and {past[name]}" for name, condition in reached.items()}


def customer_row(customer_id: str) -> pa.Table:
    """A table of one customer."""
    return pa.table({"customer_id": pa.array([customer_id], TEXT)})
