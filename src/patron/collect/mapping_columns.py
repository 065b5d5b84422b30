"""Which columns of a file a mapping needs."""

import re
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from patron.collect.files.mapping import Mapping, Part
from patron.schema.errors import BadMapping
from patron.schema.sentences import Sentence
from patron.schema.sql_syntax import syntax_problem

EXPRESSION_PROBLEM = Sentence("expression_problem", "{expression} {problem}")
EXPRESSION_READS_TABLE = Sentence("expression_reads_table", "{expression} reads a table")
FIX_EXPRESSION = Sentence("fix_expression", "Fix the expression.")
USE_LOOKUP = Sentence("use_lookup", "Use [[lookup]] and join.")

RAW_EVENT_KEYS = frozenset({"event_id", "name", "occurred_at"})
"""Columns that no file of raw events lacks."""
USING = re.compile(r"(?i)using\s*\(([^)]*)\)")
"""Columns that a part is joined with its lookups by."""


def columns_by_file(mapping: Mapping) -> dict[str, frozenset[str]]:
    """Columns that files must have, by the pattern of their names."""
    if mapping.format == "segment":
        return {"*.json*": frozenset({"type"})}
    if mapping.format == "raw_events":
        return {"*.parquet": RAW_EVENT_KEYS}
    columns: dict[str, frozenset[str]] = {}
    for lookup in mapping.lookups:
        columns[lookup.files] = columns.get(lookup.files, frozenset()) | set(lookup.columns)
    for part in mapping.parts:
        keys = {key.strip(' "') for listed in USING.findall(part.join) for key in listed.split(",")}
        joined = [one for one in mapping.lookups if re.search(rf"\b{one.name}\b", part.join)]
        computed = {name for one in joined for name in sqlglot.parse_one(one.sql, read="duckdb").named_selects}
        needed = needed_columns(part) - {*part.optional, *part.derived, *computed} | keys
        columns[part.files] = columns.get(part.files, frozenset()) | needed
    return columns


def needed_columns(part: Part) -> set[str]:
    """Columns of the file (or of its lookups) that a part names. Raises BadMapping for invalid SQL."""
    specs: list[Any] = [*part.columns.values(), *part.traits.values(), *part.properties.values()]
    specs += [part.order_date] if part.order_date else []
    specs += [part.event] if isinstance(part.event, dict) else []
    columns, expressions = set(part.id), [part.where, *part.rejected.values()]
    for spec in specs:
        if isinstance(spec, str):
            columns.add(spec)
        elif "cents" in spec or "sql" in spec:
            expressions.append(spec.get("cents", spec.get("sql")))
        elif "value" not in spec and "column" in spec:
            columns.add(spec["column"])
    return columns.union(*(_columns_in(f"({expression})", part) for expression in expressions))


def _columns_in(expression: str, part: Part) -> set[str]:
    """Columns that a SQL expression of a part names. Raises BadMapping for one that is invalid or reads a table."""
    try:
        tree = sqlglot.parse_one(f"select {expression}", read="duckdb")
    except SqlglotError as error:
        what = EXPRESSION_PROBLEM(expression=expression, problem=syntax_problem(error))
        raise BadMapping(what, where=part.name, todo=FIX_EXPRESSION) from error
    if any(True for _ in tree.find_all(exp.Table, exp.Subquery)):
        raise BadMapping(EXPRESSION_READS_TABLE(expression=expression), where=part.name, todo=USE_LOOKUP)
    return {column.name for column in tree.find_all(exp.Column)}
