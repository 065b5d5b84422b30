"""Which tables a query reads, by the engine's own parse of it; what names anything else is refused.

Whatever is not known here is refused: kinds of statements, of nodes, functions and names of tables.
"""

from collections.abc import Iterator
from typing import Any

import duckdb
import msgspec

from patron.answers.data.query_functions import FUNCTIONS, TABLE_FUNCTIONS
from patron.answers.data.query_limits import SQL_LISTED
from patron.schema.common_sentences import SQL_NO_TABLE, SQL_SELECT, TOO_LONG
from patron.schema.errors import BadQuery
from patron.schema.sentences import Sentence
from patron.schema.spelling import both, did_you_mean
from patron.schema.sql_syntax import NOT_SQL, syntax_problem_at

SQL_READ_ONLY = Sentence("sql_read_only", "Write one SELECT; Patron's tables are read-only here.")
SQL_TABLES_ALONE = Sentence("sql_tables_alone", "Tables are {names}.")
SQL_ONLY_SELECT = Sentence("sql_only_select", "only one SELECT can be run")
SQL_FORBIDDEN = Sentence("sql_forbidden", "{name} cannot be run here")
SQL_NO_FUNCTION = Sentence("sql_no_function", "there is no function {name} here")
SQL_FUNCTIONS = Sentence("sql_functions", "The reference of SQL functions lists all of them.")
SQL_DEEP = Sentence("sql_deep", "is nested too deeply")
SQL_SHORTER = Sentence("sql_shorter", "Write a shorter SELECT.")
SQL_WITHOUT = Sentence("sql_without", "Write one SELECT without it.")
SQL_PARENTHESES = Sentence("sql_parentheses", "Write it with fewer parentheses and subqueries.")

MAX_QUERY_LENGTH = 100_000
MAX_DEPTH = 200
"""Nodes within each other: the engine follows them by its stack."""
TOO_DEEP = "Max expression depth limit"
"""What the engine says of a text that is nested more deeply than it follows."""
MAX_NAME_LENGTH = 60
"""Letters of a name that a refusal repeats."""
PARSE = "select json_serialize_sql($sql, skip_default := true, skip_empty := true, skip_null := true)"
"""The engine's parse of a text; it takes SELECT alone."""
EXPRESSIONS = frozenset(
    {"BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "LAMBDA"}
    | {"OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW"}
)
"""Classes of expressions that read only what is in them and the columns of the tables that the query reads."""
NODES = frozenset(
    {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"}
    | {"EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SUBQUERY"}
    | {"ASCENDING", "DESCENDING", "DISTINCT_MODIFIER", "LIMIT_MODIFIER", "ORDER_DEFAULT", "ORDER_MODIFIER"}
)
"""Queries, what stands after FROM, and the parts of ORDER BY, LIMIT and DISTINCT; tables are looked at apart."""
SHOWN_QUERIES = frozenset({"DESCRIBE", "SUMMARY"})

Node = dict[str, Any]
Scope = frozenset[bytes]
"""CTEs that can be named, as the engine compares names: without regard to the case of ASCII letters."""


def declared_tables(con: duckdb.DuckDBPyConnection, text: str, declared: frozenset[str]) -> list[str]:
    """Names of the declared tables that a query reads.

    Raises BadQuery for anything but one SELECT over declared tables, its own CTEs and functions that are listed.
    """
    found: set[str] = set()
    stack: list[tuple[Any, Scope, int]] = [(_parse(con, text), frozenset(), 0)]
    # why a stack: Python's own would end before the engine's does
    while stack:
        node, scope, depth = stack.pop()
        if isinstance(node, list):
            stack += [(child, scope, depth) for child in node]
        elif isinstance(node, dict):
            kind = _kind(node)
            if depth > MAX_DEPTH:
                raise BadQuery(SQL_DEEP, todo=SQL_PARENTHESES)
            if kind == "BASE_TABLE":
                found |= _table(node, scope, declared)
            stack += [(child, inner, depth + bool(kind)) for child, inner in _children(node, kind, scope)]
    return sorted(found)


def no_table(name: str, declared: frozenset[str]) -> BadQuery:
    """Refusal of a name that no table has."""
    name = name[:MAX_NAME_LENGTH]
    meant = did_you_mean(name, declared) or SQL_TABLES_ALONE(names=", ".join(sorted(declared)))
    return BadQuery(SQL_NO_TABLE(name=name), todo=both(meant, SQL_LISTED))


def _parse(con: duckdb.DuckDBPyConnection, text: str) -> Node:
    """The tree of a text that is one SELECT. Raises BadQuery."""
    if len(text) > MAX_QUERY_LENGTH:
        raise BadQuery(TOO_LONG(count=f"{MAX_QUERY_LENGTH:,}"), todo=SQL_SHORTER)
    try:
        [[serialized]] = con.execute(PARSE, {"sql": text}).fetchall()
        parsed: Node = msgspec.json.decode(serialized)
    except UnicodeError as error:  # why: half a character, which no other text has either
        raise BadQuery(NOT_SQL, todo=SQL_SELECT) from error
    except RecursionError as error:
        raise BadQuery(SQL_DEEP, todo=SQL_PARENTHESES) from error
    if parsed.get("error"):
        raise _not_parsed(text, parsed)
    if len(parsed["statements"]) != 1:
        raise BadQuery(SQL_ONLY_SELECT, todo=both(SQL_READ_ONLY, SQL_LISTED))
    return parsed["statements"][0]["node"]


def _not_parsed(text: str, answer: Node) -> BadQuery:
    message = str(answer.get("error_message"))
    if answer.get("error_type") != "parser":
        return BadQuery(SQL_ONLY_SELECT, todo=both(SQL_READ_ONLY, SQL_LISTED))
    if TOO_DEEP in message:
        return BadQuery(SQL_DEEP, todo=SQL_PARENTHESES)
    if "location" not in answer:
        return BadQuery(NOT_SQL, todo=SQL_SELECT)
    [position, length] = msgspec.json.decode(answer["location"], type=tuple[int, int])
    return BadQuery(syntax_problem_at(text, position, length), todo=SQL_SELECT)


def _kind(node: Node) -> str:
    """What a part of the tree is; empty for what only holds other parts. Raises BadQuery for what may not be run."""
    kind = node.get("type", "")
    if "class" in node:
        if node["class"] not in EXPRESSIONS:
            raise _forbidden(node["class"])
        if node["class"] in {"FUNCTION", "WINDOW"}:
            _check_function(node, FUNCTIONS)
        return node["class"]
    if not isinstance(kind, str):
        raise _forbidden("TYPE")
    if kind == "TABLE_FUNCTION":
        _check_function(node["function"], TABLE_FUNCTIONS)
    elif kind == "SHOW_REF":
        if node.get("show_type") not in SHOWN_QUERIES or "query" not in node:
            raise _forbidden("SHOW")
    elif kind and kind != "BASE_TABLE" and kind not in NODES:
        raise _forbidden(kind)
    return kind


def _check_function(node: Node, known: frozenset[str]) -> None:
    """Refuse a function that is not listed; `text.upper()` is one too, its schema being the text's column."""
    name = str(node.get("function_name", ""))
    if name.lower() not in known or node["qualified_name"]["path"][-1] != name:
        name = name[:MAX_NAME_LENGTH]
        raise BadQuery(SQL_NO_FUNCTION(name=name), todo=both(did_you_mean(name, known), SQL_FUNCTIONS))


def _table(node: Node, scope: Scope, declared: frozenset[str]) -> set[str]:
    """The declared table that a name means, if it means no CTE."""
    path = node.get("qualified_name", {}).get("path", [])
    name = node.get("table_name", "")
    if path != [name] or "at_clause" in node:
        raise no_table(".".join(path), declared)
    if _folded(name) in scope:
        return set()
    table = _folded(name).decode()
    if table not in declared:
        raise no_table(name, declared)
    return {table}


def _children(node: Node, kind: str, scope: Scope) -> Iterator[tuple[Any, Scope]]:
    """Parts of a part, each with the CTEs that it can name: those around it, and earlier ones of the same WITH."""
    for entry in node.get("cte_map", {}).get("map", []):
        yield entry["value"], scope
        scope |= {_folded(entry["key"])}
    for name, child in node.items():
        if (kind, name) == ("RECURSIVE_CTE_NODE", "right"):
            yield child, scope | {_folded(node["cte_name"])}
        elif (kind, name) == ("TABLE_FUNCTION", "function"):
            yield list(child.values()), scope  # why not itself: not all of these can stand elsewhere
        elif (kind, name) == ("SHOW_REF", "query"):
            yield child, frozenset()  # why: the engine looks for it outside of the query
        elif name not in {"cte_map", "sample"}:
            yield child, scope


def _folded(name: str) -> bytes:
    return name.encode().lower()


def _forbidden(kind: str) -> BadQuery:
    return BadQuery(SQL_FORBIDDEN(name=kind.removesuffix("_NODE").replace("_", " ")), todo=SQL_WITHOUT)
