"""What one stage sees of the workspace: the tables and capabilities it declares, and no way around them."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from patron.schema.common_sentences import DECLARE_IN_READS, DECLARE_IN_WRITES
from patron.schema.errors import WorkspaceError
from patron.schema.sentences import Sentence
from patron.schema.table_checks import validated
from patron.schema.table_definition import Table, conform
from patron.schema.tables import BY_NAME
from patron.storage.duck_engine import DuckEngine
from patron.storage.engine import Parameters
from patron.storage.lake.lake import Lake
from patron.storage.lake.lake_amendment import Amender
from patron.storage.models.model_decisions import ModelDecision
from patron.storage.offers.deliveries import NO_DELIVERIES, Deliveries
from patron.storage.offers.policy import Policy
from patron.storage.outreach.approved_terms import SegmentTriggerTerms, segment_triggers
from patron.storage.outreach.sending_hold import current_hold
from patron.storage.runs.pinned_tables import LAST, PinnedTables, TableCopies, select_sql, with_ctes
from patron.storage.runs.runs import CompletedRun, Run
from patron.storage.segments.segment_definitions import SegmentDefinition, definitions
from patron.storage.settings import Settings
from patron.storage.store.declared_store import DeclaredStore
from patron.storage.store.store import METADATA, Store
from patron.storage.workspace.workspace_files import IMAGE_VECTORS_FILE, OFFER_RULES_FILE, PRODUCT_EDGES_FILE

STAGE_DECLARES_UNKNOWN = Sentence(
    "stage_declares_unknown", "a stage declares {names}, which is neither a table nor a capability"
)
CORRECT_READS = Sentence("correct_reads", "Correct its READS and WRITES.")
STAGE_MAY_NOT_USE = Sentence("stage_may_not_use", "a stage that declares {names} may not use {name}")
STAGE_MAY_NOT_WRITE = Sentence("stage_may_not_write", "a stage that writes {names} may not write {name}")

Fact = TypeVar("Fact")
VAULT = "vault"
CAPABILITIES = frozenset({VAULT})
"""What READS may name besides tables of the lake and of the store; the run hands them in."""


@dataclass(frozen=True)
class WorkspaceParts:
    """The parts of a workspace that views are made of."""

    folder: Path
    settings: Settings
    policy: Policy
    lake: Lake
    engine: DuckEngine
    store: Store
    last: CompletedRun | None = None
    """The last completed run, where a stage may build on it."""
    pinned_models: Mapping[str, ModelDecision] = field(default_factory=dict)
    """Earlier models that people want to score with, by question."""
    run_before: Run | None = None
    """The completed run of the latest cutoff before that of the view's run."""
    is_retraining: bool = False
    """Whether somebody wants every model to be trained again."""
    deliveries: Deliveries = NO_DELIVERIES
    """What became of the offers of each run."""
    copies: TableCopies | None = None
    """Where a run keeps small tables that its steps read."""


class StageView:
    """The tables that a stage declared, at pinned versions, and nothing to write but those of its WRITES."""

    def __init__(
        self,
        workspace: WorkspaceParts,
        reads: Iterable[str],
        writes: Iterable[str],
        *,
        run: Run,
        versions: Mapping[str, int | None],
        capabilities: Mapping[str, Any],
    ) -> None:
        """Raises WorkspaceError when the stage declares a name that is neither a table nor a capability."""
        declared, self._writes = frozenset(reads) | frozenset(writes), frozenset(writes)
        unknown = declared - BY_NAME.keys() - METADATA.tables.keys() - CAPABILITIES
        if unknown:
            raise WorkspaceError(STAGE_DECLARES_UNKNOWN(names=", ".join(sorted(unknown))), todo=CORRECT_READS)
        self.run = run
        self.last = last = workspace.last
        """The last completed run, whose tables queries read as `last_<name>`; None where nothing may build on it."""
        self.settings = workspace.settings
        """Where we run."""
        self.policy = workspace.policy
        """What we promise."""
        self.models_folder = workspace.folder / "models"
        """Fitted models."""
        self.outbox_folder = workspace.folder / "outbox"
        """Files for channels."""
        self.offer_rules_file = workspace.folder / OFFER_RULES_FILE
        """Which offers help against which reason for leaving; a workspace need not have it."""
        self.product_edges_file = workspace.folder / PRODUCT_EDGES_FILE
        """Relations of products that people wrote; a workspace need not have it."""
        self.image_vectors_file = workspace.folder / IMAGE_VECTORS_FILE
        """Vectors of product pictures; a workspace need not have it."""
        self.pinned_models = workspace.pinned_models
        """Earlier models that people want to score with, by question."""
        self.run_before = workspace.run_before
        """The completed run of the latest cutoff before this one's; None where there is none."""
        self.is_retraining = workspace.is_retraining
        """Whether somebody wants every model to be trained again."""
        self.deliveries = workspace.deliveries
        """What became of the offers of each run."""
        self.declared_store = DeclaredStore(
            workspace.store, declared & METADATA.tables.keys(), self._writes & METADATA.tables.keys()
        )
        """The tables of the store that the stage declared."""
        self._lake, self._engine, self._store = workspace.lake, workspace.engine, workspace.store
        self._tables = PinnedTables(
            workspace.lake,
            workspace.engine,
            names=declared & BY_NAME.keys(),
            versions=versions,
            run_id=self.run.run_id,
            last_versions={name: last.table_versions.get(name) for name in declared & BY_NAME.keys()} if last else {},
            conditions=workspace.deliveries.conditions(),
            rebuilt=workspace.deliveries.rebuilt,
            copies=workspace.copies,
        )
        self._capabilities = {name: capabilities[name] for name in declared & CAPABILITIES & capabilities.keys()}
        self._facts: dict[str, Any] = {}

    @cached_property
    def segments(self) -> Mapping[str, SegmentDefinition]:
        """The newest version of every segment, by name."""
        return definitions(self._store)

    @cached_property
    def is_sending_held(self) -> bool:
        """Whether nobody is written to, as after a restore."""
        return current_hold(self._store) is not None

    @cached_property
    def triggers(self) -> Sequence[SegmentTriggerTerms]:
        """Segments whose new members enter a journey, by the rules that were approved."""
        return segment_triggers(self._store)

    def query(self, sql: str, parameters: Parameters | None = None, **tables: pa.Table) -> pa.Table:
        """Run a portable SELECT over the stage's tables and the Arrow tables given by name."""
        return self._tables.query(sql, tables, parameters)

    def read(self, name: str, columns: Iterable[str] | None = None) -> pa.Table:
        """Read a table of the stage, whole or some columns."""
        return self.query(select_sql(name, columns))

    def once(self, name: str, make: Callable[[], Fact]) -> Fact:
        """What `make` returned when it was first asked for; two who ask at once may both compute it."""
        if name not in self._facts:
            self._facts[name] = make()
        return self._facts[name]

    def table_version(self, name: str) -> int | None:
        """Version of a lake table that the stage reads; None before its first write."""
        return self._tables.version(name)

    def query_added(self, name: str, since: int, sql: str) -> pa.Table | None:
        """Run a SELECT over the rows of one table added since a version; None when rows were removed too."""
        until = self.table_version(name)
        files = self._lake.files_added(BY_NAME[name], since, until) if until is not None and since <= until else None
        if files is None:
            return None
        return self._engine.query(with_ctes(sql, [(name, self._lake.relation(BY_NAME[name], only=files))]))

    def has_last(self, name: str) -> bool:
        """Whether a table can be read as the last completed run left it."""
        version = self.last.table_versions.get(name) if self.last else None
        try:
            return version is not None and all(map(os.path.exists, self._lake.files(BY_NAME[name], version)))
        except WorkspaceError:
            return False

    def write(self, name: str, rows: pa.Table) -> None:
        """Validate rows and replace those of this run (or, in a table without runs, all rows) by them."""
        table, part = self._writable(name)
        self._lake.replace(table, validated(table, rows), part=part)

    def write_query(self, name: str, sql: str, **tables: pa.Table) -> None:
        """Write the result of a query as `write` would, without ever holding it in memory whole."""
        table, part = self._writable(name)
        self._lake.replace_by_query(table, self._engine, self._tables.with_snapshots(sql, tables), tables, part=part)

    def amend(self, name: str, rows: pa.Table, *, where: str, **tables: pa.Table) -> None:
        """Write the table as the last completed run left it, rows that meet a condition (SQL) replaced by these.

        Rows that stay as they were are not written again.
        """
        table, _ = self._writable(name)
        rows, version = conform(table, rows), self.last.table_versions[name] if self.last else None
        before = conform(table, self.query(f"select * from {LAST}{name} where {where}", **tables))
        both = {"rows": rows, "before": before}
        gone = self._engine.query("select * from before except all select * from rows", both)
        added = self._engine.query("select * from rows except all select * from before", both)
        lake = Amender(self._lake.folder, self._lake.record)
        lake.amend(table, self._engine, version=version, gone=gone, added=conform(table, added))

    def capability(self, name: str) -> Any:
        """What the run hands in under a name, such as the vault. Raises WorkspaceError for an undeclared one."""
        if name not in self._capabilities:
            what = STAGE_MAY_NOT_USE(names=", ".join(sorted(self._capabilities)), name=name)
            raise WorkspaceError(what, todo=DECLARE_IN_READS)
        return self._capabilities[name]

    def _writable(self, name: str) -> tuple[Table, str | None]:
        """The table, and the part of it that belongs to this run. Raises WorkspaceError for another stage's."""
        if name not in self._writes or name not in BY_NAME:
            what = STAGE_MAY_NOT_WRITE(names=", ".join(sorted(self._writes)), name=name)
            raise WorkspaceError(what, todo=DECLARE_IN_WRITES)
        table = BY_NAME[name]
        return table, self.run.run_id if table.partition_by == "run_id" else None
