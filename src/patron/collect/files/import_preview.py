"""What an import would do, without writing anything."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from patron.collect.files.file_import import FileOptions, inspect_files
from patron.collect.files.import_job import ImportJob, Progress
from patron.collect.loader import EventLoader
from patron.collect.personal_columns import replace_personal_values
from patron.collect.suppression import reject_forgotten
from patron.collect.validation import problem_message
from patron.govern.vault import Vault
from patron.schema.data.counts import IngestionCounts
from patron.storage.shop import Shop

SHOWN_OF_KIND = 3
"""Rows shown of each kind of event, and of each reason."""
TIMES_OF_PYTHON = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
SHOWN = (
    *("name", "occurred_at", "user_id", "anonymous_id", "order_id", "product_id", "quantity", "price_cents"),
    *("revenue_cents", "total_cents", "currency"),
)


@dataclass(frozen=True)
class PreviewedRow:
    """One row as the mapping reads it, or why it would be rejected."""

    file: str
    line: int
    event: dict[str, Any]
    reason: str = ""
    message: str = ""

    @property
    def kind(self) -> tuple[str, str]:
        """Rows of one kind have one reason or, without any, one event."""
        return (self.reason, "") if self.reason else ("", self.event["name"])


@dataclass(frozen=True)
class Preview:
    """What an import would store, and the first rows of each kind."""

    counts: IngestionCounts
    by_event: dict[str, IngestionCounts]
    rejected_by_reason: dict[str, int]
    rows: tuple[PreviewedRow, ...]
    line_count: int


@dataclass(frozen=True)
class PreviewLoader(EventLoader):
    """A loader that counts and shows, and writes nothing."""

    extra_currencies: frozenset[str] = frozenset()
    rows: list[PreviewedRow] = field(default_factory=list)
    rejected_by_reason: dict[str, int] = field(default_factory=dict)

    @property
    def currencies(self) -> set[str]:
        """Currencies that the import itself would know."""
        return super().currencies | self.extra_currencies

    def load(self, rows: pa.Table, *, file: str = "") -> IngestionCounts:
        """Count what would become of rows, and keep the first of each kind."""
        rows = reject_forgotten(self.vault, replace_personal_values(self.vault, rows))
        rows = self.check_consent(rows).sort_by("row_number")
        is_good = pc.is_null(rows["problem"])
        good, bad = rows.filter(is_good), rows.filter(pc.invert(is_good))
        fresh = self.without_stored(good)
        self._add_stored_ids(fresh)
        for name in pc.unique(good["name"]).to_pylist():
            self._show(good.filter(pc.equal(good["name"], name)), file)
        for problem, counted in zip(*_names_and_counts(bad["problem"]), strict=True):
            reason, _ = problem_message(problem)
            self.rejected_by_reason[reason] = self.rejected_by_reason.get(reason, 0) + counted
            self._show(bad.filter(pc.equal(bad["problem"], problem)), file)
        return self.count(good, fresh, bad)

    def _show(self, rows: pa.Table, file: str) -> None:
        """Keep the first of these rows, which are of one kind, unless enough of that kind are kept."""
        for row in _without_impossible_times(rows.slice(0, SHOWN_OF_KIND)).to_pylist():
            reason, message = problem_message(row["problem"], row["order_id"]) if row["problem"] else ("", "")
            event = {name: row[name] for name in SHOWN if row[name] is not None}
            shown = PreviewedRow(file, row["row_number"], event=event, reason=reason, message=message)
            if sum(one.kind == shown.kind for one in self.rows) < SHOWN_OF_KIND:
                self.rows.append(shown)


def _without_impossible_times(rows: pa.Table) -> pa.Table:
    """Rows with NULL for times that Python's calendar does not have, such as those of the year 99999."""
    for number, column in enumerate(rows.schema):
        if pa.types.is_timestamp(column.type):
            times = rows[column.name]
            first, last = (pa.scalar(one, pa.timestamp("us", "UTC")).cast(column.type) for one in TIMES_OF_PYTHON)
            is_known = pc.and_(pc.greater_equal(times, first), pc.less_equal(times, last))
            rows = rows.set_column(number, column, pc.if_else(is_known, times, None))
    return rows


def _names_and_counts(values: pa.ChunkedArray) -> tuple[list[str], list[int]]:
    counted = values.value_counts()
    return [one["values"].as_py() for one in counted], [one["counts"].as_py() for one in counted]


def preview_import(  # noqa: PLR0913 - what an import takes
    shop: Shop,
    paths: Sequence[str],
    *,
    mapping: str | Path,
    received_at: datetime,
    options: FileOptions,
    currencies: frozenset[str],
    progress: Progress,
) -> Preview:
    """Read files as an import would; `currencies` are those that the import would make known.

    Raises BadFile, BadMapping, MasterKeyError.
    """
    rules = options.rules(mapping)
    sources = inspect_files(paths, rules)
    with shop.engine.connect() as con:
        loader = PreviewLoader(
            shop,
            Vault.open(shop),
            con=con,
            source=rules.source or rules.name,
            known="occurred",
            received_at=received_at,
            import_id="",
            extra_currencies=currencies,
        )
        loader.read_stored_ids()
        counts = ImportJob(loader, rules, sources, progress).run()
    lines = sum(source.line_count for source in sources)
    return Preview(
        counts, loader.by_event, rejected_by_reason=loader.rejected_by_reason, rows=tuple(loader.rows), line_count=lines
    )
