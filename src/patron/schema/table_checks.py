"""Whether rows keep what their table declares; the engine looks."""

from collections.abc import Container
from functools import cache

import duckdb
import pyarrow as pa

from patron.schema.errors import InvalidTable
from patron.schema.table_definition import Table, conform


def violations(table: Table, rows: pa.Table) -> list[str]:
    """List, in words, each way rows break their table: NULLs, repeated keys, failed checks."""
    try:
        with _database_of_checks().cursor() as con:
            con.register("checked_rows", rows)
            return find_violations(table, con, "checked_rows")
    except duckdb.FatalException:
        _database_of_checks.cache_clear()  # why: it answers nothing any more; the next check opens another
        raise


@cache
def _database_of_checks() -> duckdb.DuckDBPyConnection:
    """One database for the checks of all tables: opening one takes longer than most checks."""
    return duckdb.connect(config={"threads": 2})


def find_violations(
    table: Table, con: duckdb.DuckDBPyConnection, relation: str, *, without_nulls: Container[str] = ()
) -> list[str]:
    """List, in words, each way a relation breaks its table; one pass over it where nothing is wrong.

    Columns that are known to be without NULLs are not read for that.
    """
    needed = (c.name for c in table.columns if not c.nullable and c.name not in without_nulls)
    checks = {f"rows have no {name}": f'"{name}" is null' for name in needed}
    checks |= {f"rows break ({check})": f"not ({check})" for check in table.conditions()}
    counts = ", ".join(["count(*)", *(f"count(*) filter (where {condition})" for condition in checks.values())])
    key = ", ".join(f'"{name}"' for name in table.key)
    # why: equal keys have equal hashes, and counting whole numbers is much faster than grouping by texts
    [row] = con.execute(f"select {counts}, count(distinct hash({key})) from {relation}").fetchall()
    total = row[0]
    failed = row[1:-1]
    hashes = row[-1]
    faults = [f"{count} {words}" for words, count in zip(checks, failed, strict=True) if count]
    if hashes < total:
        groups = f"select count(*) as n from {relation} group by {key} having count(*) > 1"
        repeated = con.execute(f"select cast(coalesce(sum(n - 1), 0) as bigint) from ({groups})").fetchone()
        if repeated and repeated[0]:
            faults.append(f"{repeated[0]} rows repeat key {table.key}")
    return faults


def require_valid(table: Table, faults: list[str]) -> None:
    """Raise InvalidTable when the list of faults is not empty."""
    if faults:
        raise InvalidTable("; ".join(faults), where=table.name, todo="Fix the query that wrote them.")


def validated(table: Table, rows: pa.Table) -> pa.Table:
    """Return rows in the table's own schema. Raises InvalidTable when they break its declaration."""
    rows = conform(table, rows)
    require_valid(table, violations(table, rows))
    return rows
