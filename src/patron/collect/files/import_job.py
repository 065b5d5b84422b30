"""One import in progress: the rows of its files become events part by part, a chunk at a time."""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatch
from functools import cached_property
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from patron.collect.files.file_limits import bounded_memory
from patron.collect.files.file_reader import Chunk, InputFile, is_parquet, line_chunks
from patron.collect.files.mapping import Mapping, Part
from patron.collect.files.mapping_sql import MACROS, literal, quoted, raw_events_sql
from patron.collect.loader import EventLoader, validate_raw_events
from patron.collect.mapping_columns import RAW_EVENT_KEYS, needed_columns
from patron.collect.raw_objects import split_objects
from patron.collect.segment_message import PlainProperties, read_message
from patron.collect.tracking_plan import load_tracking_plan
from patron.collect.validation import problem_message, validation_sql
from patron.schema.data.counts import IngestionCounts
from patron.schema.data.dead_letter_reasons import FAULTS
from patron.schema.data.raw_events import RAW_EVENTS, raw_events_table
from patron.schema.errors import BadEvent, BadFile, BadMapping
from patron.schema.sentences import Sentence, joined

SINGLE_COLUMN = Sentence(
    "single_column", "its header is a single column, {name!r}, read with the delimiter {delimiter!r}"
)
OTHER_DELIMITER = Sentence("other_delimiter", "Is it another delimiter? Name it: --delimiter {text}.")
NOT_RAW_EVENTS = Sentence("not_raw_events", "is not a Parquet file of raw events ({cause})")
LACKS_COLUMNS = Sentence("lacks_columns", "lacks {names}")
ADDS_COLUMNS = Sentence("adds_columns", "adds {names}")
OTHER_ENDING = Sentence("other_ending", "its name does not end in .parquet")
NAME_EVENTS_FILE = Sentence("name_events_file", "Name events.parquet of `patron simulate`, or another mapping.")
LOOKUP_FILE_MISSING = Sentence("lookup_file_missing", "a file {pattern} is missing")
NAME_TOGETHER = Sentence("name_together", "Name it together with the others.")
NO_PART = Sentence("no_part", "no part of the mapping reads this file")
MISSING_COLUMNS = Sentence("missing_columns", "the columns {names} are missing; found {found}")
IT_TAKES = Sentence("it_takes", "It reads {names}.")
EXPORT_WITH = Sentence("export_with", "Export the file with them, or change the mapping {name}.")
PART_COMPUTED = Sentence("part_computed", "part {name} cannot be computed ({cause})")
FIX_EXPRESSIONS = Sentence("fix_expressions", "Fix its expressions.")
COLUMN_TYPE = Sentence("column_type", "a column has the wrong type ({cause})")
WRITE_RAW_EVENTS = Sentence("raw_events", "Write it as raw events.")

Progress = Callable[[int, int], None]
"""Called after each chunk: rows done, rows in all (a good guess for text files)."""
OTHER_DELIMITERS = ",;\t|~^:#/ "
"""What may stand between columns, the likelier first."""


def undated_from(received_at: datetime, zone: str) -> datetime:
    """Since when undated refunds count: just before the import's second, so that a run as of that second sees them.

    It is never before the shop's midnight: the day before ended without them.
    """
    midnight = received_at.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    just_before = received_at.replace(microsecond=0) - timedelta(microseconds=1)
    return max(just_before, midnight.astimezone(received_at.tzinfo))


@dataclass
class FileRows:
    """Rows of files that the mapping takes, each counted once, however many events it becomes."""

    count: int = 0
    faulty_count: int = 0
    """Those of them in which something is wrong for at least one event."""

    def add(self, *events: pa.Table) -> None:
        """Count the rows that validated events came from; a row's events come in one call."""
        numbers = pa.chunked_array([chunk for event in events for chunk in event["row_number"].chunks], pa.int64())
        self.count += pc.count_distinct(numbers).as_py()
        faulty: set[int] = set()
        for event in events:
            bad = event.select(["row_number", "problem"]).filter(pc.is_valid(event["problem"]))
            faulty |= {row["row_number"] for row in bad.to_pylist() if problem_message(row["problem"])[0] in FAULTS}
        self.faulty_count += len(faulty)


@dataclass(frozen=True)
class ImportJob:
    """One import in progress: source files, mapping and the open loader."""

    loader: EventLoader
    mapping: Mapping
    sources: list[InputFile]
    progress: Progress
    undated: list[int] = field(default_factory=list)
    """How many rows without a date of their own were stored, chunk by chunk."""
    rows: FileRows = field(default_factory=FileRows)

    @property
    def con(self) -> duckdb.DuckDBPyConnection:
        """The loader's connection."""
        return self.loader.con

    @cached_property
    def plain(self) -> PlainProperties:
        """Properties that the tracking plan declares plain. Raises SettingsError for an invalid plan."""
        return load_tracking_plan(self.loader.shop.folder, is_strict=False).plain

    def prepare(self) -> None:
        """Give the connection the mapping's functions, variables and lookups."""
        self.con.execute(MACROS)
        self.con.execute(f"set variable row_key = {literal(self.loader.vault.row_key)}")
        since = undated_from(self.loader.received_at, self.loader.shop.settings.shop.time_zone)
        self.con.execute(f"set variable received_at = {literal(since.isoformat())}")
        self._make_lookups()

    def run(self) -> IngestionCounts:
        """Import every source, in order."""
        self.prepare()
        total = sum(source.line_count for source in self.sources)
        counts, done = IngestionCounts(), 0
        plan = [(source, self._parts(source)) for source in self.sources]
        for source, parts in plan:
            with bounded_memory(str(source.path), self.loader.shop.settings.engine):
                for counted, size in self._load_source(source, parts):
                    counts, done = counts + counted, done + size
                    self.progress(done, max(total, done))
        return counts

    def _load_source(self, source: InputFile, parts: list[Part]) -> Iterator[tuple[IngestionCounts, int]]:
        if self.mapping.format == "segment":
            return self._load_segment(source)
        return self._load_raw_events(source) if self.mapping.format == "raw_events" else self._load_rows(source, parts)

    def _parts(self, source: InputFile) -> list[Part]:
        if self.mapping.format == "raw_events":
            require_raw_events(source)
        parts = [part for part in self.mapping.parts if fnmatch(source.path.name.lower(), part.files)]
        is_lookup = any(fnmatch(source.path.name.lower(), lookup.files) for lookup in self.mapping.lookups)
        if self.mapping.format == "rows" and not parts and not is_lookup:
            wanted = ", ".join(sorted({part.files for part in self.mapping.parts}))
            raise BadFile(NO_PART, where=str(source.path), todo=IT_TAKES(names=wanted))
        joined = self._lookup_columns() if parts else set()
        for part in parts:
            named = {*source.columns, *part.optional, *part.derived, *joined}
            self._require(source, needed_columns(part) - named)
        return parts

    def _require(self, source: InputFile, missing: set[str]) -> None:
        if missing:
            require_delimiter(source)
            raise BadFile(
                MISSING_COLUMNS(names=", ".join(sorted(missing)), found=", ".join(source.columns)),
                where=str(source.path),
                todo=EXPORT_WITH(name=self.mapping.name),
            )

    def _lookup_columns(self) -> set[str]:
        names = set()
        for lookup in self.mapping.lookups:
            names |= {row[0] for row in self.con.sql(f"describe {quoted(lookup.name)}").fetchall()}
        return names

    def _make_lookups(self) -> None:
        for lookup in self.mapping.lookups:
            files = [s for s in self.sources if fnmatch(s.path.name.lower(), lookup.files)]
            if not files:
                raise BadFile(LOOKUP_FILE_MISSING(pattern=lookup.files), where=self.mapping.name, todo=NAME_TOGETHER)
            for source in files:
                self._require(source, set(lookup.columns) - set(source.columns))
            tables = [chunk.rows for source in files for chunk in source.chunks(lookup.columns)]
            self.con.register("raw", pa.concat_tables(tables, promote_options="default"))
            names = list(lookup.columns or files[0].columns)
            text = ", ".join(f"nullif(cast({quoted(name)} as varchar), '') as {quoted(name)}" for name in names)
            file = f"select {text}, row_number() over () as _row from raw"
            self.con.execute(f"create or replace table {quoted(lookup.name)} as with file as ({file}) {lookup.sql}")
            self.con.unregister("raw")

    def _load_rows(self, source: InputFile, parts: list[Part]) -> Iterator[tuple[IngestionCounts, int]]:
        if not parts:
            yield IngestionCounts(), source.line_count
            return
        self.con.execute("create or replace temp table occurrences (h uhugeint, n bigint)")
        for chunk in source.chunks():
            counted = self._load_unreadable(source, chunk)
            self._make_chunk(chunk, parts)
            numbered = []
            for part in parts:
                events = self.raw_events(part)
                loaded = self.loader.load(events, file=source.path.name)
                counted += loaded
                numbered.append(events.select(["row_number", "problem"]))
                if part.order_date and part.columns["occurred_at"].get("column") not in source.columns:
                    self.undated.append(loaded.stored)
            self.rows.add(*numbered)
            yield counted, chunk.rows.num_rows + len(chunk.unreadable)

    def raw_events(self, part: Part) -> pa.Table:
        """Raw events of one part, from the table `chunk`, validated."""
        inner = validation_sql(raw_events_sql(self.mapping, part, self.plain), self.loader.currencies)
        payload = "case when problem is not null then to_json(struct_pack(part := _part, row := payload)) end"
        query = f"select * exclude (_part) replace ({payload} as payload) from ({inner})"
        try:
            return self.con.sql(query).to_arrow_table()
        except (duckdb.ProgrammingError, duckdb.DataError) as error:
            raise BadMapping(
                PART_COMPUTED(name=part.name, cause=error), where=self.mapping.name, todo=FIX_EXPRESSIONS
            ) from error

    def make_chunk_of_dead_letters(self, rows: list[dict[str, str | int | None]], part: Part) -> None:
        """Make the table `chunk` of rows that were dead letters, with the ids they had."""
        names = dict.fromkeys([*(name for row in rows for name in row), *part.optional])
        counts = {"_row", "_occurrence"}
        columns = {
            name: pa.array([row.get(name) for row in rows], pa.int64() if name in counts else pa.string())
            for name in names
        }
        self.con.register("raw", pa.table(columns))
        self.con.execute("create or replace temp table chunk as select * from raw")
        self.con.unregister("raw")

    def _make_chunk(self, chunk: Chunk, parts: list[Part]) -> None:
        """Make the table `chunk`: columns as text, the row's number, keyed hash and occurrence in the file."""
        self.con.register("raw", chunk.rows)
        names = [name for name in chunk.rows.column_names if name != "_row"]
        text = ", ".join(f"nullif(cast({quoted(name)} as varchar), '') as {quoted(name)}" for name in names)
        optional = {name for part in parts for name in part.optional} - set(names)
        text += "".join(f", cast(null as varchar) as {quoted(name)}" for name in sorted(optional))
        number = "_row" if "_row" in chunk.rows.column_names else f"row_number() over () + {chunk.first_row - 1}"
        content = ", ".join(f"{literal(name + '=')} || {quoted(name)}" for name in sorted(names))
        origin = literal(f"{self.mapping.name}/{self.mapping.version}")
        key = f"md5(concat_ws(chr(31), getvariable('row_key'), {origin}, {content}))"
        self.con.execute("set preserve_insertion_order = true")
        self.con.execute(
            f"create or replace temp table hashed as select *, {key} as _hash "
            f"from (select {text}, {number} as _row from raw)"
        )
        self.con.execute("set preserve_insertion_order = false")
        self.con.execute("""
            create or replace temp table chunk as
            with hashes as (select md5_number(_hash) as h from hashed),
            earlier as (select h, sum(n) as n from occurrences semi join hashes using (h) group by h)
            select t.*, row_number() over (partition by _hash order by _row) + cast(coalesce(e.n, 0) as bigint)
                as _occurrence
            from hashed t left join earlier e on e.h = md5_number(t._hash)""")
        self.con.execute("insert into occurrences select md5_number(_hash), count(*) from hashed group by 1")
        self.con.unregister("raw")

    def _load_unreadable(self, source: InputFile, chunk: Chunk) -> IngestionCounts:
        if not chunk.unreadable:
            return IngestionCounts()
        rows = [
            {
                "row_number": line,
                "problem": "cut_off" if source.is_cut_off(line, text) else "bad_row",
                "payload": json.dumps({"raw": text}),
            }
            for line, text in chunk.unreadable
        ]
        return self._load_validated(validate_raw_events(self.loader, raw_events_table(rows)), source)

    def _load_validated(self, rows: pa.Table, source: InputFile) -> IngestionCounts:
        """Load events that are a row of the file each."""
        self.rows.add(rows)
        return self.loader.load(rows, file=source.path.name)

    def _load_raw_events(self, source: InputFile) -> Iterator[tuple[IngestionCounts, int]]:
        for chunk in source.chunks():
            try:
                rows = validate_raw_events(self.loader, number_rows(chunk.rows, chunk.first_row))
                rows = split_objects(rows, self.plain)
            except (pa.ArrowException, ValueError) as error:
                raise BadFile(COLUMN_TYPE(cause=error), where=str(source.path), todo=WRITE_RAW_EVENTS) from error
            yield self._load_validated(rows, source), rows.num_rows

    def _load_segment(self, source: InputFile) -> Iterator[tuple[IngestionCounts, int]]:
        for lines in line_chunks(source.path):
            rows = [segment_raw_event(number, line, self.plain) for number, line in lines]
            last_line, last = lines[-1]
            if not last.endswith(b"}") and source.is_cut_off(last_line, ""):
                rows[-1]["problem"] = "cut_off"
            validated = validate_raw_events(self.loader, raw_events_table(rows))
            yield self._load_validated(validated, source), len(rows)


def require_delimiter(source: InputFile) -> None:
    """Raise BadFile for a CSV file whose header is one column: its delimiter is probably another one."""
    if len(source.header) != 1:
        return
    [name] = source.header
    marks = [mark for mark in OTHER_DELIMITERS if mark in name and mark != source.delimiter]
    likely = max(marks, key=name.count, default="")
    raise BadFile(
        SINGLE_COLUMN(name=shortened(name, 60), delimiter=source.delimiter),
        where=str(source.path),
        todo=OTHER_DELIMITER(text=shlex.quote(likely or ";")),
    )


def shortened(text: str, length: int) -> str:
    """A text, or its beginning when it is longer."""
    return text if len(text) <= length else text[:length] + "..."


def require_raw_events(source: InputFile) -> None:
    """Check that a file holds raw events. Raises BadFile naming the columns that are missing or unknown."""
    missing, unknown = RAW_EVENT_KEYS - set(source.columns), set(source.columns) - set(RAW_EVENTS.names)
    if not is_parquet(source.path) or missing or unknown:
        differing = ((LACKS_COLUMNS, missing), (ADDS_COLUMNS, unknown))
        differences = [sentence(names=", ".join(sorted(names))) for sentence, names in differing if names]
        cause = joined(differences or [OTHER_ENDING])
        raise BadFile(NOT_RAW_EVENTS(cause=cause), where=str(source.path), todo=NAME_EVENTS_FILE)


def number_rows(rows: pa.Table, first: int) -> pa.Table:
    """Number rows as they stand in their file."""
    return rows.append_column("row_number", pa.array(range(first, first + rows.num_rows), pa.int64()))


def segment_raw_event(number: int, line: bytes, plain: PlainProperties) -> dict[str, object]:
    """Read one line of Segment's protocol into a raw event, or into its problem."""
    payload = json.dumps({"line": line.decode(errors="replace")})
    try:
        return {**read_message(line, plain), "row_number": number, "payload": payload}
    except BadEvent as error:
        return {"row_number": number, "problem": f"bad_event:{error}", "payload": payload}
