"""A question that is put together from parts: a declared table, measures, groups and filters; and the SQL it makes."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cache

import pyarrow as pa

from patron.schema.common_sentences import CHOOSE_FROM_LIST, REMOVE_ONE_OF_THEM, SQL_NO_TABLE
from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence
from patron.schema.table_definition import FLAG, INT, NUMBER, TEXT, TIME, Column, Table
from patron.schema.tables import BY_NAME

GUIDED_TEXT = Sentence("guided_text", "{name} takes a shorter text")
TAKES = {
    INT: Sentence("guided_whole", "{name} takes a whole number"),
    NUMBER: Sentence("guided_number", "{name} takes a number"),
    FLAG: Sentence("guided_flag", "{name} takes true or false"),
    TIME: Sentence("guided_date", "{name} takes a day such as 2024-03-31"),
}
"""What a filter on a column of a type takes."""
GUIDED_MEASURE = Sentence("guided_measure", "takes at least one measure and at most {count} filters")
GUIDED_NOT_OF = Sentence("guided_not_of", "{name!r} is not a {kind} of the table")
GUIDED_DIFFERENT = Sentence("guided_different", "takes at most {count} different ones")
GUIDED_FILTER = Sentence("guided_filter", "{name!r} cannot be filtered")
GUIDED_IS = Sentence("guided_is", "{name} can only be compared with is and is not")
GUIDED_WRITE = Sentence("guided_write", "Write it like that.")
CHOOSE_AGAIN = Sentence("choose_again", "Choose again.")

COUNT = "count"
MEASURES = (COUNT, "sum", "mean", "median", "distinct")
BUCKETS = ("day", "week", "month")
COMPARISONS = {"is": "=", "is_not": "<>", "at_least": ">=", "at_most": "<=", "above": ">", "below": "<"}
ONLY_TEXT = ("is", "is_not")
EMPTY = ("is_empty", "is_not_empty")
"""Comparisons without a value."""
MAX_MEASURES = 3
MAX_GROUPS = 2
MAX_FILTERS = 3
MAX_ROWS = 1_000
RUN_COLUMN = "run_id"
AGGREGATES = {"sum": "sum({})", "mean": "avg({})", "median": "median({})", "distinct": "count(distinct {})"}
WHOLE = re.compile(r"-?\d{1,15}")
DECIMAL = re.compile(r"-?\d{1,15}(\.\d{1,9})?")
MAX_VALUE_LENGTH = 200


@dataclass(frozen=True)
class Measure:
    """A number of each group: rows, or an aggregate of a column."""

    kind: str = COUNT
    column: str = ""

    def __str__(self) -> str:
        """As addresses write it: `count`, `sum:paid_cents`."""
        return f"{self.kind}:{self.column}" if self.column else self.kind

    @property
    def alias(self) -> str:
        """Name of the column of the result."""
        return f"{self.column}_{self.kind}" if self.column else "row_count"


@dataclass(frozen=True)
class Group:
    """What rows are grouped by: a column, or the day, week or month of one."""

    column: str
    bucket: str = ""

    def __str__(self) -> str:
        """As addresses write it: `channel`, `occurred_at:month`."""
        return f"{self.column}:{self.bucket}" if self.bucket else self.column

    @property
    def alias(self) -> str:
        """Name of the column of the result."""
        return f"{self.column}_{self.bucket}" if self.bucket else self.column


@dataclass(frozen=True)
class Filter:
    """Which rows count."""

    column: str
    comparison: str = "is"
    value: str = ""


@dataclass(frozen=True)
class GuidedQuestion:
    """Measures of the rows of a table, by group."""

    table: str
    measures: tuple[Measure, ...] = (Measure(),)
    groups: tuple[Group, ...] = ()
    filters: tuple[Filter, ...] = ()


def has_plain_columns(table: Table) -> bool:
    """Whether a table has columns that tell nobody's identity."""
    return bool(columns_of(table.name))


@cache
def columns_of(table: str) -> dict[str, Column]:
    """Columns of a table that can be grouped by, filtered and summed: none with personal data. Raises BadQuery."""
    scalar = (TEXT, INT, NUMBER, FLAG, TIME)
    declared = _table(table).columns
    return {one.name: one for one in declared if one.personal == "none" and one.type in scalar}


@cache
def people_of(table: str) -> tuple[str, ...]:
    """Columns of opaque ids, which are counted and never shown. Raises BadQuery."""
    return tuple(column.name for column in _table(table).columns if column.personal == "opaque_id")


def measures_of(table: str) -> tuple[Measure, ...]:
    """Every measure of a table. Raises BadQuery."""
    numbers = [column.name for column in columns_of(table).values() if column.type in {INT, NUMBER}]
    summed = [Measure(kind, name) for kind in ("sum", "mean", "median") for name in numbers]
    distinct = [Measure("distinct", name) for name in (*people_of(table), *_texts(table))]
    return (Measure(), *distinct, *summed)


def groups_of(table: str) -> tuple[Group, ...]:
    """Everything that the rows of a table can be grouped by. Raises BadQuery."""
    columns = columns_of(table).values()
    times = [Group(column.name, bucket) for column in columns if column.type == TIME for bucket in BUCKETS]
    return (*times, *(Group(column.name) for column in columns if column.type in {TEXT, INT, FLAG}))


def _texts(table: str) -> list[str]:
    return [column.name for column in columns_of(table).values() if column.type == TEXT]


def guided_sql(question: GuidedQuestion, time_zone: str) -> str:
    """SQL of a question; days, weeks and months are those of a time zone. Raises BadQuery for a part that is none."""
    table = question.table
    _require(question.measures, measures_of(table), "measure", MAX_MEASURES)
    _require(question.groups, groups_of(table), "group", MAX_GROUPS)
    if not question.measures or len(question.filters) > MAX_FILTERS:
        raise BadQuery(GUIDED_MEASURE(count=MAX_FILTERS), todo=CHOOSE_AGAIN)
    groups = [f"{_group_sql(group, time_zone)} as {group.alias}" for group in question.groups]
    measures = [f"{_measure_sql(measure)} as {measure.alias}" for measure in question.measures]
    where = [_filter_sql(table, filter_) for filter_ in question.filters]
    if RUN_COLUMN in columns_of(table) and all(
        one.column != RUN_COLUMN for one in (*question.filters, *question.groups)
    ):
        where.append(f"{RUN_COLUMN} = (select max({RUN_COLUMN}) from {table})")
    lines = ["select", ",\n".join(f"  {one}" for one in (*groups, *measures)), f"from {table}"]
    lines += ["where " + "\n  and ".join(where)] if where else []
    if groups:
        numbers = ", ".join(str(n + 1) for n in range(len(groups)))
        is_time = bool(question.groups[0].bucket)
        order = "1, " + f"{len(groups) + 1} desc" if is_time else f"{len(groups) + 1} desc, 1"
        lines += [f"group by {numbers}", f"order by {order}", f"limit {MAX_ROWS}"]
    return "\n".join(lines)


def _table(name: str) -> Table:
    if name not in BY_NAME:
        raise BadQuery(SQL_NO_TABLE(name=name[:40]), where="table", todo=CHOOSE_FROM_LIST)
    return BY_NAME[name]


def _require(parts: tuple[object, ...], allowed: tuple[object, ...], what: str, most: int) -> None:
    wrong = next((part for part in parts if part not in allowed), None)
    if wrong is not None:
        raise BadQuery(GUIDED_NOT_OF(name=str(wrong)[:80], kind=what), where=what, todo=CHOOSE_FROM_LIST)
    if len(parts) > most or len(set(parts)) < len(parts):
        raise BadQuery(GUIDED_DIFFERENT(count=most), where=what, todo=REMOVE_ONE_OF_THEM)


def _group_sql(group: Group, time_zone: str) -> str:
    if not group.bucket:
        return group.column
    return f"date_trunc('{group.bucket}', {group.column} at time zone {_sql_text(time_zone)})"


def _measure_sql(measure: Measure) -> str:
    return AGGREGATES[measure.kind].format(measure.column) if measure.column else "count(*)"


def _filter_sql(table: str, one: Filter) -> str:
    column = columns_of(table).get(one.column)
    if column is None:
        raise BadQuery(GUIDED_FILTER(name=one.column[:40]), where="where", todo=CHOOSE_FROM_LIST)
    if one.comparison in EMPTY:
        return f"{one.column} is {'not ' if one.comparison == 'is_not_empty' else ''}null"
    if one.comparison not in COMPARISONS or (column.type in {TEXT, FLAG} and one.comparison not in ONLY_TEXT):
        raise BadQuery(GUIDED_IS(name=one.column), where="is", todo=CHOOSE_AGAIN)
    return f"{one.column} {COMPARISONS[one.comparison]} {_literal(column.type, one)}"


def _literal(kind: pa.DataType, one: Filter) -> str:
    value = one.value.strip()
    if kind == TEXT and len(value) <= MAX_VALUE_LENGTH:
        return _sql_text(value)
    if kind == FLAG and value in {"true", "false"}:
        return value
    if kind in {INT, NUMBER} and (WHOLE if kind == INT else DECIMAL).fullmatch(value):
        return value
    if kind == TIME:
        with suppress(ValueError):  # why: what is no day is refused below
            return f"timestamptz '{date.fromisoformat(value[:10]).isoformat()} 00:00:00+00'"
    raise BadQuery(TAKES.get(kind, GUIDED_TEXT)(name=one.column), where="value", todo=GUIDED_WRITE)


def _sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
