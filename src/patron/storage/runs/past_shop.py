"""The shop as it was known at a past run: every answer reads it as if that run were the last one."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from patron.schema.errors import NotFound, ReadOnlyPast, WorkspaceError
from patron.schema.sentences import Sentence
from patron.schema.tables import BY_NAME
from patron.storage.offers.deliveries import read_deliveries
from patron.storage.runs.past_facts import FACTS
from patron.storage.runs.runs import Run, run_of
from patron.storage.runs.snapshot import Past, Snapshot
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

if TYPE_CHECKING:
    from patron.storage.duck_engine import DuckEngine
    from patron.storage.lake.lake import Lake

RUN_IT = Sentence("run_it", "Run it with `patron run`.")

SHOWN_PAST = Sentence("shown_past", "the shop is shown as known at the run {run}, and nothing can be changed")
NEWEST_RUNS = Sentence("newest_runs", "Name one of the newest: {runs}.")
NO_RUN_AS_OF = Sentence("no_run_as_of", "no run {name!r} has completed")

RUNS_LISTED = 5
NAME = re.compile(r"[0-9A-Za-z:.+-]{1,40}")
"""What names of runs and times are made of."""
BACK = Sentence("back_to_today", "Go back to today first.")


class PastShop(Shop):
    """A shop whose last run is a past one, to read only: no lock of it can be had, so that nothing is written.

    Rows of runs are read from the tables that the last run left, where an erased customer is in no run. Facts are read
    as the run left them while the lake has that version, and are made of the last run's otherwise.
    Everything that no run keeps, such as tasks and settings, is that of the present shop.
    """

    def __init__(self, present: Shop, run: Run) -> None:
        # why: not the constructor of a shop, which opens a workspace; what is not here is the present shop's
        self.present = present
        self.run = run
        self.cutoff = run.as_of
        self._fact_versions: Mapping[str, int | None] = {}
        """Versions of the facts that the run left, as last found, and their files."""
        self._files: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.present, name)

    @cached_property
    def engine(self) -> "DuckEngine":
        """What runs queries of the present shop."""
        return self.present.engine

    @cached_property
    def lake(self) -> "Lake":
        """The lake of the present shop."""
        return self.present.lake

    def reload_settings(self) -> None:
        """Load settings and policy of the present shop again if their files have changed. Raises SettingsError."""
        self.present.reload_settings()

    def snapshot(self) -> Snapshot | None:
        """Every table as the past run left it; None once it is no completed run any more."""
        last, row = self.present.snapshot(), self._last_row()
        if last is None or row is None:
            return None
        facts = self._facts(row["table_versions"])
        known = read_deliveries(self.store, before=self.run.as_of)
        past = Past.EXACT if facts else Past.REBUILT
        return Snapshot(self, run_of(row), pinned={**last.pinned, **facts}, deliveries=known, past=past)

    def newest_snapshot(self) -> Snapshot:
        """The same: nothing newer is read. Raises NotFound."""
        snapshot = self.snapshot()
        if snapshot is None:
            raise _no_run(self.present, self.run.run_id)
        return snapshot

    def snapshot_of(self, as_of: datetime) -> Snapshot | None:
        """The completed run of a cutoff that is no later, every table at its newest version."""
        return super().snapshot_of(as_of) if as_of <= self.run.as_of else None

    def _last_row(self) -> sa.RowMapping | None:
        chosen = sa.select(RUNS).where(RUNS.c.run_id == self.run.run_id)
        with self.store.begin() as connection:
            return connection.execute(chosen).mappings().first()

    def _facts(self, versions: Mapping[str, int | None]) -> Mapping[str, int | None]:
        """Versions of the facts that the run left; none once one of them is gone."""
        fact_versions = {name: versions.get(name) for name in FACTS}
        if fact_versions != self._fact_versions or not all(map(os.path.exists, self._files)):
            try:
                written = [(BY_NAME[name], version) for name, version in fact_versions.items() if version is not None]
                self._files = [file for table, version in written for file in self.lake.files(table, version)]
                self._fact_versions = fact_versions
            except WorkspaceError:
                self._fact_versions, self._files = {}, []
        return self._fact_versions

    @contextmanager
    def lock(self, *, timeout_seconds: float | None = None) -> Iterator[None]:
        """Refuse. Raises ReadOnlyPast."""
        with self.run_lock(timeout_seconds=timeout_seconds):
            yield

    @contextmanager
    def run_lock(self, *, timeout_seconds: float | None = None) -> Iterator[None]:  # noqa: ARG002 - as a shop's
        """Refuse. Raises ReadOnlyPast."""
        raise read_only_past(self.run.run_id)
        yield

    @contextmanager
    def commit_lock(self, *, timeout_seconds: float | None = None) -> Iterator[None]:  # noqa: ARG002 - as a shop's
        """Refuse. Raises ReadOnlyPast."""
        raise read_only_past(self.run.run_id)
        yield

    def close(self) -> None:
        """Nothing: the present shop has the connections."""


def read_only_past(run_id: str) -> ReadOnlyPast:
    """The refusal of whatever would change something."""
    return ReadOnlyPast(SHOWN_PAST(run=run_id), todo=BACK)


def past_shop(shop: Shop, as_of: str) -> PastShop | None:
    """The shop at a run, by the run's name or its cutoff with a time zone; None for the last run.

    Raises NotFound for a run that has not completed, and names the newest ones.
    """
    with shop.store.begin() as connection:
        row = connection.execute(sa.select(RUNS).where(_is(as_of))).mappings().first()
        last = connection.scalar(sa.select(RUNS.c.run_id).order_by(RUNS.c.as_of.desc()).limit(1))
    if row is None:
        raise _no_run(shop, as_of)
    return None if row["run_id"] == last else PastShop(shop, run_of(row))


def _is(as_of: str) -> sa.ColumnElement[bool]:
    """Condition of the run that a name or a cutoff stands for."""
    if not NAME.fullmatch(as_of):
        return sa.false()
    try:
        time = datetime.fromisoformat(as_of)
        return RUNS.c.run_id == as_of if time.tzinfo is None else RUNS.c.as_of == time.astimezone(UTC)
    except (ValueError, OverflowError):
        return RUNS.c.run_id == as_of


def _no_run(shop: Shop, name: str) -> NotFound:
    with shop.store.begin() as connection:
        runs = list(connection.scalars(sa.select(RUNS.c.run_id).order_by(RUNS.c.as_of.desc()).limit(RUNS_LISTED)))
    todo = NEWEST_RUNS(runs=", ".join(runs)) if runs else RUN_IT
    return NotFound(NO_RUN_AS_OF(name=name[:40]), where="as_of", todo=todo)
